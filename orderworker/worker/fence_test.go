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
	lifted := make(chan struct{})
	w = r.work(func(c *worker.Config) { c.Ledger, c.MaxBatch = &refusing{c.Ledger, poison.Order, lifted}, maxBatch })
	r.opens(id, 2)
	r.reserveAs(poison, flashgate.OutcomePublish)
	r.send(poison)
	r.published(poison)
	return w, poison, func() { close(lifted) }
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
			fence := flashgate.NewFence(2, 0) // of the epoch that the sale is in
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
