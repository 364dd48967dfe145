package redis

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"flashgate"
	"flashgate/internal/gather"
)

var (
	limitCharge = mustScript("limit_charge")
	limitRefund = mustScript("limit_refund")
)

// limitsAtOnce bounds the charges in one script, so that it does not keep the server long.
const limitsAtOnce = 256

// limits sends decisions, those that gather while others are under way together. In a
// Cluster keys of one script must lie in one slot, so there each decision is a call of its
// own.
type limits struct {
	store *Store
	group *gather.Group[*decision]

	watch  sync.Once // begins with the first decision: most stores make none
	life   context.Context
	end    context.CancelFunc
	ending sync.WaitGroup

	mu      sync.Mutex
	leasing map[string]struct{} // keys that a lease is being asked for: one at a time
}

func newLimits(s *Store) *limits {
	l := &limits{store: s}
	l.group = gather.New(gather.Config[*decision]{
		Run: l.together, Most: limitsAtOnce, AtOnce: aFew, Cost: func(d *decision) int { return len(d.charges) },
	})
	l.life, l.end = context.WithCancel(context.Background())
	return l
}

func (l *limits) close() {
	l.end()
	l.ending.Wait()
}

// decision is one request that waits.
type decision struct {
	charges  []*flashgate.Charge // the caller's: read before done is closed
	verdicts []flashgate.Verdict
	err      error
	done     chan struct{}
}

// decide asks the server and sets the verdicts.
func (l *limits) decide(ctx context.Context, charges []*flashgate.Charge) error {
	const op = "redis.Charge"
	if err := ctx.Err(); err != nil {
		return unavailable(op, err)
	}
	l.watch.Do(func() { l.ending.Go(func() { l.watchResets(l.life) }) })
	// The call goes on when its caller has left, so it has a copy.
	d := &decision{verdicts: make([]flashgate.Verdict, len(charges)), done: make(chan struct{})}
	for _, c := range charges {
		own := *c
		if own.Lease > 1 && !l.beginLease(own.Key) {
			own.Lease = 0
		}
		d.charges = append(d.charges, &own)
	}
	if _, cluster := l.store.client.(*goredis.ClusterClient); cluster {
		go l.apart(d)
	} else {
		l.group.Join(d)
	}
	select {
	case <-d.done:
	case <-ctx.Done():
		return unavailable(op, context.Cause(ctx))
	}
	for i, c := range charges {
		c.Verdict = d.verdicts[i]
	}
	return unavailable(op, d.err)
}

// beginLease says whether this request is the one to ask for a lease: what several ask for
// at once would be more than the bound, and the one that comes last would replace the
// others.
func (l *limits) beginLease(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, busy := l.leasing[key]; busy {
		return false
	}
	if l.leasing == nil {
		l.leasing = map[string]struct{}{}
	}
	l.leasing[key] = struct{}{}
	return true
}

// endLeases is called when a decision has been made, or not.
func (l *limits) endLeases(charges []*flashgate.Charge) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range charges {
		if c.Lease > 1 {
			delete(l.leasing, c.Key)
		}
	}
}

// limitTimeout bounds a call that is nobody's request any more.
const limitTimeout = 2 * time.Second

// together decides a batch by one script.
func (l *limits) together(batch []*decision) {
	ctx, cancel := context.WithTimeout(context.Background(), limitTimeout)
	defer cancel()
	err := l.run(ctx, batch)
	for _, d := range batch {
		d.err = err
		l.endLeases(d.charges)
		close(d.done)
	}
}

// run fills the verdicts and what the local memory learns from them.
func (l *limits) run(ctx context.Context, batch []*decision) error {
	var keys []string
	var args []any
	index := map[string]int{}
	for _, d := range batch {
		args = append(args, len(d.charges))
		for _, c := range d.charges {
			name := l.store.limitKey(c.Key)
			if index[name] == 0 {
				keys = append(keys, name)
				index[name] = len(keys)
			}
			args = appendCharge(args, index[name], c)
		}
	}
	asked := l.store.since()
	reply, err := limitCharge.run(ctx, onceScripter{l.store.client}, keys, args...).Int64Slice()
	if err != nil {
		return err
	}
	now := l.store.since()
	for _, d := range batch {
		for i, c := range d.charges {
			if len(reply) < 5 {
				return errShort
			}
			d.verdicts[i] = l.learn(c, reply[:5], asked, now)
			reply = reply[5:]
		}
	}
	return nil
}

// algorithmNumbers are those of the script.
var algorithmNumbers = map[flashgate.Algorithm]int{"": 1, flashgate.SlidingWindow: 1, flashgate.FixedWindow: 2, flashgate.TokenBucket: 3}

func appendCharge(args []any, key int, c *flashgate.Charge) []any {
	advisory, extra := 0, 0
	if c.Advisory {
		advisory = 1
	}
	if c.Lease > 1 {
		extra = max(0, c.Lease-c.Units())
	}
	return append(args, key, algorithmNumbers[c.Rate.Algorithm], c.Rate.Limit, c.Rate.Window.Microseconds(), c.Rate.AtOnce(), c.Units(), advisory, extra)
}

var errShort = errors.New("a verdict has five numbers")

func verdictOf(reply []int64) flashgate.Verdict {
	return flashgate.Verdict{
		Allowed: reply[0] == 1, Remaining: int(reply[1]),
		RetryAfter: time.Duration(reply[2]) * time.Microsecond, Reset: time.Duration(reply[3]) * time.Microsecond,
	}
}

// learn reads a verdict. A lease runs from before it was asked for, a refusal from when
// it was heard of less the time that it took: then no gateway hands out too late, and
// nobody waits too long.
func (l *limits) learn(c *flashgate.Charge, reply []int64, asked, now int64) flashgate.Verdict {
	v := verdictOf(reply)
	if !v.Allowed {
		l.store.local.Deny(c, asked+int64(v.RetryAfter), now)
	}
	if granted := int(reply[4]); granted > 0 {
		l.store.local.Grant(c, granted, asked+int64(c.Rate.LeaseLife()), now)
		v.Remaining += granted
	}
	return v
}

// apart decides a request in a Cluster. Limits whose counters lie in several slots are
// asked at the same time, and when one refuses, the others get back what they took.
func (l *limits) apart(d *decision) {
	ctx, cancel := context.WithTimeout(context.Background(), limitTimeout)
	defer cancel()
	defer close(d.done)
	defer l.endLeases(d.charges)
	if len(d.charges) == 1 {
		d.err = l.run(ctx, []*decision{d})
		return
	}
	parts := make([]*decision, len(d.charges))
	var wg sync.WaitGroup
	for i, c := range d.charges {
		part := &decision{charges: []*flashgate.Charge{c}, verdicts: make([]flashgate.Verdict, 1)}
		parts[i] = part
		wg.Go(func() { part.err = l.run(ctx, []*decision{part}) })
	}
	wg.Wait()
	passed := true
	for i, part := range parts {
		d.verdicts[i] = part.verdicts[0]
		d.err = errors.Join(d.err, part.err)
		passed = passed && part.err == nil && (part.verdicts[0].Allowed || d.charges[i].Advisory)
	}
	if passed {
		return
	}
	for i, part := range parts {
		if c := d.charges[i]; part.err == nil && part.verdicts[0].Allowed {
			wg.Go(func() {
				l.refund(ctx, c, part.verdicts[0].Reset)
			})
		}
	}
	wg.Wait()
}

// refund gives a charge back, and lets every gateway forget that the key was refused: who
// came while the charge was there would be refused until its window is over. What cannot be
// given back is missing for as long.
func (l *limits) refund(ctx context.Context, c *flashgate.Charge, reset time.Duration) {
	args := append(appendCharge(nil, 1, c), reset.Microseconds())
	err := limitRefund.run(ctx, onceScripter{l.store.client}, []string{l.store.limitKey(c.Key)}, args...).Err()
	if err == nil {
		l.store.local.Pardon(c.Key)
		_ = l.store.client.Publish(ctx, l.store.resetChannel(), keyRefunded+c.Key).Err()
	}
}

// watchResets forgets keys that another gateway has reset, or given something back, until ctx ends. After a time
// without a connection everything is forgotten, as something may have been missed.
func (l *limits) watchResets(ctx context.Context) {
	sub := l.store.client.Subscribe(ctx, l.store.resetChannel())
	defer sub.Close()
	heard := sub.ChannelWithSubscriptions()
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-heard:
			switch m := m.(type) {
			case *goredis.Subscription:
				l.store.local.Clear()
			case *goredis.Message:
				if key, ok := strings.CutPrefix(m.Payload, keyRefunded); ok {
					l.store.local.Pardon(key)
				} else {
					l.store.local.Forget(strings.TrimPrefix(m.Payload, keyReset))
				}
			}
		}
	}
}
