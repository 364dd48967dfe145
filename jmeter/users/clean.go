package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"flashgate"
	"flashgate/shopapp/backend"
	"flashgate/shopapp/shop"
)

// clean takes away what run has made: first the sale, then the users, whose orders are
// gone with it.
func clean(ctx context.Context, o options) (err error) {
	members, err := readMembers(o.csv)
	if err != nil {
		return err
	}
	b, service, err := open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if err := service.CheckCrowd(ctx, members); err != nil {
		return err
	}
	if o.sale.ID != "" {
		if err := removeSale(ctx, b, service, o, members); err != nil {
			return err
		}
	}
	return service.RemoveCrowd(ctx, members)
}

func readMembers(file string) ([]shop.Member, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	members, err := shop.ReadCSV(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return members, nil
}

func removeSale(ctx context.Context, b *backend.Backend, service *shop.Service, o options, members []shop.Member) error {
	removal := flashgate.SaleRemoval{Sale: o.sale.ID}
	for _, m := range members {
		removal.Buyers = append(removal.Buyers, m.User)
	}
	remover, ok := b.Config.Sales.(flashgate.SaleRemover)
	if !ok {
		return errors.New("this database cannot take a sale away")
	}
	if o.close {
		if err := closeSale(ctx, b.Config.Sales, service, remover, removal); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, o.patient)
	defer cancel()
	if _, ok := b.Config.Stock.(flashgate.GateRemover); ok {
		return removeApart(ctx, b.Config, remover, removal)
	}
	return untilAtRest(ctx, func() error {
		sale, err := ended(ctx, b.Config.Sales, removal.Sale)
		if err != nil {
			return err
		}
		removal.At = flashgate.Position{Epoch: sale.Epoch, Applied: sale.Seq}
		return remover.RemoveSale(ctx, removal)
	})
}

// closeSale ends a sale at once, but not one that cannot be the load test's: real
// customers have ordered in it, or it is yet to come, and those that are made for a test
// are open from the beginning.
func closeSale(ctx context.Context, sales flashgate.SaleStore, service *shop.Service, remover flashgate.SaleRemover, removal flashgate.SaleRemoval) error {
	// At no position nothing is removed, but strangers are found.
	if err := remover.RemoveSale(ctx, removal); flashgate.ErrorCode(err) != flashgate.CodeWrongState {
		return err
	}
	sale, err := sales.Sale(ctx, removal.Sale)
	switch {
	case flashgate.ErrorCode(err) == flashgate.CodeNotFound:
		return nil
	case err != nil:
		return err
	case time.Now().Before(sale.Starts):
		return fmt.Errorf("sale %s has not started: it is not a load test's", sale.ID)
	}
	_, err = service.ChangeSale(ctx, administrator, sale.ID, flashgate.SaleChange{Close: true})
	if flashgate.ErrorCode(err) == flashgate.CodeNotFound {
		return nil
	}
	return err
}

// errOpen is what is not waited for: a sale ends when somebody ends it.
var errOpen = errors.New("has not ended: close it first, or give --close")

// ended reads a sale that is over. One that is gone is the zero Sale.
func ended(ctx context.Context, sales flashgate.SaleStore, id flashgate.SaleID) (flashgate.Sale, error) {
	sale, err := sales.Sale(ctx, id)
	switch {
	case flashgate.ErrorCode(err) == flashgate.CodeNotFound:
		return flashgate.Sale{}, nil
	case err != nil:
		return sale, err
	case time.Now().Before(sale.Ends):
		return sale, fmt.Errorf("sale %s %w", id, errOpen)
	}
	return sale, nil
}

// untilAtRest tries again while the sale is not at rest, until ctx ends; then it gives
// the last reason.
func untilAtRest(ctx context.Context, try func() error) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		err := try()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil && last != nil:
			return fmt.Errorf("nothing was taken away: %w", last)
		case flashgate.ErrorCode(err) == flashgate.CodeNotFound: // somebody else has taken it away meanwhile
		case flashgate.ErrorCode(err) != flashgate.CodeWrongState:
			return err
		}
		last = err
		select {
		case <-ctx.Done():
			return fmt.Errorf("nothing was taken away: %w", last)
		case <-tick.C:
		}
	}
}
