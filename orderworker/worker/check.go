package worker

import (
	"context"
	"time"

	"go.uber.org/zap"

	"flashgate"
)

// checkEvery is how often the sums of an open sale are compared.
const checkEvery = 10 * time.Second

// checkNow compares the sums of an open sale when it is time.
func (k *keeper) checkNow(ctx context.Context, id flashgate.SaleID, now time.Time) {
	if !k.watch.checkDue(id, now) {
		return
	}
	c, err := k.check(ctx, id)
	if err == nil && c.view.Open {
		k.watch.setAhead(id, c.ahead())
	}
	if err == nil && c.ahead() {
		k.log.Error("the gate is ahead of the database: the database was set back; wipe the gate, then it is opened again", saleField(id),
			zap.Uint64("gate_epoch", c.view.Epoch), zap.Uint64("epoch", c.sale.Epoch), zap.Uint64("applied", c.view.Applied), zap.Uint64("seq", c.sale.Seq))
	}
	if err != nil || !c.compared {
		return // looked at again in a while
	}
	k.metrics.checks.Inc()
	if c.drift != 0 {
		k.metrics.drifts.Inc()
		k.log.Error("the gate's sums differ from the database's: this is a bug; keep the logs, and close the gate so that it is opened again from the database (docs/metrics.md)", saleField(id),
			zap.Int64("drift", c.drift), zap.Int64("free", c.view.Free), zap.Int64("held", c.view.Held), zap.Int64("stock_left", c.sale.StockLeft), zap.Uint64("seq", c.sale.Seq))
	}
	k.watch.setDrift(id, c.drift)
}

func (w *watch) checkDue(id flashgate.SaleID, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.of(id)
	if now.Sub(s.checked) < checkEvery {
		return false
	}
	s.checked = now
	return true
}

// setDrift notes a drift.
func (w *watch) setDrift(id flashgate.SaleID, drift int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.of(id).drift = drift
}

// setAhead notes whether the gate knows what the database does not.
func (w *watch) setAhead(id flashgate.SaleID, ahead bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.of(id).ahead = ahead
}

// found is what the last checks of all open sales found: the drifts without their
// signs, so that no two hide each other, and how many gates are ahead.
func (w *watch) found() (drift int64, ahead int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.known {
		drift += max(s.drift, -s.drift)
		if s.ahead {
			ahead++
		}
	}
	return drift, ahead
}

// checkTries is how often the two sides are read to catch them at the same seq, and
// checkPause the wait in between.
const (
	checkTries = 5
	checkPause = 30 * time.Millisecond
)

// comparison is what a check of an open sale found.
type comparison struct {
	view     flashgate.StockView
	sale     flashgate.Sale
	lag      uint64 // entries that the gate did not have yet at the last try
	compared bool   // both sides were read at the same seq
	drift    int64  // free + held − stock_left
}

// ahead reports whether the gate knows what the database does not. The gate was read
// first, so that cannot be because of the time between.
func (c *comparison) ahead() bool {
	return c.view.Open && c.sale.ID != "" && (c.view.Epoch > c.sale.Epoch || c.view.Applied > c.sale.Seq)
}

// check compares free + held at the gate with stock_left in the database. The gate
// is read first: if the database's seq then still is what the gate had applied, no
// change lies between the two and they must be equal. A difference is read twice.
func (k *keeper) check(ctx context.Context, id flashgate.SaleID) (c comparison, err error) {
	for try := range checkTries {
		if try > 0 && !sleep(ctx, checkPause) {
			return c, ctx.Err()
		}
		if c.view, err = k.view(ctx, id); err != nil || !c.view.Open {
			return c, err
		}
		if c.sale, err = k.sale(ctx, id); err != nil {
			return c, err
		}
		c.lag = c.sale.Seq - min(c.view.Applied, c.sale.Seq)
		if c.view.Applied != c.sale.Seq {
			continue
		}
		before, again := c.drift, c.compared
		c.compared, c.drift = true, c.view.Free+c.view.Held-c.sale.StockLeft
		if c.drift == 0 || again && c.drift == before {
			break
		}
	}
	return c, nil
}

// sale reads a sale from the database.
func (k *keeper) sale(ctx context.Context, id flashgate.SaleID) (s flashgate.Sale, err error) {
	err = limited(ctx, callLimit, func(ctx context.Context) (err error) {
		s, err = k.Sales.Sale(ctx, id)
		return err
	})
	return s, err
}
