package worker

import (
	"context"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"flashgate"
	"flashgate/internal/failpoint"
)

// Bounds of one round of the relay, by sale.
const (
	leaseAtOnce = 256
	leaseRounds = 16
)

// relay publishes again what gateways reserved and did not get through, and rescues
// what the queue has lost, for as long as the worker runs. Several workers may do so
// at once: a lease is given once, and identity is the order id.
func (r *run) relay() {
	k := r.gate
	rescues := map[flashgate.SaleID]*rescue{}
	var rescued time.Time
	var b backoff
	for sleep(r.stop, k.Window/2) {
		var failed atomic.Bool
		forEach(k.watch.holding(), salesAtOnce, func(id flashgate.SaleID) {
			if err := k.relaySale(r.stop, id); err != nil && !closedAtGate(err) {
				failed.Store(true)
			}
		})
		if failed.Load() {
			b.waitAtMost(r.stop, 2*k.Window)
		} else {
			b.failures = 0
		}
		if time.Since(rescued) < 2*k.Window {
			continue
		}
		rescued = time.Now()
		holding := k.watch.holding()
		for _, id := range holding {
			if rescues[id] == nil {
				rescues[id] = &rescue{limit: waitingAtOnce}
			}
		}
		forEach(holding, salesAtOnce, func(id flashgate.SaleID) {
			if err := k.rescueSale(r.stop, id, rescues[id]); err != nil && !closedAtGate(err) && r.stop.Err() == nil {
				k.metrics.failures.WithLabelValues("rescue").Inc()
				k.log.Warn("what has been held for long cannot be looked into, trying again", saleField(id), zap.Error(err))
			}
		})
	}
}

// relaySale leases what is older than D and publishes it within D after that, or not
// at all: whoever waits longer than D after the gate has closed must be able to rely
// on it. So the time runs from before the lease, and ends a little early.
func (k *keeper) relaySale(ctx context.Context, id flashgate.SaleID) error {
	for range leaseRounds {
		begin := time.Now()
		within, cancel := context.WithDeadline(ctx, begin.Add(k.Window-k.Window/10))
		n, err := k.relayOnce(within, id)
		cancel()
		if err != nil {
			if !closedAtGate(err) && ctx.Err() == nil {
				k.metrics.failures.WithLabelValues("relay").Inc()
				k.log.Warn("the relay failed, trying again", saleField(id), zap.Error(err))
			}
			return err
		}
		if n < leaseAtOnce {
			return nil
		}
	}
	return nil
}

// relayOnce handles one lease and returns how many were in it. ctx ends before the
// lease does.
func (k *keeper) relayOnce(ctx context.Context, id flashgate.SaleID) (int, error) {
	rs, err := k.Stock.Lease(ctx, id, k.Window, k.Window, leaseAtOnce)
	if k.noteGate(id, err) != nil {
		return 0, err
	}
	if len(rs) == 0 {
		return 0, nil
	}
	failpoint.Hit(failpoint.Leased)
	_, view := k.watch.stateOf(id)
	if err := k.Publisher.Publish(ctx, flashgate.NewMessage(id, max(view.Epoch, 1), rs...)); err != nil {
		return 0, err // the lease ends by itself
	}
	failpoint.Hit(failpoint.Relayed)
	ids := orderIDs(rs)
	k.metrics.relayed.Add(float64(len(ids)))
	k.log.Info("reservations published again", saleField(id), zap.Int("orders", len(ids)), zap.String("first", string(ids[0])))
	// It is published, whether or not the gate hears of it: then it is once more.
	err = k.Stock.Published(ctx, id, ids)
	return len(rs), k.noteGate(id, err)
}

func orderIDs(rs []flashgate.Reservation) []flashgate.OrderID {
	ids := make([]flashgate.OrderID, len(rs))
	for i, r := range rs {
		ids[i] = r.Order
	}
	return ids
}
