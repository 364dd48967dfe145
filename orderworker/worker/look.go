package worker

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"flashgate"
)

// look looks at every gate again and again, and has those opened that are closed.
func (r *run) look() {
	k := r.gate
	var reconciling sync.WaitGroup
	defer reconciling.Wait()
	for sleep(r.stop, lookEvery/5) {
		forEach(k.watch.due(time.Now()), salesAtOnce, func(sale flashgate.Sale) {
			if k.lookAt(r.stop, sale) {
				reconciling.Go(func() { k.restore(r.stop, sale.ID) })
			}
		})
		k.metrics.closed.Set(float64(k.watch.closedCount()))
		drift, ahead := k.watch.found()
		k.metrics.drift.Set(float64(drift))
		k.metrics.ahead.Set(float64(ahead))
	}
}

// lookAt looks at one gate and reports whether it is to be reconciled now.
func (k *keeper) lookAt(ctx context.Context, sale flashgate.Sale) bool {
	v, err := k.view(ctx, sale.ID)
	if ctx.Err() != nil {
		return false
	}
	if err != nil {
		k.metrics.failures.WithLabelValues("view").Inc()
		if k.watch.lost(sale.ID) { // the first time; there are many sales, and looks
			k.log.Warn("the gate cannot be looked at, trying again", saleField(sale.ID), zap.Error(err))
		}
		return false
	}
	now := time.Now()
	k.watch.seen(sale, v, now)
	if v.Open {
		k.checkNow(ctx, sale.ID, now)
		return false
	}
	k.follows.forget(sale.ID) // whoever opens it may do so at an earlier change
	return now.Sub(sale.Ends) < openUntil && k.watch.begin(sale.ID, now)
}
