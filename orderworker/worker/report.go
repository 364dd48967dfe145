package worker

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"flashgate"
)

// Report is what Reconcile found and did.
type Report struct {
	Sale   flashgate.Sale      // as the database has it
	View   flashgate.StockView // as the gate has it; not Open when it is closed
	DryRun bool
	Action string // in words: what was done, or would be done

	// The database's snapshot.
	Orders      int   // rows
	LiveUnits   int64 // units of pending and paid orders
	DeadLetters int
	// Missing is Seeded − StockLeft − LiveUnits. Anything but zero is a bug.
	Missing int64

	// Of an open gate.
	Compared bool   // gate and database were read at the same seq
	GateLeft int64  // then: the database's StockLeft at that seq, which may be a later one than Sale's
	Drift    int64  // then: Free + Held − GateLeft; anything but zero is a bug
	Ahead    bool   // the gate is ahead of the database, which was set back: wipe the gate
	Lag      uint64 // entries of the log that the gate had not applied
	Waiting  int    // reservations held for more than 5 D and not in the outbox, at most 1024

	// Opened is set when this call opened the gate.
	Opened *flashgate.Opened
}

// waitingReported bounds Report.Waiting.
const waitingReported = 1024

// Reconcile looks at one sale and, when its gate is closed and it is no dry run, opens
// it as a running worker would. Of an open sale it only checks and reports. Only Gate
// and Logger of the configuration are used.
//
// Opening a sale that was open before needs a running worker on the sale's queue, as
// what is in it has to be decided first; Reconcile waits for that until ctx ends.
//
// Errors are CodeInvalid for the configuration, CodeNotFound for an unknown sale, and
// CodeUnavailable when a backend is away or ctx ended first. The report then holds
// what was found until there.
func Reconcile(ctx context.Context, cfg Config, sale flashgate.SaleID, dryRun bool) (Report, error) {
	const op = "worker.Reconcile"
	out := Report{DryRun: dryRun}
	if cfg.Gate == nil {
		return out, flashgate.Invalid(op, "gate", "is required: where gate and database share their transactions there is nothing to reconcile")
	}
	gate, err := cfg.Gate.checked(op)
	if err != nil {
		return out, err
	}
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	k := newKeeper(gate, cfg.Logger)
	err = k.report(ctx, &out, sale)
	if err == nil && !out.View.Open && !dryRun {
		err = k.reconcileNow(ctx, &out, sale)
	}
	if err != nil && transient(err) && flashgate.ErrorCode(err) != flashgate.CodeUnavailable {
		err = &flashgate.Error{Code: flashgate.CodeUnavailable, Op: op, Err: err, RetryAfter: time.Second,
			Message: "The time was over first. Does a worker run on the sale's queue?"}
	}
	return out, err
}

// report fills in what there is to see.
func (k *keeper) report(ctx context.Context, out *Report, id flashgate.SaleID) (err error) {
	a := &reconciliation{sale: id}
	var snapshot flashgate.Snapshot
	err = limited(ctx, openCallLimit, func(ctx context.Context) (err error) {
		snapshot, err = k.Reconciliation.Snapshot(ctx, id)
		return err
	})
	if err != nil {
		return err
	}
	out.Sale, out.Orders, out.DeadLetters, out.LiveUnits = snapshot.Sale, len(snapshot.Orders), len(snapshot.Dead), 0
	for _, o := range snapshot.Orders {
		if o.Live {
			out.LiveUnits += int64(o.Units)
		}
	}
	out.Missing = out.Sale.Seeded - out.Sale.StockLeft - out.LiveUnits
	if out.View, err = k.view(ctx, id); err != nil {
		return err
	}
	if !out.View.Open {
		a.epoch = out.Sale.Epoch
		finished, err := k.wasOpened(ctx, a, out.View)
		switch {
		case err != nil:
			return err
		case a.epoch == 1:
			out.Action = "would open the gate for the first time, in epoch 2"
		case finished:
			out.Action = fmt.Sprintf("would raise the epoch to %d, wait %s, drain the queue and open the gate", a.epoch+1, k.Window+k.Window/2)
		default:
			out.Action = fmt.Sprintf("would take up the unfinished reconciliation of epoch %d, wait %s, drain the queue and open the gate", a.epoch, k.Window+k.Window/2)
		}
		return nil
	}
	c, err := k.check(ctx, id)
	if err != nil {
		return err
	}
	out.Action = "none, the gate is open"
	// Sale stays the snapshot's: its sums are of one moment, and sales go on meanwhile.
	out.View, out.Compared, out.GateLeft, out.Drift, out.Lag, out.Ahead = c.view, c.compared, c.sale.StockLeft, c.drift, c.lag, c.ahead()
	var waiting []flashgate.Reservation
	err = limited(ctx, callLimit, func(ctx context.Context) (err error) {
		waiting, err = k.Stock.Waiting(ctx, id, rescueAge*k.Window, waitingReported)
		return err
	})
	out.Waiting = len(waiting)
	if closedAtGate(err) {
		out.View.Open = false // it closed just now
		return nil
	}
	return err
}

// reconcileNow makes attempts until the gate is open, whoever opens it.
func (k *keeper) reconcileNow(ctx context.Context, out *Report, id flashgate.SaleID) error {
	for {
		opened, err := k.reconcile(ctx, &reconciliation{sale: id, hasty: true})
		if err == nil {
			out.Opened = &opened
		} else if _, lost := err.(lostError); !lost {
			return err
		}
		if err := k.report(ctx, out, id); err != nil {
			return err
		}
		switch {
		case out.View.Open && out.Opened != nil:
			out.Action = fmt.Sprintf("opened the gate in epoch %d", out.View.Epoch)
			return nil
		case out.View.Open:
			out.Action = fmt.Sprintf("none, another worker opened the gate in epoch %d", out.View.Epoch)
			return nil
		}
		if !sleep(ctx, lookEvery) {
			return ctx.Err()
		}
	}
}
