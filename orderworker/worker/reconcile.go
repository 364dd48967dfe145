package worker

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"flashgate"
	"flashgate/internal/failpoint"
)

// The actions that a reconciliation leaves in the audit.
const (
	auditStarted = "reconcile_started" // the epoch was raised for it
	auditJoined  = "reconcile_joined"  // another worker's was not finished and is taken up
	auditOpened  = "reconcile_opened"
	auditLost    = "reconcile_lost" // somebody else was faster
	auditFailed  = "reconcile_failed"
)

// auditsRead is how many of a sale's newest audit rows are searched.
const auditsRead = 200

// Times of the drain: the wait before the first fence is D and half of it, for a
// sender whose clock ticks late. Fences are sent again, as one may be skipped.
const (
	fenceLook     = 50 * time.Millisecond
	firstFence    = 2 * time.Second
	longestFences = 15 * time.Second
)

// takeoverAfter is how long an unfinished reconciliation is left to whoever raised
// its epoch. Taking it up earlier would do no harm, only the same work twice.
func takeoverAfter(window time.Duration) time.Duration { return 3 * window }

// reconciliation is one attempt to open the gate of a sale that is closed.
//
// Only the epoch that is being opened tells the attempts apart, and it is raised only
// when the last one is known to have been open: the gate's head, this worker's own
// eyes or the audit say so. An epoch that was raised and not opened yet is taken up
// as it is, by any number of workers. So nobody can chase another one for ever, a
// worker that dies leaves nothing to wait for, and a drain may take its time.
//
// Nothing of this is needed for safety. Each attempt by itself reads the server's
// incarnation, sees the gate closed, waits longer than D, and sees a fence of its own
// come through the queue; Open is refused unless the server is still in that
// incarnation and its epoch is below. So if anybody opened the gate in between, this
// attempt cannot.
type reconciliation struct {
	sale        flashgate.SaleID
	incarnation string
	epoch       uint64
	// hasty: an unfinished epoch is taken up at once, not left to its raiser a while.
	hasty bool
	// fresh: this attempt has itself raised epoch 1. No gate has ever been open, so
	// nothing can be on its way.
	fresh bool
}

// lostError ends an attempt because somebody else was faster, or the server changed.
type lostError struct{ why string }

func (e lostError) Error() string { return e.why }

// errBusy ends an attempt before it began: another worker is at work.
var errBusy = lostError{"another worker has begun a reconciliation"}

// restore is one attempt of the loop that looks at the gates.
func (k *keeper) restore(ctx context.Context, id flashgate.SaleID) {
	_, err := k.reconcile(ctx, &reconciliation{sale: id})
	k.watch.done(id, err != nil && err != errBusy)
}

// reconcile makes one attempt to open the gate of a sale. A lostError means that another
// look is needed; any other error that something is away, or wrong.
func (k *keeper) reconcile(ctx context.Context, a *reconciliation) (opened flashgate.Opened, err error) {
	begin := time.Now()
	id := a.sale
	if err = k.enter(ctx, a); err == nil && !a.fresh {
		err = k.drain(ctx, a)
		if err == nil {
			failpoint.Hit(failpoint.Fenced)
		}
	}
	if err == nil {
		opened, err = k.openGate(ctx, a)
	}
	outcome := "opened"
	switch lost, ok := err.(lostError); {
	case err == nil:
	case ctx.Err() != nil, ok && a.epoch == 0, ok && lost == errBusy:
		return opened, err
	case ok:
		outcome = "lost"
		k.log.Info("the reconciliation is left to another look", saleField(id), zap.Uint64("epoch", a.epoch), zap.String("why", lost.why))
		k.audit(ctx, a, auditLost, "%s", lost.why)
	default:
		outcome = "failed"
		k.log.Error("the sale could not be reconciled, trying again", saleField(id), zap.Uint64("epoch", a.epoch), zap.Error(err))
		if !transient(err) && !k.watch.failing(id) {
			k.audit(ctx, a, auditFailed, "%v", err)
		}
	}
	k.metrics.outcomes.WithLabelValues(outcome).Inc()
	if err == nil {
		k.log.Info("the gate is open", saleField(id), zap.Uint64("epoch", a.epoch), zap.Int64("free", opened.Free),
			zap.Int64("held", opened.Held), zap.Int("requeued", opened.Requeued), zap.Duration("took", time.Since(begin)))
	}
	return opened, err
}

// enter finds the epoch to open: the unfinished one, or a new one that it raises.
func (k *keeper) enter(ctx context.Context, a *reconciliation) error {
	err := limited(ctx, callLimit, func(ctx context.Context) (err error) {
		a.incarnation, err = k.Stock.Incarnation(ctx, a.sale)
		return err
	})
	if err != nil {
		return err
	}
	v, err := k.view(ctx, a.sale)
	if err != nil {
		return err
	}
	sale, err := k.sale(ctx, a.sale)
	if err != nil {
		return err
	}
	if v.Open {
		return lostError{"the gate is open"}
	}
	a.epoch = sale.Epoch
	finished, err := k.wasOpened(ctx, a, v)
	if err != nil {
		return err
	}
	if !finished {
		if !a.hasty && !k.watch.mayJoin(a.sale, a.epoch, takeoverAfter(k.Window)) {
			return errBusy
		}
		if k.watch.firstJoin(a.sale, a.epoch) {
			k.log.Info("an unfinished reconciliation is taken up", saleField(a.sale), zap.Uint64("epoch", a.epoch))
			k.audit(ctx, a, auditJoined, "the epoch was raised and the gate not opened")
		}
		return nil
	}
	raised := false
	err = limited(ctx, callLimit, func(ctx context.Context) (err error) {
		raised, err = k.Reconciliation.RaiseEpoch(ctx, a.sale, sale.Epoch)
		return err
	})
	if err != nil {
		return err // raised or not: the next attempt finds it
	}
	a.epoch = sale.Epoch + 1
	if !raised {
		return lostError{"another worker raised the epoch"}
	}
	k.watch.setRaised(a.sale, a.epoch)
	k.metrics.raised(sale.Epoch)
	// Epoch 1 of a database that was set back is not the first.
	a.fresh = sale.Epoch == 1 && v.Epoch == 0 && k.watch.openedIn(a.sale) == 0
	k.log.Info("a reconciliation begins", saleField(a.sale), zap.Uint64("epoch", a.epoch), zap.String("incarnation", a.incarnation))
	k.audit(ctx, a, auditStarted, "from epoch %d; the gate is in incarnation %s", sale.Epoch, a.incarnation)
	return nil
}

// wasOpened reports whether the gate is known, or cannot be excluded, to have been
// open in the sale's epoch. In epoch 1 it counts as opened: that one is never opened
// apart from the database.
func (k *keeper) wasOpened(ctx context.Context, a *reconciliation, v flashgate.StockView) (bool, error) {
	if a.epoch == 1 || v.Epoch >= a.epoch || k.watch.openedIn(a.sale) >= a.epoch {
		return true, nil
	}
	var rows []flashgate.Audit
	err := limited(ctx, callLimit, func(ctx context.Context) (err error) {
		rows, err = k.Reconciliation.Audits(ctx, a.sale, auditsRead)
		return err
	})
	if err != nil {
		return false, err
	}
	raised := func(r flashgate.Audit) bool {
		return r.Epoch == a.epoch && (r.Action == auditStarted || r.Action == auditJoined)
	}
	opened := func(r flashgate.Audit) bool { return r.Epoch >= a.epoch && r.Action == auditOpened }
	// Where there are too many rows to tell, it counts as opened.
	return slices.ContainsFunc(rows, opened) || len(rows) == auditsRead && !slices.ContainsFunc(rows, raised), nil
}

// drain waits until everything that was on its way to the queue, and in it, is
// decided: longer than D, as gateways and relays publish within it or not at all,
// and then for a fence to come through the queue.
func (k *keeper) drain(ctx context.Context, a *reconciliation) error {
	if !sleep(ctx, k.Window+k.Window/2) {
		return ctx.Err()
	}
	number, err := k.drawFence(ctx, a.sale)
	if err != nil {
		return err
	}
	var again time.Time
	wait := firstFence
	for ctx.Err() == nil {
		now := time.Now()
		if !now.Before(again) {
			if err := k.stillMine(ctx, a); err != nil {
				return err
			}
			err := limited(ctx, callLimit, func(ctx context.Context) error { return k.Publisher.SendFence(ctx, a.sale, number) })
			if err != nil {
				k.metrics.failures.WithLabelValues("fence").Inc()
				k.log.Warn("the fence could not be sent, trying again", saleField(a.sale), zap.Error(err))
			}
			again = now.Add(wait)
			wait = min(2*wait, longestFences)
		}
		recorded, err := k.fenced(ctx, a.sale)
		if err == nil && recorded >= number {
			return nil
		}
		if err != nil {
			k.log.Warn("the fences cannot be read, trying again", saleField(a.sale), zap.Error(err))
		}
		sleep(ctx, fenceLook)
	}
	return ctx.Err()
}

// stillMine ends an attempt that cannot succeed any more: the epoch has moved, the
// gate is open, or its server is another one. What cannot be asked is no reason.
func (k *keeper) stillMine(ctx context.Context, a *reconciliation) error {
	if sale, err := k.sale(ctx, a.sale); err == nil && sale.Epoch != a.epoch {
		return lostError{fmt.Sprintf("the epoch has moved to %d", sale.Epoch)}
	}
	if v, err := k.view(ctx, a.sale); err == nil && v.Open {
		return lostError{"the gate is open"}
	}
	var now string
	err := limited(ctx, callLimit, func(ctx context.Context) (err error) {
		now, err = k.Stock.Incarnation(ctx, a.sale)
		return err
	})
	if err == nil && now != a.incarnation {
		return lostError{"the gate's server is in another incarnation"}
	}
	return nil
}

// openCallLimit bounds the snapshot and the opening: a sale may have a million orders.
const openCallLimit = 2 * time.Minute

// openGate opens the gate from a snapshot of the database.
func (k *keeper) openGate(ctx context.Context, a *reconciliation) (opened flashgate.Opened, err error) {
	select {
	case k.opening <- struct{}{}:
		defer func() { <-k.opening }()
	case <-ctx.Done():
		return opened, ctx.Err()
	}
	var snapshot flashgate.Snapshot
	err = limited(ctx, openCallLimit, func(ctx context.Context) (err error) {
		snapshot, err = k.Reconciliation.Snapshot(ctx, a.sale)
		return err
	})
	if err != nil {
		return opened, err
	}
	if snapshot.Sale.Epoch != a.epoch {
		return opened, lostError{fmt.Sprintf("the epoch has moved to %d", snapshot.Sale.Epoch)}
	}
	failpoint.Hit(failpoint.Snapshot)
	snapshot.Bound = k.Bound
	err = limited(ctx, openCallLimit, func(ctx context.Context) (err error) {
		opened, err = k.Stock.Open(ctx, a.incarnation, snapshot)
		return err
	})
	if flashgate.ErrorCode(err) == flashgate.CodeWrongState {
		return opened, lostError{"the gate refused: it is open already, or its server is in another incarnation"}
	}
	if err != nil {
		return opened, err
	}
	k.follows.setAway(a.sale, false)
	k.follows.forget(a.sale)
	k.audit(ctx, a, auditOpened, "free %d, held %d, requeued %d, seq %d, orders %d, dead letters %d",
		opened.Free, opened.Held, opened.Requeued, snapshot.Sale.Seq, len(snapshot.Orders), len(snapshot.Dead))
	return opened, nil
}

// audit writes a row about an attempt. What cannot be written is in the log.
func (k *keeper) audit(ctx context.Context, a *reconciliation, action, format string, args ...any) {
	row := flashgate.Audit{Sale: a.sale, Epoch: a.epoch, Action: action, Detail: fmt.Sprintf(format, args...) + " (worker " + k.name + ")"}
	err := limited(ctx, callLimit, func(ctx context.Context) error { return k.Reconciliation.Audit(ctx, row) })
	if err != nil {
		k.log.Error("an audit row could not be written", saleField(a.sale), zap.String("action", action), zap.String("detail", row.Detail), zap.Error(err))
	}
}
