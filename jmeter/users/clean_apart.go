package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"flashgate"
	"flashgate/internal/rabbitmq"
	"flashgate/shopapp/shop"
)

// apart are the ports of a sale whose gate, queue and database are three servers.
type apart struct {
	sales     flashgate.SaleStore
	records   flashgate.Reconciliation
	fences    flashgate.FenceStore
	stock     flashgate.Stock
	backlog   flashgate.BacklogReader
	gate      flashgate.GateRemover
	publisher interface {
		flashgate.Fencer
		Close() error
	}
}

// forgetting is how long the order workers take at most, when all is well, to notice
// that a sale is gone. Removing its gate earlier does no harm, but they would try in
// vain to open it, and say so.
const forgetting = 500 * time.Millisecond

// removeApart takes a sale away when nothing of it can be on its way any more: as in a
// reconciliation, the gate is at rest, then longer than the publish window goes by, and
// then a fence comes through the queue. The database comes first, as the order worker
// would open the gate of a sale that it has; the gate remembers for a while that it is
// closed, for a worker that began to open it before.
func removeApart(ctx context.Context, cfg shop.Config, remover flashgate.SaleRemover, removal flashgate.SaleRemoval) (err error) {
	url := os.Getenv("AMQP_URL")
	if url == "" {
		return errors.New("AMQP_URL is not set: without it nobody knows whether a message of the sale is still in the queue")
	}
	a := apart{sales: cfg.Sales}
	var ok [5]bool
	a.records, ok[0] = cfg.Sales.(flashgate.Reconciliation)
	a.fences, ok[1] = cfg.Sales.(flashgate.FenceStore)
	a.backlog, ok[2] = cfg.Stock.(flashgate.BacklogReader)
	a.gate, ok[3] = cfg.Stock.(flashgate.GateRemover)
	a.stock, ok[4] = cfg.Stock, true
	if ok != [5]bool{true, true, true, true, true} {
		return errors.New("these backends cannot take a sale away")
	}
	publisher, err := rabbitmq.OpenPublisher(rabbitmq.Config{URL: url})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, publisher.Close()) }()
	a.publisher = publisher
	err = untilAtRest(ctx, func() error {
		if removal.At, err = a.drained(ctx, removal.Sale); err != nil {
			return err
		}
		return remover.RemoveSale(ctx, removal)
	})
	if err != nil {
		return err
	}
	if removal.At != (flashgate.Position{}) {
		if err := wait(ctx, forgetting); err != nil {
			return err
		}
	} else if here, err := a.wasHere(ctx, removal.Sale); err != nil || !here {
		return err
	}
	return a.gate.RemoveGate(ctx, removal.Sale)
}

// wasHere reports whether a sale that the database does not have was taken away from it,
// so that what the gate has is the rest of it. One that nobody knows never was anywhere.
func (a apart) wasHere(ctx context.Context, id flashgate.SaleID) (bool, error) {
	audits, err := a.records.Audits(ctx, id, 1000)
	if err != nil {
		return false, err
	}
	if slices.ContainsFunc(audits, func(r flashgate.Audit) bool { return r.Action == flashgate.AuditSaleRemoved }) {
		return true, nil
	}
	switch _, err := a.stock.View(ctx, id); {
	case flashgate.ErrorCode(err) == flashgate.CodeNotFound:
		return false, nil
	case err != nil:
		return false, err
	}
	return false, fmt.Errorf("the gate has sale %s, and the database never had it: MYSQL_DSN and REDIS_URL are of two sites", id)
}

// drained returns where a sale rests when nothing of it is held, in the outbox or in the
// queue. The zero position is that of one that is gone.
func (a apart) drained(ctx context.Context, id flashgate.SaleID) (flashgate.Position, error) {
	sale, err := ended(ctx, a.sales, id)
	if err != nil || sale.ID == "" {
		return flashgate.Position{}, err
	}
	at := flashgate.Position{Epoch: sale.Epoch, Applied: sale.Seq}
	never, err := a.atRest(ctx, sale)
	if err != nil || never {
		return at, err
	}
	if err := wait(ctx, flashgate.PublishWindow+flashgate.PublishWindow/2); err != nil {
		return at, err
	}
	if err := a.fence(ctx, id); err != nil {
		return at, err
	}
	// Nothing that came through has taken it elsewhere: RemoveSale compares the position.
	_, err = a.atRest(ctx, sale)
	return at, err
}

// atRest is CodeWrongState while something of the sale is on its way. never says that no
// gate was ever open for it, so nothing can be.
func (a apart) atRest(ctx context.Context, sale flashgate.Sale) (never bool, err error) {
	const op = "users.clean"
	v, err := a.stock.View(ctx, sale.ID)
	if flashgate.ErrorCode(err) == flashgate.CodeNotFound && sale.Epoch == 1 {
		return true, nil
	}
	if err != nil && flashgate.ErrorCode(err) != flashgate.CodeNotFound {
		return false, err
	}
	if !v.Open || v.Epoch != sale.Epoch || v.Applied != sale.Seq || v.Now.Before(v.Ends) {
		return false, flashgate.Errorf(flashgate.CodeWrongState, op, "The gate of sale %s does not know yet what the database does: does an order worker run?", sale.ID)
	}
	dead, err := a.deadUnits(ctx, sale.ID, v.Held)
	if err != nil {
		return false, err
	}
	backlog, err := a.backlog.Backlog(ctx, sale.ID, "", nil)
	if err != nil {
		return false, err
	}
	if v.Held != dead || backlog.Outbox > 0 {
		return false, flashgate.Errorf(flashgate.CodeWrongState, op, "Sale %s has reservations on the way: %d units held, %d orders not in the queue.", sale.ID, v.Held-dead, backlog.Outbox)
	}
	return false, nil
}

// deadUnits is how much of what is held has a dead letter, and so rests.
func (a apart) deadUnits(ctx context.Context, id flashgate.SaleID, held int64) (units int64, err error) {
	if held == 0 {
		return 0, nil
	}
	snapshot, err := a.records.Snapshot(ctx, id)
	if err != nil {
		return 0, err
	}
	for _, order := range snapshot.Dead {
		r, ok, err := a.stock.Held(ctx, order)
		if err != nil {
			return 0, err
		}
		if ok {
			units += int64(r.Units)
		}
	}
	return units, nil
}

// fence returns when everything that was in the sale's queue is decided.
func (a apart) fence(ctx context.Context, id flashgate.SaleID) error {
	number, err := a.fences.DrawFence(ctx, id)
	if err != nil {
		return err
	}
	// One may be skipped, so it is sent again.
	again := time.NewTicker(flashgate.PublishWindow)
	defer again.Stop()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	if err := a.publisher.SendFence(ctx, id, number); err != nil {
		return err
	}
	for {
		fenced, err := a.fences.Fenced(ctx, id)
		if err != nil {
			return err
		}
		if fenced >= number {
			return nil
		}
		select {
		case <-look.C:
		case <-again.C:
			if err := a.publisher.SendFence(ctx, id, number); err != nil {
				return err
			}
		case <-ctx.Done():
			return flashgate.Errorf(flashgate.CodeWrongState, "users.clean", "No fence comes through the queue of sale %s: does an order worker run?", id)
		}
	}
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
