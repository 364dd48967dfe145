package worker

import (
	"context"

	"go.uber.org/zap"

	"flashgate"
)

// maxRemembered bounds, per sale, the ids that wait to be settled. What does not fit
// is found by the relay, which looks at everything that has been held for long.
const maxRemembered = 4096

// settlement is what the gate has to do for some decisions of one sale: apply up to
// seq, and release those ids that it holds although they were decided at or before
// seq.
type settlement struct {
	seq uint64
	ids map[flashgate.OrderID]struct{}
}

// add takes a decision.
func (s *settlement) add(d flashgate.Decision) {
	s.seq = max(s.seq, d.Seq)
	if d.Duplicate && d.Seq > 0 {
		if s.ids == nil {
			s.ids = map[flashgate.OrderID]struct{}{}
		}
		s.ids[d.Order] = struct{}{}
	}
}

// list returns the ids, at most one message's worth at once.
func (s *settlement) list() (out [][]flashgate.OrderID) {
	var ids []flashgate.OrderID
	for id := range s.ids {
		if len(ids) == flashgate.MaxMessageReservations {
			out, ids = append(out, ids), nil
		}
		ids = append(ids, id)
	}
	if len(ids) > 0 {
		out = append(out, ids)
	}
	return out
}

// settle settles ids against the highest seq among them: when that is applied, so
// are the others'.
func (k *keeper) settle(ctx context.Context, sale flashgate.SaleID, s *settlement) error {
	for _, ids := range s.list() {
		err := limited(ctx, callLimit, func(ctx context.Context) error { return k.Stock.Settle(ctx, sale, s.seq, ids) })
		if k.noteGate(sale, err) != nil {
			return err
		}
		k.metrics.settled.Add(float64(len(ids)))
	}
	return nil
}

// remember keeps ids whose settling failed.
func (k *keeper) remember(sale flashgate.SaleID, s *settlement) {
	if len(s.ids) == 0 {
		return
	}
	f := k.follows.of(sale)
	k.follows.mu.Lock()
	defer k.follows.mu.Unlock()
	if f.owed.ids == nil {
		f.owed.ids = map[flashgate.OrderID]struct{}{}
	}
	f.owed.seq = max(f.owed.seq, s.seq)
	for id := range s.ids {
		if len(f.owed.ids) >= maxRemembered {
			k.log.Warn("too many decided orders wait to be settled at the gate; the relay finds the others", saleField(sale), zap.Int("orders", len(s.ids)))
			return
		}
		f.owed.ids[id] = struct{}{}
	}
}

// owes reports whether ids wait to be settled.
func (f *follower) owes(s *followed) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(s.owed.ids) > 0
}

// owesAny reports whether, of these decisions, duplicates wait to be settled.
func (k *keeper) owesAny(decided map[flashgate.SaleID]*settlement) bool {
	for id, s := range decided {
		if len(s.ids) > 0 && k.follows.owes(k.follows.of(id)) {
			return true
		}
	}
	return false
}

// settleRemembered settles what was remembered, once its seq is applied.
func (k *keeper) settleRemembered(ctx context.Context, sale flashgate.SaleID) error {
	f := k.follows.of(sale)
	k.follows.mu.Lock()
	if len(f.owed.ids) == 0 || !f.known || f.applied < f.owed.seq {
		k.follows.mu.Unlock()
		return nil
	}
	waiting := f.owed
	f.owed = settlement{}
	k.follows.mu.Unlock()
	if err := k.settle(ctx, sale, &waiting); err != nil {
		k.remember(sale, &waiting)
		return err
	}
	return nil
}
