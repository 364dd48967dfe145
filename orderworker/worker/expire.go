package worker

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// expireBatch is the most orders that one transaction cancels: a whole sale that
// expires at once must not keep the deciding waiting.
const expireBatch = 500

// The wait until the next look. The database's clock alone says what is expired;
// ours only says when to ask, so a clock that is off costs a second at most.
const (
	shortestLook = 10 * time.Millisecond
	longestLook  = time.Second
)

// expire cancels unpaid orders until the worker stops.
func (r *run) expire() {
	for r.stop.Err() == nil {
		var n int
		var next time.Time
		err := r.patiently(r.stop, "expire", backendDatabase, func(ctx context.Context) (err error) {
			n, next, err = r.cfg.Ledger.Expire(ctx, expireBatch)
			return err
		})
		wait := longestLook
		switch {
		case r.stop.Err() != nil && err != nil:
			return
		case err != nil:
			r.log.Error("cannot cancel expired orders", zap.Error(err))
		case n > 0:
			r.metrics.expired.Add(float64(n))
			r.log.Info("expired orders cancelled", zap.Int("orders", n))
		}
		if n >= expireBatch {
			continue // more may be due already
		}
		if err == nil && !next.IsZero() {
			wait = min(max(time.Until(next), shortestLook), longestLook)
		}
		if !sleep(r.stop, wait) {
			return
		}
	}
}
