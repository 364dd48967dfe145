package redis

import (
	"context"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

var sessionLeased = mustScript("session_lease")

// ackQueue is how many answers may wait to be sent. One that does not fit is not
// sent; who asked then waits until trust has run out.
const ackQueue = 1024

// keepWatching subscribes, and again when the connection broke.
func (c *sessionCache) keepWatching(ctx context.Context) {
	term := uint64(0)
	again(ctx, sessionLease, func() {
		term++
		c.term(ctx, term)
	})
}

// term lasts from a subscription to the end of its connection.
func (c *sessionCache) term(ctx context.Context, term uint64) {
	ps := c.store.client.Subscribe(ctx, c.dropChannel(), c.ackChannel(c.id))
	closed := context.AfterFunc(ctx, func() { _ = ps.Close() }) // wakes the receiver
	defer func() { closed(); _ = ps.Close() }()
	for range 2 {
		reply, err := ps.ReceiveTimeout(ctx, c.store.cfg.Timeout)
		if _, ok := reply.(*goredis.Subscription); err != nil || !ok {
			return
		}
	}
	member := "" // without entries nobody has to wait for this cache
	if c.entries != nil {
		member = c.id + ":" + strconv.FormatUint(term, 10)
	}
	acks := make(chan [2]string, ackQueue)
	group, ctx := errgroup.WithContext(ctx)
	defer context.AfterFunc(ctx, func() { _ = ps.Close() })()
	group.Go(func() error { return c.receive(ctx, ps, member, acks) })
	group.Go(func() error { return c.holdLease(ctx, ps, term, member) })
	group.Go(func() error { return c.sendAcks(ctx, acks) })
	_ = group.Wait() // the reason does not matter: it is tried again
	c.empty()
	c.leave(member)
}

// leave takes a member out of the register after its cache was emptied, so that
// nobody waits for it. The member's name is never used again, so this cannot hit a
// later term however late it arrives.
func (c *sessionCache) leave(member string) {
	if member == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), sessionTrust)
	defer cancel()
	_ = c.store.client.HDel(ctx, c.register(), member).Err()
}

// receive drops what it is told to. It ends when nothing came for a whole lease,
// not even the answers to holdLease's pings: the connection is dead then.
func (c *sessionCache) receive(ctx context.Context, ps *goredis.PubSub, member string, acks chan<- [2]string) error {
	for {
		reply, err := ps.ReceiveTimeout(ctx, sessionLease)
		if err != nil {
			return err
		}
		switch m := reply.(type) {
		case *goredis.Subscription:
			return errResubscribed
		case *goredis.Message:
			if m.Channel != c.dropChannel() {
				c.acked(m.Payload)
				continue
			}
			asker, number, ok := c.dropped(m.Payload)
			if !ok {
				continue
			}
			select {
			case acks <- [2]string{asker, number + " " + member}:
			default:
			}
		}
	}
}

// holdLease renews the lease and pings the subscription. A lease counts from before
// it was asked for, so it ends here before it ends in the register.
func (c *sessionCache) holdLease(ctx context.Context, ps *goredis.PubSub, term uint64, member string) error {
	tick := time.NewTicker(leaseEvery)
	defer tick.Stop()
	for {
		asked := time.Now()
		try, cancel := context.WithTimeout(ctx, leaseEvery)
		err := sessionLeased.run(try, c.store.client, []string{c.register()}, member, sessionLease.Milliseconds()).Err()
		cancel()
		if err == nil {
			c.lease.Store(&lease{term: term, until: asked.Add(sessionLease)})
		}
		if err := ps.Ping(ctx); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// sendAcks answers the askers; what has gathered meanwhile goes in one round trip.
func (c *sessionCache) sendAcks(ctx context.Context, acks <-chan [2]string) error {
	for {
		var first [2]string
		select {
		case first = <-acks:
		case <-ctx.Done():
			return ctx.Err()
		}
		texts := map[string]string{first[0]: first[1]}
		for range len(acks) {
			next := <-acks
			texts[next[0]] += " " + next[1]
		}
		try, cancel := context.WithTimeout(ctx, sessionTrust)
		_, _ = c.store.client.Pipelined(try, func(p goredis.Pipeliner) error {
			for asker, text := range texts {
				p.Publish(try, c.ackChannel(asker), text)
			}
			return nil
		})
		cancel()
	}
}
