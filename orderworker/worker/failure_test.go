package worker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/sqlite"
	"flashgate/orderworker/worker"
)

// failing is a real store of which single calls fail, before or after they were
// done.
type failing struct {
	*sqlite.Store
	mu       sync.Mutex
	down     bool
	decide   func(rs []flashgate.Reservation) error // before Decide
	decided  func()                                 // after Decide
	ack      error
	receive  func() error
	attempts int // added to each delivery's
	returned int // deliveries that came back
}

var away = &flashgate.Error{Code: flashgate.CodeUnavailable, Op: "test", Err: errors.New("cut off")}

func (f *failing) check(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
}

func (f *failing) Check(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return away
	}
	return f.Store.Check(ctx)
}

func (f *failing) Decide(ctx context.Context, sale flashgate.SaleID, rs []flashgate.Reservation, ttl time.Duration) ([]flashgate.Decision, error) {
	if f.decide != nil {
		if err := f.decide(rs); err != nil {
			return nil, err
		}
	}
	ds, err := f.Store.Decide(ctx, sale, rs, ttl)
	if f.decided != nil {
		f.decided()
	}
	return ds, err
}

func (f *failing) Ack(ctx context.Context, ds []flashgate.Delivery) error {
	if f.ack != nil {
		return f.ack
	}
	return f.Store.Ack(ctx, ds)
}

func (f *failing) Return(ctx context.Context, ds []flashgate.Delivery) error {
	f.returned += len(ds)
	return f.Store.Return(ctx, ds)
}

func (f *failing) Receive(ctx context.Context, max int) ([]flashgate.Delivery, error) {
	if f.receive != nil {
		if err := f.receive(); err != nil {
			return nil, err
		}
	}
	ds, err := f.Store.Receive(ctx, max)
	for i := range ds {
		ds[i].Attempts += f.attempts
	}
	return ds, err
}

func (f *failing) use(c *worker.Config) { c.Consumer, c.Ledger = f, f }

// A worker that dies between Decide and Ack: everything comes again and is settled.
func TestStoppedBeforeAck(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.sale("1", 20)
	var ids []flashgate.OrderID
	for i := range 20 {
		ids = append(ids, r.reserve("1", fmt.Sprint("u", i)).Order)
	}
	f := &failing{Store: r.store, ack: away}
	w := r.start(func(c *worker.Config) { f.use(c); c.MaxBatch = 7; c.DrainTimeout = 20 * time.Millisecond })
	r.eventually("some are decided, and that is counted", func() bool { return w.metric("flashgate_worker_decided_total") > 0 })
	w.stop()
	if n := w.metric("flashgate_worker_duplicates_total"); n != 0 {
		t.Errorf("%v duplicates before the restart", n)
	}
	first := w.metric("flashgate_worker_decided_total")

	r.restart()
	w = r.start(nil)
	for _, id := range ids {
		r.becomes(id, "pending")
	}
	r.eventually("all are acked", func() bool { return r.queued() == 0 })
	w.stop()
	// A transaction that the stop has cut off may be done, and not counted.
	d, n := w.metric("flashgate_worker_duplicates_total"), w.metric("flashgate_worker_decided_total")
	if d < first || first == 0 {
		t.Errorf("%v duplicates after %v orders were decided and not acked", d, first)
	}
	if n+d != 20 {
		t.Errorf("%v orders decided and %v duplicates after the restart, want 20 in all", n, d)
	}
	if n := r.queued(); n != 0 {
		t.Errorf("%d messages are left in the queue", n)
	}
	r.sums("1")
}

// A database that is away is waited for; nothing is acked or lost meanwhile.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.sale("1", 2)
	a := r.reserve("1", "ann")
	left := 8 // more than make a call suspect: Check fails too
	f := &failing{Store: r.store}
	f.check(true)
	f.decide = func([]flashgate.Reservation) error {
		if left--; left == 0 {
			f.check(false)
		}
		if left >= 0 {
			return away
		}
		return nil
	}
	w := r.start(f.use)
	r.becomes(a.Order, "pending")
	w.stop()
	if n := w.metric("flashgate_worker_retries_total", "op", "decide"); n != 8 {
		t.Errorf("%v retries, want 8", n)
	}
	if f.returned != 0 {
		t.Errorf("%d deliveries were returned: that counts as their attempt, and they are not to blame", f.returned)
	}
	r.sums("1")
}

// A stop while the database is away: everything is back in the queue.
func TestStopWhileAway(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.sale("1", 2)
	a := r.reserve("1", "ann")
	r.raw([]byte("garbage")) // dead letters go on: only Decide fails
	tried := make(chan struct{}, 100)
	f := &failing{Store: r.store}
	f.check(true)
	f.decide = func([]flashgate.Reservation) error { tried <- struct{}{}; return away }
	w := r.start(f.use)
	<-tried
	<-tried
	w.stop()
	if got := r.order(a.Order); got != "none" {
		t.Errorf("the order is %s", got)
	}
	if n := r.queued(); n != 1 {
		t.Errorf("%d messages in the queue, want the undecided one", n)
	}
	w = r.start(nil)
	r.becomes(a.Order, "pending")
	w.stop()
	r.sums("1")
}

func TestReceiveFails(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.sale("1", 1)
	n := 0
	f := &failing{Store: r.store, receive: func() error {
		if n++; n <= 3 {
			return away
		}
		return nil
	}}
	a := r.reserve("1", "ann")
	w := r.start(f.use)
	r.becomes(a.Order, "pending")
	w.stop()
	if got := w.metric("flashgate_worker_retries_total", "op", "receive"); got != 3 {
		t.Errorf("%v retries, want 3", got)
	}
}

// One reservation on which the database fails, in each way it can, takes no
// neighbour down and ends as a dead letter.
func TestPoison(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name     string
		err      error
		attempts int // that the queue has counted
		want     string
	}{
		{"refused as invalid", flashgate.Invalid("test", "units", "no"), 0, "dead_lettered invalid_order"},
		{"an internal error", errors.New("bug"), 20, "dead_lettered failed"},
		{"said to be away, but only for it", away, 20, "dead_lettered failed"},
		{"said to be away, for the first time", away, 0, "none"},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.sale("1", 10)
			before, poison, after := r.reserve("1", "a"), r.reserve("1", "b"), r.reserve("1", "c")
			f := &failing{Store: r.store, attempts: x.attempts, decide: func(rs []flashgate.Reservation) error {
				if slices.ContainsFunc(rs, func(o flashgate.Reservation) bool { return o.Order == poison.Order }) {
					return x.err
				}
				return nil
			}}
			w := r.start(f.use)
			r.becomes(before.Order, "pending")
			r.becomes(after.Order, "pending")
			r.becomes(poison.Order, x.want)
			later := r.reserve("1", "d")
			r.becomes(later.Order, "pending")
			w.stop()
			want := 0
			if x.want == "none" {
				want = 1
			}
			if n := r.queued(); n != want {
				t.Errorf("%d messages in the queue, want %d", n, want)
			}
			if x.want == "none" {
				return
			}
			// The operator replays it once the cause is gone.
			if _, err := r.store.Replay(t.Context(), poison.Order, time.Minute); err != nil {
				t.Fatal(err)
			}
			r.sums("1")
		})
	}
}

// A stop in the middle of a batch: what was decided is acked, the rest returned. So is
// the next batch, which had been received meanwhile.
func TestGracefulStop(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var sales []flashgate.SaleID
	var orders []flashgate.OrderID
	const together, inBatch, all = 4, 5, 6 // sales decided at once, of the batch, and in all
	for i := range all {
		sales = append(sales, flashgate.SaleID(fmt.Sprint(i)))
		r.sale(sales[i], 5)
		orders = append(orders, r.reserve(sales[i], "ann").Order)
	}
	deciding, release := make(chan struct{}, all), make(chan struct{})
	f := &failing{Store: r.store, decide: func([]flashgate.Reservation) error {
		deciding <- struct{}{}
		<-release
		return nil
	}}
	w := r.start(func(c *worker.Config) { f.use(c); c.MaxBatch = inBatch })
	for range together {
		<-deciding
	}
	w.cancel() // while their transactions run
	close(release)
	w.wait()
	states := map[string]int{}
	for _, id := range orders {
		states[r.order(id)]++
	}
	if states["pending"] != together || states["none"] != all-together {
		t.Errorf("%v, want %d pending and %d none", states, together, all-together)
	}
	if n := r.queued(); n != all-together {
		t.Errorf("%d messages in the queue, want the undecided ones alone", n)
	}
	w = r.start(nil)
	for _, id := range orders {
		r.becomes(id, "pending")
	}
	w.stop()
	if n := w.metric("flashgate_worker_duplicates_total"); n != 0 {
		t.Errorf("%v messages were not acked though decided", n)
	}
	for _, id := range sales {
		r.sums(id)
	}
}

// A call that hangs does not keep the worker from stopping.
func TestDrainTimeout(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.sale("1", 5)
	r.reserve("1", "ann")
	deciding := make(chan struct{})
	h := &hanging{Store: r.store, deciding: deciding}
	w := r.start(func(c *worker.Config) { c.Ledger = h; c.DrainTimeout = 20 * time.Millisecond })
	<-deciding
	w.stop()
}

type hanging struct {
	*sqlite.Store
	deciding chan struct{}
}

func (h *hanging) Decide(ctx context.Context, _ flashgate.SaleID, _ []flashgate.Reservation, _ time.Duration) ([]flashgate.Decision, error) {
	close(h.deciding)
	<-ctx.Done()
	return nil, ctx.Err()
}
