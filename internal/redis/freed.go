package redis

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"flashgate"

	goredis "github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

// How a gateway hears that units came free:
//
// The script that frees them publishes epoch, seq and sale on one channel, in the same
// step. A gateway subscribes to it with a connection of its own and keeps the highest
// of each sale. A term is the life of one such connection: with its end all that was
// kept is dropped, because something may be missed until there is another.
//
// It is one channel for all sales of a database, as a user with a narrow access list
// may subscribe to a channel that its list covers, but to a pattern only as it stands in
// the list. In a Cluster the servers pass a message on to each other; one that is lost
// there is not noticed, nor is one by a server that has been replaced and does not know
// it. Therefore nobody may believe a term for ever.

// The connection is asked for a sign of life every freedPing, and given up after
// freedDead without one.
const (
	freedPing = time.Second
	freedDead = 3 * freedPing
)

// maxFreed bounds of how many sales is kept what came free. Past it all is dropped and
// another term begins.
const maxFreed = 10_000

// freed is what this Store has heard.
type freed struct {
	client  goredis.UniversalClient
	channel string
	timeout time.Duration
	watch   watch

	mu    sync.RWMutex
	term  uint64 // the last one
	hears bool   // it goes on
	since map[flashgate.SaleID]flashgate.Position
}

func newFreed(client goredis.UniversalClient, db int, timeout time.Duration) *freed {
	return &freed{client: client, channel: fmt.Sprintf("flashgate:freed:%d", db), timeout: timeout}
}

// Freed begins to listen when it is first called: until the server has confirmed that,
// the term is zero.
func (s *Store) Freed(_ context.Context, sale flashgate.SaleID) flashgate.Freed {
	f := s.freed
	f.mu.RLock()
	defer f.mu.RUnlock()
	if !f.hears {
		f.watch.begin(func(ctx context.Context) { again(ctx, freedDead, func() { f.listen(ctx) }) })
		return flashgate.Freed{}
	}
	return flashgate.Freed{Term: f.term, Since: f.since[sale]}
}

// listen lasts from a subscription to the end of its connection.
func (f *freed) listen(ctx context.Context) {
	ps := f.client.Subscribe(ctx, f.channel)
	group, ctx := errgroup.WithContext(ctx)
	closed := context.AfterFunc(ctx, func() { _ = ps.Close() }) // wakes the receiver
	defer func() { closed(); _ = ps.Close() }()
	reply, err := ps.ReceiveTimeout(ctx, f.timeout)
	if _, ok := reply.(*goredis.Subscription); err != nil || !ok {
		return
	}
	f.turn(true)
	defer f.turn(false)
	group.Go(func() error { return f.receive(ctx, ps) })
	group.Go(func() error { return ping(ctx, ps) })
	_ = group.Wait() // the reason does not matter: it is tried again
}

// turn begins a term, or the time between two.
func (f *freed) turn(hears bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hears = hears
	f.empty()
}

// empty drops what was kept. Called with mu held.
func (f *freed) empty() {
	f.term++
	f.since = map[flashgate.SaleID]flashgate.Position{}
}

// receive ends when nothing came for long, not even the answers to the pings.
func (f *freed) receive(ctx context.Context, ps *goredis.PubSub) error {
	for {
		reply, err := ps.ReceiveTimeout(ctx, freedDead)
		if err != nil {
			return err
		}
		switch m := reply.(type) {
		case *goredis.Subscription:
			return errResubscribed
		case *goredis.Message:
			f.heard(m.Payload)
		}
	}
}

func ping(ctx context.Context, ps *goredis.PubSub) error {
	tick := time.NewTicker(freedPing)
	defer tick.Stop()
	for {
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

// heard keeps what came free: epoch, seq and sale. What cannot be read may be of any
// sale.
func (f *freed) heard(message string) {
	parts := strings.Split(message, " ")
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(parts) != 3 {
		f.empty()
		return
	}
	epoch, err1 := strconv.ParseUint(parts[0], 10, 64)
	seq, err2 := strconv.ParseUint(parts[1], 10, 64)
	sale := flashgate.SaleID(parts[2])
	old, known := f.since[sale]
	if err1 != nil || err2 != nil || !known && len(f.since) >= maxFreed {
		f.empty()
		return
	}
	if at := (flashgate.Position{Epoch: epoch, Applied: seq}); old.Before(at) {
		f.since[sale] = at
	}
}

var _ flashgate.FreedWatcher = (*Store)(nil)
