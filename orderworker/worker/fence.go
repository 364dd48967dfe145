package worker

import (
	"context"

	"go.uber.org/zap"

	"flashgate"
)

// fencePart is a fence and the delivery that brought it.
type fencePart struct {
	sale     flashgate.SaleID
	number   uint64
	delivery int
}

// recordFences records the fences of a batch, after everything in it that could be
// decided has been. A fence says that whatever was published before it has its row
// or its dead letter, so it is recorded only if that is so for every earlier
// delivery of its sale: those of this batch, and those that went back to the queue
// and have not come again. Those that another worker gave back nobody here knows of, and
// after its end the broker may deliver what it held in another order (RabbitMQ 3.10
// does), so a fence counts only the first time it comes. Any other fence is acked
// unrecorded: its sender sends again.
func (r *run) recordFences(b *batch) {
	for _, f := range b.fences {
		if r.stop.Err() != nil {
			return // it goes back with the rest
		}
		result := "skipped"
		switch {
		case b.deliveries[f.delivery].Attempts > 0, !b.settledBefore(f), r.awaits(f.sale):
		case r.recordFence(f):
			result = "recorded"
		}
		if r.stop.Err() != nil && result == "skipped" {
			return
		}
		r.gate.metrics.fences.WithLabelValues(result).Inc()
		r.log.Info("fence "+result, saleField(f.sale), zap.Uint64("fence", f.number))
		b.settled(f.delivery)
	}
}

func (r *run) recordFence(f fencePart) bool {
	err := r.patiently(r.stop, "fence", backendDatabase, func(ctx context.Context) error {
		return r.gate.Fences.RecordFence(ctx, f.sale, f.number)
	})
	if err != nil {
		r.log.Error("a fence cannot be recorded", saleField(f.sale), zap.Uint64("fence", f.number), zap.Error(err))
	}
	return err == nil
}

// settledBefore reports whether every earlier delivery of the batch that is of the
// fence's sale, or of a sale that nobody can tell, is settled.
func (b *batch) settledBefore(f fencePart) bool {
	for i := range f.delivery {
		if b.open[i] > 0 && (b.of[i] == f.sale || b.of[i] == "") {
			return false
		}
	}
	return true
}

// returned remembers the orders of deliveries that went back to the queue, by sale,
// until they are decided. They may come again to another worker, so the database is
// asked in the end. Only the consuming goroutine uses it.
type returned map[flashgate.SaleID]map[flashgate.OrderID]struct{}

// note takes the outcome of a batch.
func (t returned) note(b *batch) {
	mark := func(delivery int, id flashgate.OrderID) {
		sale := b.of[delivery]
		if b.open[delivery] == 0 {
			delete(t[sale], id)
			return
		}
		if t[sale] == nil {
			t[sale] = map[flashgate.OrderID]struct{}{}
		}
		t[sale][id] = struct{}{}
	}
	for _, s := range b.sales {
		for _, p := range s.parts {
			mark(p.delivery, p.reservation.Order)
		}
	}
	for _, d := range b.dead {
		mark(d.delivery, d.letter.Order)
	}
}

// awaits reports whether an order that went back to the queue has not come again yet. It
// comes before any later fence, unless the broker has lost it: then this worker records no
// fence of the sale until it starts again, and says so.
func (r *run) awaits(sale flashgate.SaleID) bool {
	id, waits, err := r.returned.undecided(r.stop, r.gate.Orders, sale)
	if !waits || r.stop.Err() != nil {
		return waits
	}
	r.log.Warn("a fence does not count yet: an order that went back to the queue has not come again; if that goes on, the broker has lost it: start this worker again, and it is published once more",
		saleField(sale), zap.String("order", string(id)), zap.Error(err))
	return true
}

// undecided is one of those that went back for a sale, or for a sale that nobody can tell,
// and are not decided by now; false if all are. It forgets those that are.
func (t returned) undecided(ctx context.Context, orders flashgate.OrderStore, sale flashgate.SaleID) (_ flashgate.OrderID, ok bool, _ error) {
	for _, s := range []flashgate.SaleID{sale, ""} {
		for id := range t[s] {
			err := limited(ctx, callLimit, func(ctx context.Context) error {
				_, err := orders.Order(ctx, id)
				return err
			})
			if err != nil {
				return id, true, err
			}
			delete(t[s], id)
		}
	}
	return "", false, nil
}
