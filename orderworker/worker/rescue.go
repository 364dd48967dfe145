package worker

import (
	"context"
	"time"

	"go.uber.org/zap"

	"flashgate"
)

// What is held and published usually is decided in milliseconds. Only what has
// waited for rescueAge windows is looked into.
const rescueAge = 5

// Bounds of the waiting reservations that are looked into at once. The bound is
// doubled while nothing can be done for any of them, so that dead letters, which
// stay held for as long as their operator likes, do not hide the others.
const (
	waitingAtOnce = 256
	waitingAtMost = 16_384
)

// ordersAtOnce is what OrderStore.Orders takes.
const ordersAtOnce = 500

// rescue is what the relay knows of a sale's reservations that are held, published
// and not decided.
type rescue struct {
	limit int
	fence fence
}

// fence is one that was sent after some reservations had been seen waiting.
type fence struct {
	epoch  uint64
	number uint64
	ids    map[flashgate.OrderID]struct{} // what was seen waiting before it was sent
	again  time.Time                      // when it is sent again, as one may be skipped
	wait   time.Duration
}

// longestFenceWait bounds the doubled wait between two fences: a queue that takes
// hours to drain must not be filled with them.
const longestFenceWait = time.Minute

// rescueSale looks into what has waited for long: what has been decided is settled;
// what has neither a row nor a dead letter, although a fence that was sent later has
// come through the queue, was lost by it and goes back to the outbox.
func (k *keeper) rescueSale(ctx context.Context, id flashgate.SaleID, s *rescue) error {
	view, err := k.view(ctx, id)
	if err != nil || !view.Open {
		return err
	}
	if view.Held == 0 {
		*s = rescue{limit: waitingAtOnce}
		return nil
	}
	// Read before the rows: whatever lies before a fence that is recorded by now has
	// its row by now.
	fenced, err := k.fenced(ctx, id)
	if err != nil {
		return err
	}
	var waiting []flashgate.Reservation
	err = limited(ctx, callLimit, func(ctx context.Context) (err error) {
		waiting, err = k.Stock.Waiting(ctx, id, rescueAge*k.Window, s.limit)
		return err
	})
	if k.noteGate(id, err) != nil {
		return err
	}
	undecided, decided, err := k.lookUp(ctx, waiting, view.Applied)
	if err != nil {
		return err
	}
	if len(decided.ids) > 0 {
		if err := k.settle(ctx, id, decided); err != nil {
			return err
		}
		k.log.Info("decided orders that the gate still held are settled", saleField(id), zap.Int("orders", len(decided.ids)))
	}
	idle := len(undecided) == 0 && len(decided.ids) == 0
	if idle && len(waiting) == s.limit {
		s.limit = min(2*s.limit, waitingAtMost)
	}
	return k.fenceIn(ctx, id, s, view.Epoch, fenced, undecided)
}

// fenceIn takes the next step for what has neither a row nor a dead letter.
func (k *keeper) fenceIn(ctx context.Context, id flashgate.SaleID, s *rescue, epoch, fenced uint64, undecided []flashgate.OrderID) error {
	f := &s.fence
	if f.epoch != epoch || len(undecided) == 0 {
		*f = fence{} // an opening has put everything that was held into the outbox
	}
	if f.number > 0 && fenced >= f.number {
		var lost []flashgate.OrderID
		for _, o := range undecided {
			if _, ok := f.ids[o]; ok {
				lost = append(lost, o)
			}
		}
		*f = fence{}
		if len(lost) > 0 {
			return k.requeue(ctx, id, lost)
		}
	}
	if len(undecided) == 0 || time.Now().Before(f.again) {
		return nil
	}
	if f.number == 0 {
		number, err := k.drawFence(ctx, id)
		if err != nil {
			return err
		}
		*f = fence{epoch: epoch, number: number, ids: map[flashgate.OrderID]struct{}{}}
		for _, o := range undecided {
			f.ids[o] = struct{}{}
		}
	}
	f.wait = min(max(2*f.wait, 4*k.Window), longestFenceWait)
	f.again = time.Now().Add(f.wait)
	return limited(ctx, callLimit, func(ctx context.Context) error { return k.Publisher.SendFence(ctx, id, f.number) })
}

func (k *keeper) requeue(ctx context.Context, id flashgate.SaleID, lost []flashgate.OrderID) error {
	err := limited(ctx, callLimit, func(ctx context.Context) error { return k.Stock.Requeue(ctx, id, lost) })
	if k.noteGate(id, err) != nil {
		return err
	}
	k.metrics.requeued.Add(float64(len(lost)))
	k.log.Warn("the queue has lost reservations, they are published again", saleField(id), zap.Int("orders", len(lost)), zap.String("first", string(lost[0])))
	return nil
}

// lookUp looks up what waits: undecided has neither a row nor a dead letter, decided has
// a row that the gate has applied. What is in neither is left alone.
func (k *keeper) lookUp(ctx context.Context, waiting []flashgate.Reservation, applied uint64) (undecided []flashgate.OrderID, decided *settlement, err error) {
	decided = &settlement{}
	ids := orderIDs(waiting)
	for len(ids) > 0 {
		some := ids[:min(len(ids), ordersAtOnce)]
		ids = ids[len(some):]
		var rows []flashgate.Order
		err := limited(ctx, callLimit, func(ctx context.Context) (err error) {
			rows, err = k.Orders.Orders(ctx, some)
			return err
		})
		if err != nil {
			return nil, nil, err
		}
		found := map[flashgate.OrderID]bool{}
		for _, o := range rows {
			found[o.ID] = true
			if o.Seq > 0 && o.Seq <= applied {
				decided.add(flashgate.Decision{Order: o.ID, Seq: o.Seq, Duplicate: true})
			}
		}
		for _, o := range some {
			if found[o] {
				continue
			}
			none, err := k.undecided(ctx, o)
			if err != nil {
				return nil, nil, err
			}
			if none {
				undecided = append(undecided, o)
			}
		}
	}
	return undecided, decided, nil
}

// undecided reports whether an id has neither a row nor a dead letter.
func (k *keeper) undecided(ctx context.Context, id flashgate.OrderID) (bool, error) {
	err := limited(ctx, callLimit, func(ctx context.Context) error {
		_, err := k.Orders.Order(ctx, id)
		return err
	})
	if flashgate.ErrorCode(err) == flashgate.CodeNotFound {
		return true, nil
	}
	return false, err
}

// drawFence draws the number of a fence that is about to be sent.
func (k *keeper) drawFence(ctx context.Context, id flashgate.SaleID) (n uint64, err error) {
	err = limited(ctx, callLimit, func(ctx context.Context) (err error) {
		n, err = k.Fences.DrawFence(ctx, id)
		return err
	})
	return n, err
}

// fenced reads the highest fence that has come through a sale's queue.
func (k *keeper) fenced(ctx context.Context, id flashgate.SaleID) (n uint64, err error) {
	err = limited(ctx, callLimit, func(ctx context.Context) (err error) {
		n, err = k.Fences.Fenced(ctx, id)
		return err
	})
	return n, err
}
