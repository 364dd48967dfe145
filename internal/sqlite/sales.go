package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"flashgate"
)

func scanSale(r scanner) (s flashgate.Sale, err error) {
	var starts, ends int64
	err = r.Scan(&s.ID, &s.Goods, &s.FlashPrice, &starts, &ends, &s.PerUser, &s.Seeded, &s.StockLeft, &s.Seq, &s.Epoch)
	s.Starts, s.Ends = toTime(starts), toTime(ends)
	return s, err
}

// CreateSale writes the sale and opens its gate.
func (s *Store) CreateSale(ctx context.Context, sale flashgate.Sale) error {
	const op = "sqlite.CreateSale"
	if err := sale.Validate(); err != nil {
		return err
	}
	_, err := write(ctx, s, op, func(t *txn) (struct{}, error) {
		_, err := scanSale(t.row("sale", sale.ID))
		if err == nil {
			return struct{}{}, flashgate.Invalid(op, "id", "there is a sale %s already", sale.ID)
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return struct{}{}, err
		}
		starts, ends := sale.Starts.UnixMilli(), sale.Ends.UnixMilli()
		if _, err := t.exec("sale_create", sale.ID, sale.Goods, sale.FlashPrice, starts, ends, sale.PerUser, sale.Seeded); err != nil {
			return struct{}{}, err
		}
		_, err = t.exec("gate_create", sale.ID, sale.Seeded, starts, ends, sale.PerUser, flashgate.DefaultBound)
		return struct{}{}, err
	})
	return err
}

// Sale reads one sale.
func (s *Store) Sale(ctx context.Context, id flashgate.SaleID) (flashgate.Sale, error) {
	const op = "sqlite.Sale"
	sale, err := scanSale(s.row(ctx, "sale", id))
	if errors.Is(err, sql.ErrNoRows) {
		return flashgate.Sale{}, notFound(op, "sale")
	}
	return sale, unavailable(op, err)
}

// Sales reads all of them.
func (s *Store) Sales(ctx context.Context) ([]flashgate.Sale, error) {
	out, err := all(ctx, s, scanSale, "sales")
	return out, unavailable("sqlite.Sales", err)
}

// ChangeSale changes database and gate together.
func (s *Store) ChangeSale(ctx context.Context, id flashgate.SaleID, c flashgate.SaleChange) (flashgate.Sale, error) {
	const op = "sqlite.ChangeSale"
	if err := c.Validate(); err != nil {
		return flashgate.Sale{}, err
	}
	return write(ctx, s, op, func(t *txn) (flashgate.Sale, error) {
		sale, err := scanSale(t.row("sale", id))
		if errors.Is(err, sql.ErrNoRows) {
			return sale, notFound(op, "sale")
		}
		if err != nil {
			return sale, err
		}
		if err := t.moveWindow(op, sale, c); err != nil {
			return sale, err
		}
		if c.Restock > 0 {
			if sale.Seeded+c.Restock > flashgate.MaxStock {
				return sale, flashgate.Invalid(op, "restock", "the sale would have more than %d units", int64(flashgate.MaxStock))
			}
			if _, err := t.exec("sale_restock", id, c.Restock); err != nil {
				return sale, err
			}
			if _, err := t.exec("gate_move", id, c.Restock, 0); err != nil {
				return sale, err
			}
		}
		return scanSale(t.row("sale", id))
	})
}

func (t *txn) moveWindow(op string, sale flashgate.Sale, c flashgate.SaleChange) error {
	starts, ends := sale.Starts.UnixMilli(), sale.Ends.UnixMilli()
	if c.Starts != nil {
		starts = c.Starts.UnixMilli()
	}
	if c.Ends != nil {
		ends = c.Ends.UnixMilli()
	}
	if c.Close {
		ends = min(ends, now())
		starts = min(starts, ends-1) // a sale closed before its start never was open
	}
	if starts >= ends {
		return flashgate.Invalid(op, "ends_at", "must be later than starts_at")
	}
	if starts == sale.Starts.UnixMilli() && ends == sale.Ends.UnixMilli() {
		return nil
	}
	if _, err := t.exec("sale_window", sale.ID, starts, ends); err != nil {
		return err
	}
	_, err := t.exec("gate_window", sale.ID, starts, ends)
	return err
}

var _ flashgate.SaleStore = (*Store)(nil)
