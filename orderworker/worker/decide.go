package worker

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"flashgate"
	"flashgate/internal/failpoint"
)

// maxAttempts is how often a reservation comes from the queue, while the database
// fails on it alone and for no reason that passes, before it becomes a dead letter.
// It is generous because a killed worker counts as an attempt too.
const maxAttempts = 20

// salesDecided is how many sales of a batch are decided at once: each has a transaction
// of its own, which locks no row of another sale.
const salesDecided = 4

// decide lets the ledger decide some reservations of one sale, together if it can
// and else one by one, so that a bad one never takes its neighbours down. Parts that
// it could not settle stay open, and their deliveries go back to the queue.
func (r *run) decide(b *batch, s *saleBatch, parts []part) {
	begin := time.Now()
	err := r.patiently(r.stop, "decide", backendDatabase, func(ctx context.Context) error {
		return r.decideOnce(ctx, b, s, parts)
	})
	r.metrics.decideSeconds.Observe(time.Since(begin).Seconds())
	if err == nil || r.stop.Err() != nil {
		return
	}
	if len(parts) == 1 {
		r.fail(b, s.sale, parts[0], err)
		return
	}
	r.log.Warn("a batch cannot be decided, going on one by one", zap.String("sale", string(s.sale)), zap.Int("reservations", len(parts)), zap.Error(err))
	for _, p := range parts {
		if r.stop.Err() != nil {
			return
		}
		alone := []part{p}
		err := r.once(func(ctx context.Context) error { return r.decideOnce(ctx, b, s, alone) })
		if err != nil {
			r.fail(b, s.sale, p, err)
		}
	}
}

// decideOnce makes one call of Decide and settles every part if it succeeds.
func (r *run) decideOnce(ctx context.Context, b *batch, s *saleBatch, parts []part) error {
	rs := reservations(parts)
	decisions, err := r.cfg.Ledger.Decide(ctx, s.sale, rs, r.cfg.OrderTTL)
	if err != nil {
		return err
	}
	failpoint.Hit(failpoint.Committed)
	if len(decisions) != len(rs) {
		return flashgate.Errorf(flashgate.CodeInternal, "worker.decide", "%d decisions for %d reservations", len(decisions), len(rs))
	}
	r.metrics.batch.Observe(float64(len(rs)))
	for i, d := range decisions {
		r.note(s.sale, d)
		s.decided.add(d)
		b.settled(parts[i].delivery)
	}
	return nil
}

// fail handles a reservation that cannot be decided though it is alone and the
// database is there: a dead letter at once when it is not valid, and otherwise after
// it has come from the queue often enough.
func (r *run) fail(b *batch, sale flashgate.SaleID, p part, err error) {
	letter := invalidOrder(sale, p.reservation, err)
	if flashgate.ErrorCode(err) != flashgate.CodeInvalid {
		attempts := b.deliveries[p.delivery].Attempts
		r.log.Error("an order cannot be decided", zap.String("order", string(p.reservation.Order)), zap.Int("attempts", attempts), zap.Error(err))
		if attempts < maxAttempts {
			return
		}
		letter.Reason = flashgate.ReasonFailed
		letter.Detail = fmt.Sprintf("The database failed on it %d times, last with: %v. Put that right, then replay it.", attempts+1, err)
	}
	if r.keepDead(letter) {
		b.settled(p.delivery)
	}
}

// note counts a decision. A duplicate is settled by its row; what a gate apart from
// the database still holds for it is released by apply.
func (r *run) note(sale flashgate.SaleID, d flashgate.Decision) {
	switch {
	case d.Duplicate:
		r.metrics.duplicates.Inc()
	case d.DeadLettered:
		r.metrics.dead(d.Reason)
		r.log.Error("dead letter", zap.String("order", string(d.Order)), zap.String("sale", string(sale)), zap.String("reason", d.Reason))
	default:
		r.metrics.decision(d.Status, d.Reason)
		if e := r.log.Check(zap.DebugLevel, "decided"); e != nil {
			e.Write(zap.String("order", string(d.Order)), zap.String("status", string(d.Status)), zap.String("reason", d.Reason), zap.Uint64("seq", d.Seq))
		}
	}
}

// keepDead writes a dead letter and reports whether it is kept.
func (r *run) keepDead(d flashgate.DeadLetter) bool {
	err := r.patiently(r.stop, "dead_letter", backendDatabase, func(ctx context.Context) error {
		return r.cfg.Ledger.DeadLetter(ctx, d)
	})
	if err != nil {
		r.log.Error("a dead letter could not be kept, its message goes back to the queue", zap.String("order", string(d.Order)), zap.Error(err))
		return false
	}
	r.metrics.dead(d.Reason)
	r.log.Error("dead letter", zap.String("order", string(d.Order)), zap.String("sale", string(d.Sale)), zap.String("reason", d.Reason), zap.String("detail", d.Detail))
	return true
}
