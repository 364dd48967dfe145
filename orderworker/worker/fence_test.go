package worker_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"flashgate"
	"flashgate/orderworker/worker"
)

// refusing is a Ledger that cannot decide one order.
type refusing struct {
	flashgate.Ledger
	poison flashgate.OrderID
	lift   chan struct{} // closed when it may be decided
}

func (f *refusing) Decide(ctx context.Context, sale flashgate.SaleID, rs []flashgate.Reservation, ttl time.Duration) ([]flashgate.Decision, error) {
	for _, r := range rs {
		if r.Order == f.poison {
			select {
			case <-f.lift:
			default:
				return nil, errors.New("not now")
			}
		}
	}
	return f.Ledger.Decide(ctx, sale, rs, ttl)
}

// refuses starts a worker on a new sale that cannot decide the one order that is bought,
// until lift is called.
func (r *gateRig) refuses(id flashgate.SaleID, maxBatch int) (w *running, poison flashgate.Reservation, lift func()) {
	r.t.Helper()
	poison = r.reservation(id, "ann")
	w, lift = r.refusesOne(poison, maxBatch)
	r.opens(id, 2)
	r.reserveAs(poison, flashgate.OutcomePublish)
	r.send(poison)
	r.published(poison)
	return w, poison, lift
}

// refusesOne starts a worker that cannot decide an order until lift is called.
func (r *gateRig) refusesOne(poison flashgate.Reservation, maxBatch int) (w *running, lift func()) {
	r.t.Helper()
	lifted := make(chan struct{})
	w = r.work(func(c *worker.Config) { c.Ledger, c.MaxBatch = &refusing{c.Ledger, poison.Order, lifted}, maxBatch })
	return w, func() { close(lifted) }
}

// A fence behind a message that cannot be decided yet is not recorded, however often
// it is sent; the next one after that is.
func TestFenceWaitsForWhatIsBefore(t *testing.T) {
	t.Parallel()
	for name, maxBatch := range map[string]int{"in one batch": 256, "one by one": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := shared(t)
			id := r.newSale(5)
			w, poison, lift := r.refuses(id, maxBatch)
			fence := r.drawFence(id)
			r.eventually("fences are skipped", func() bool {
				return r.publisher.SendFence(t.Context(), id, fence) == nil &&
					w.metric("flashgate_worker_fences_total", "result", "skipped") >= 2
			})
			if n := r.fenced(id); n >= fence {
				t.Errorf("fence %d is recorded while an earlier message is undecided", n)
			}
			lift()
			r.turns(poison, "pending")
			r.eventually("the fence is recorded", func() bool {
				return r.publisher.SendFence(t.Context(), id, fence) == nil && r.fenced(id) >= fence
			})
			r.quiet(id)
		})
	}
}

// What waits in a queue that does not move is not published again: its fence waits
// behind it.
func TestRescueWaitsForItsFence(t *testing.T) {
	t.Parallel()
	r := shared(t)
	id := r.newSale(5)
	w, poison, lift := r.refuses(id, 256)
	r.eventually("the rescue's fences are skipped", func() bool {
		return w.metric("flashgate_worker_fences_total", "result", "skipped") >= 2
	})
	lift()
	r.turns(poison, "pending")
	r.quiet(id)
	if n := w.metric("flashgate_worker_requeued_total"); n != 0 {
		t.Errorf("%v reservations were requeued, want none", n)
	}
}

// dying is a Consumer of a worker that takes in all deliveries at once, handles the first
// of them, and comes to its end when it has given that back.
type dying struct {
	flashgate.Consumer
	all      int
	received []flashgate.Delivery
	returned chan struct{} // closed then
}

func (c *dying) Receive(ctx context.Context, max int) ([]flashgate.Delivery, error) {
	if len(c.received) > 0 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	for len(c.received) < c.all {
		ds, err := c.Consumer.Receive(ctx, c.all-len(c.received))
		if err != nil {
			return nil, err
		}
		c.received = append(c.received, ds...)
	}
	return c.received[:1], nil
}

func (c *dying) Return(ctx context.Context, ds []flashgate.Delivery) error {
	defer close(c.returned)
	return c.Consumer.Return(ctx, ds)
}

// A worker gives back a message, and dies with the fence behind it in its hands. The
// broker gives the next one the fence first.
func TestFenceOvertakesWhatADeadWorkerReturned(t *testing.T) {
	t.Parallel()
	r := shared(t)
	id := r.newSale(5)
	opener := r.work(nil)
	r.opens(id, 2)
	opener.stop()

	poison, other := r.reserve(id, "ann"), r.reserve(id, "bob")
	r.send(poison)
	r.send(other)
	fence := r.drawFence(id)
	r.eventually("the fence is sent", func() bool { return r.publisher.SendFence(t.Context(), id, fence) == nil })
	r.published(poison, other)
	var last *dying
	first := r.work(func(c *worker.Config) {
		last = &dying{Consumer: c.Consumer, all: 3, returned: make(chan struct{})}
		c.Consumer, c.Ledger = last, &refusing{c.Ledger, poison.Order, make(chan struct{})}
	})
	<-last.returned
	first.stop()

	second, lift := r.refusesOne(poison, 256)
	r.eventually("the fence has come to the second worker", func() bool {
		return second.metric("flashgate_worker_fences_total", "result", "skipped") >= 1
	})
	if n := r.fenced(id); n >= fence {
		t.Errorf("fence %d is recorded while order %s, which was published before it, is undecided", n, poison.Order)
	}
	lift()
	r.turns(poison, "pending")
	r.turns(other, "pending")
	r.eventually("the fence is recorded", func() bool {
		return r.publisher.SendFence(t.Context(), id, fence) == nil && r.fenced(id) >= fence
	})
	r.quiet(id)
}
