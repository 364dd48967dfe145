package worker_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"flashgate"
	"flashgate/internal/sqlite"
	"flashgate/orderworker/worker"
)

// stages is a real store that is held up, and watched, between the worker's stages.
type stages struct {
	*sqlite.Store
	received atomic.Int64                          // deliveries
	deciding func(rs []flashgate.Reservation)      // nil or called before Decide
	acking   func(ctx context.Context, n int) bool // nil, or false to be away
}

func (s *stages) use(c *worker.Config) { c.Consumer, c.Ledger = s, s }

func (s *stages) Receive(ctx context.Context, max int) ([]flashgate.Delivery, error) {
	ds, err := s.Store.Receive(ctx, max)
	s.received.Add(int64(len(ds)))
	return ds, err
}

func (s *stages) Decide(ctx context.Context, sale flashgate.SaleID, rs []flashgate.Reservation, ttl time.Duration) ([]flashgate.Decision, error) {
	if s.deciding != nil {
		s.deciding(rs)
	}
	return s.Store.Decide(ctx, sale, rs, ttl)
}

func (s *stages) Ack(ctx context.Context, ds []flashgate.Delivery) error {
	if s.acking != nil && !s.acking(ctx, len(ds)) {
		return errors.Join(away, ctx.Err())
	}
	return s.Store.Ack(ctx, ds)
}

// An order that comes to an idle worker is decided at once: nothing on its way waits for
// a timer. The clock is one that moves only when everything waits.
func TestLoneOrderWaitsForNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "flashgate.db")
	synctest.Test(t, func(t *testing.T) {
		store, err := sqlite.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		r := &rig{t: t, path: path, store: store, users: map[flashgate.SaleID][]flashgate.UserID{}}
		r.sale("1", 100)
		decided := make(chan time.Time, 1)
		s := &stages{Store: store, deciding: func(rs []flashgate.Reservation) {
			if len(rs) != 1 {
				t.Errorf("%d orders in one batch", len(rs))
			}
			decided <- time.Now()
		}}
		w := r.start(s.use)
		for i := range 20 {
			<-time.After(time.Duration(i) * 77 * time.Millisecond) // of that clock
			synctest.Wait()
			begin := time.Now()
			r.reserve("1", fmt.Sprint("u", i))
			if waited := (<-decided).Sub(begin); waited != 0 {
				t.Errorf("order %d waited %s", i, waited)
			}
		}
		w.stop()
		r.close()
	})
}

// While a batch is being decided what comes meanwhile gathers, and is the next batch.
func TestGathersWhileDeciding(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.sale("1", 100)
	sizes, release := make(chan int, 100), make(chan struct{})
	s := &stages{Store: r.store, deciding: func(rs []flashgate.Reservation) { sizes <- len(rs); <-release }}
	first := r.reserve("1", "first")
	w := r.start(s.use)
	if n := <-sizes; n != 1 {
		t.Errorf("the first batch has %d orders", n)
	}
	for i := range 40 {
		last := r.reserve("1", fmt.Sprint("u", i))
		r.eventually("it is received", func() bool { return s.received.Load() == int64(i+2) })
		if got := r.order(last.Order); got != "undecided" && got != "none" {
			t.Errorf("order %d is %s", i, got)
		}
	}
	// The last one was received; so those before it have been gathered.
	close(release)
	if n := <-sizes; n < 39 {
		t.Errorf("the second batch has %d orders, want 39 or 40", n)
	}
	r.becomes(first.Order, "pending")
	r.eventually("all are acked", func() bool { return r.queued() == 0 })
	w.stop()
	r.sums("1")
}

// The next batch is decided while the acks of the one before it wait; not endlessly many
// are.
func TestDecidesWhileAcksWait(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.sale("1", 100)
	acking, release := make(chan struct{}, 100), make(chan struct{})
	s := &stages{Store: r.store, acking: func(ctx context.Context, n int) bool {
		acking <- struct{}{}
		select {
		case <-release:
			return true
		case <-ctx.Done():
			return false
		}
	}}
	w := r.start(func(c *worker.Config) { s.use(c); c.MaxBatch = 1 })
	first := r.reserve("1", "first")
	<-acking
	second := r.reserve("1", "second")
	r.becomes(first.Order, "pending")
	r.becomes(second.Order, "pending")
	if n := r.queued(); n != 2 {
		t.Errorf("%d messages in the queue, want both", n)
	}
	var orders []flashgate.OrderID
	for i := range 20 {
		orders = append(orders, r.reserve("1", fmt.Sprint("u", i)).Order)
	}
	close(release)
	for _, id := range orders {
		r.becomes(id, "pending")
	}
	r.eventually("all are acked", func() bool { return r.queued() == 0 })
	w.stop()
	r.sums("1")
}

// recording is a FenceStore that is told what is committed.
type recording struct {
	flashgate.FenceStore
	t         testing.TB
	committed *atomic.Bool
}

func (f recording) RecordFence(ctx context.Context, sale flashgate.SaleID, fence uint64) error {
	if !f.committed.Load() {
		f.t.Errorf("fence %d is recorded before what came before it is committed", fence)
	}
	return f.FenceStore.RecordFence(ctx, sale, fence)
}

// holding is a Ledger that decides nothing of an order before it is let.
type holding struct {
	flashgate.Ledger
	order     flashgate.OrderID
	let       chan struct{}
	committed *atomic.Bool
}

func (h holding) Decide(ctx context.Context, sale flashgate.SaleID, rs []flashgate.Reservation, ttl time.Duration) ([]flashgate.Decision, error) {
	held := rs[0].Order == h.order
	if held {
		<-h.let
	}
	ds, err := h.Ledger.Decide(ctx, sale, rs, ttl)
	if held && err == nil {
		h.committed.Store(true)
	}
	return ds, err
}

// receiving is a Consumer that counts.
type receiving struct {
	flashgate.Consumer
	received *atomic.Int64
}

func (c receiving) Receive(ctx context.Context, max int) ([]flashgate.Delivery, error) {
	ds, err := c.Consumer.Receive(ctx, max)
	c.received.Add(int64(len(ds)))
	return ds, err
}

// A fence that is in the worker's hands while the batch before it is being decided is
// recorded when that one is committed, and not before.
func TestFenceWaitsForTheBatchInHand(t *testing.T) {
	t.Parallel()
	r := shared(t)
	id := r.newSale(5)
	opener := r.work(nil)
	r.opens(id, 2)
	opener.stop()

	first, behind := r.reserve(id, "ann"), r.reserve(id, "bob")
	let := make(chan struct{})
	var committed atomic.Bool
	var received atomic.Int64
	w := r.work(func(c *worker.Config) {
		c.MaxBatch = 1
		c.Consumer = receiving{c.Consumer, &received}
		c.Ledger = holding{c.Ledger, first.Order, let, &committed}
		c.Gate.Fences = recording{c.Gate.Fences, t, &committed}
		c.Gate.Window = time.Minute // no fences of its own
	})
	release := sync.OnceFunc(func() { close(let) })
	defer release()
	r.send(first)
	fence := r.drawFence(id)
	r.eventually("the fence is sent", func() bool { return r.publisher.SendFence(t.Context(), id, fence) == nil })
	r.send(behind)
	r.published(first, behind)
	r.eventually("the order behind the fence is received", func() bool { return received.Load() >= 3 })
	if n := r.fenced(id); n >= fence {
		t.Errorf("fence %d is recorded while order %s, which was published before it, is undecided", n, first.Order)
	}
	release()
	r.turns(first, "pending")
	r.turns(behind, "pending")
	r.eventually("the fence is recorded", func() bool { return r.fenced(id) >= fence })
	r.quiet(id)
	w.stop()
}
