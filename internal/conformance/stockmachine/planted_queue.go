package stockmachine

import (
	"context"
	"time"

	"flashgate"
)

// heldIsFree opens as if nothing were held.
func heldIsFree(s System) System {
	return onOpen(func(ctx context.Context, _ flashgate.Opener, _ *string, snapshot *flashgate.Snapshot) error {
		if v, err := s.Stock.View(ctx, snapshot.Sale.ID); err == nil {
			snapshot.Sale.StockLeft += v.Held
		}
		return nil
	})(s)
}

// notRequeued opens as if everything that may be held had a dead letter.
func notRequeued(s System) System {
	seen := &wrappedStock{}
	s = onStock(func(w *wrappedStock) {
		w.ask = func(r flashgate.Reservation) flashgate.Reservation {
			w.seen[r.Order] = true
			return r
		}
		seen = w
	})(s)
	return onOpen(func(_ context.Context, _ flashgate.Opener, _ *string, snapshot *flashgate.Snapshot) error {
		for id := range seen.seen {
			snapshot.Dead = append(snapshot.Dead, id)
		}
		return nil
	})(s)
}

type outbox struct{ flashgate.Outbox }

// Lease gives out what it then forgets.
func (o outbox) Lease(ctx context.Context, sale flashgate.SaleID, age, lease time.Duration, max int) ([]flashgate.Reservation, error) {
	rs, err := o.Outbox.Lease(ctx, sale, age, lease, max)
	if err != nil || len(rs) == 0 {
		return rs, err
	}
	return rs, o.Published(ctx, sale, idsOf(rs))
}

func leaseForgets(s System) System {
	return bent(s, func(a *Apart) { a.Outbox = outbox{a.Outbox} })
}

type reconciliation struct{ flashgate.Reconciliation }

func (r reconciliation) RaiseEpoch(ctx context.Context, sale flashgate.SaleID, from uint64) (bool, error) {
	_, err := r.Reconciliation.RaiseEpoch(ctx, sale, from)
	return true, err
}

func raiseAnyway(s System) System {
	return bent(s, func(a *Apart) { a.Reconciliation = reconciliation{a.Reconciliation} })
}

type hastyQueue struct{ Queue }

// Receive takes messages out for good.
func (q hastyQueue) Receive(ctx context.Context, max int) ([]flashgate.Delivery, error) {
	ds, err := q.Queue.Receive(ctx, max)
	if err != nil {
		return nil, err
	}
	return ds, q.Queue.Ack(ctx, ds)
}

func ackAtOnce(s System) System {
	s.Queue = hastyQueue{s.Queue}
	return s
}

type forgetfulDatabase struct {
	Database
	seen map[flashgate.OrderID]bool
}

// Decide writes a row of its own for an id that comes again.
func (d forgetfulDatabase) Decide(ctx context.Context, sale flashgate.SaleID, rs []flashgate.Reservation, ttl time.Duration) ([]flashgate.Decision, error) {
	again := make([]flashgate.Reservation, len(rs))
	for i, r := range rs {
		if again[i] = r; d.seen[r.Order] {
			_, again[i].Order = keys().Mint(flashgate.Claim{Sale: string(sale), User: string(r.User)}, time.Now().Add(unpaid))
		}
		d.seen[r.Order] = true
	}
	ds, err := d.Database.Decide(ctx, sale, again, ttl)
	for i := range ds {
		ds[i].Order = rs[i].Order
	}
	return ds, err
}

func anotherRow(s System) System {
	s.Database = forgetfulDatabase{s.Database, map[flashgate.OrderID]bool{}}
	return s
}
