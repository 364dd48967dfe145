package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"flashgate"
)

// check is nil when the sale can be bought in now, in the database and at the gate: what
// the shop shows of a sale whose gate is closed is the database's window.
func check(ctx context.Context, o options) (err error) {
	if err := dataFile(); err != nil {
		return err
	}
	b, _, err := open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	id := o.sale.ID
	sale, err := b.Config.Sales.Sale(ctx, id)
	if flashgate.ErrorCode(err) == flashgate.CodeNotFound {
		return fmt.Errorf("there is no sale %s in the database", id)
	}
	if err != nil {
		return err
	}
	v, err := b.Config.Stock.View(ctx, id)
	switch {
	case flashgate.ErrorCode(err) == flashgate.CodeNotFound || err == nil && !v.Open:
		return fmt.Errorf("the gate of sale %s is closed: it has lost its state, or has never been opened; an order worker opens it, and does one run?", id)
	case err != nil:
		return err
	}
	if err := inWindow(id, v.Now, v.Starts, v.Ends); err != nil {
		return err
	}
	// What an operator has changed reaches the gate by an order worker.
	if err := inWindow(id, time.Now(), sale.Starts, sale.Ends); err != nil {
		return fmt.Errorf("%w, which its gate does not know yet: does an order worker run?", err)
	}
	return nil
}

// inWindow says where a sale stands that cannot be bought in.
func inWindow(id flashgate.SaleID, now, starts, ends time.Time) error {
	switch flashgate.PhaseAt(now, starts, ends) {
	case flashgate.PhaseUpcoming:
		return fmt.Errorf("sale %s has not started", id)
	case flashgate.PhaseEnded:
		return fmt.Errorf("sale %s has ended or was closed", id)
	default:
		return nil
	}
}

// dataFile: opening would make the embedded file where there is none.
func dataFile() error {
	if os.Getenv("MYSQL_DSN") != "" || os.Getenv("REDIS_URL") != "" {
		return nil
	}
	folder := os.Getenv("FLASHGATE_DATA")
	if folder == "" {
		folder = "data"
	}
	_, err := os.Stat(filepath.Join(folder, "flashgate.db"))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no flashgate.db in the folder %s", folder)
	}
	return err
}
