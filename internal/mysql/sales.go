package mysql

import (
	"context"
	"database/sql"
	"errors"

	"flashgate"

	driversql "github.com/go-sql-driver/mysql"
)

func scanSale(r scanner) (s flashgate.Sale, err error) { return scanSaleAnd(r) }

// scanSaleAnd reads what else the statement selects into more.
func scanSaleAnd(r scanner, more ...any) (s flashgate.Sale, err error) {
	var starts, ends int64
	into := []any{&s.ID, &s.Goods, &s.FlashPrice, &starts, &ends, &s.PerUser, &s.Seeded, &s.StockLeft, &s.Seq, &s.Epoch}
	err = r.Scan(append(into, more...)...)
	s.Starts, s.Ends = toTime(starts), toTime(ends)
	return s, err
}

// duplicate reports whether a row with the same key is there already.
func duplicate(err error) bool {
	e, ok := errors.AsType[*driversql.MySQLError](err)
	return ok && e.Number == 1062
}

// CreateSale writes the sale in epoch 1, in which no gate is open: the order worker
// finds it and opens one.
func (s *Store) CreateSale(ctx context.Context, sale flashgate.Sale) error {
	const op = "mysql.CreateSale"
	if err := sale.Validate(); err != nil {
		return err
	}
	_, err := write(ctx, s, op, onlyOnce, func(t *txn) (struct{}, error) {
		_, err := t.exec(query("sale_create"), sale.ID, sale.Goods, sale.FlashPrice, sale.Starts.UnixMilli(), sale.Ends.UnixMilli(),
			sale.PerUser, sale.Seeded, sale.Seeded)
		if duplicate(err) {
			err = flashgate.Invalid(op, "id", "there is a sale %s already", sale.ID)
		}
		return struct{}{}, err
	})
	return err
}

// Sale reads one sale.
func (s *Store) Sale(ctx context.Context, id flashgate.SaleID) (flashgate.Sale, error) {
	const op = "mysql.Sale"
	sale, err := scanSale(s.db.QueryRowContext(ctx, query("sale"), id))
	if errors.Is(err, sql.ErrNoRows) || err == nil && sale.ID != id {
		return flashgate.Sale{}, notFound(op, "sale")
	}
	return sale, failure(op, err)
}

// Sales reads all of them.
func (s *Store) Sales(ctx context.Context) ([]flashgate.Sale, error) {
	out, err := collect(ctx, s.db, scanSale, query("sales"))
	return out, failure("mysql.Sales", err)
}

// locked is a sale whose row this transaction has locked, and the database's time.
type locked struct {
	flashgate.Sale
	at int64
}

// lock locks the sale's row, before anything else of the sale. It gives
// sql.ErrNoRows for an unknown one.
func (t *txn) lock(id flashgate.SaleID) (l locked, err error) {
	l.Sale, err = scanSaleAnd(t.row("sale_lock", id), &l.at)
	if err == nil && l.ID != id {
		return locked{}, sql.ErrNoRows
	}
	return l, err
}

// ChangeSale writes the change and one entry of the log that tells all of it.
func (s *Store) ChangeSale(ctx context.Context, id flashgate.SaleID, c flashgate.SaleChange) (flashgate.Sale, error) {
	const op = "mysql.ChangeSale"
	if err := c.Validate(); err != nil {
		return flashgate.Sale{}, err
	}
	return write(ctx, s, op, onlyOnce, func(t *txn) (flashgate.Sale, error) {
		l, err := t.lock(id)
		if errors.Is(err, sql.ErrNoRows) {
			return l.Sale, notFound(op, "sale")
		}
		if err != nil {
			return l.Sale, err
		}
		changes, err := l.change(op, c)
		if err != nil || len(changes) == 0 {
			return l.Sale, err
		}
		l.Seq++
		_, err = t.exec(query("sale_change"), l.Starts.UnixMilli(), l.Ends.UnixMilli(), c.Restock, c.Restock, id)
		if err != nil {
			return l.Sale, err
		}
		if c.Restock > 0 {
			if err := t.insert("events_put", [][]any{l.event(flashgate.EventRestocked, "", "", c.Restock)}); err != nil {
				return l.Sale, err
			}
		}
		return l.Sale, t.log(l.Sale, changes)
	})
}

// change changes l as c asks and returns what there is to tell; nothing when nothing
// is different.
func (l *locked) change(op string, c flashgate.SaleChange) (changes []flashgate.Change, err error) {
	starts, ends := l.Starts.UnixMilli(), l.Ends.UnixMilli()
	if c.Starts != nil {
		starts = c.Starts.UnixMilli()
	}
	if c.Ends != nil {
		ends = c.Ends.UnixMilli()
	}
	if c.Close {
		ends = min(ends, l.at)
		starts = min(starts, ends-1) // a sale closed before its start never was open
	}
	if starts >= ends {
		return nil, flashgate.Invalid(op, "ends_at", "must be later than starts_at")
	}
	if starts != l.Starts.UnixMilli() || ends != l.Ends.UnixMilli() {
		l.Starts, l.Ends = toTime(starts), toTime(ends)
		changes = append(changes, flashgate.Change{Kind: flashgate.ChangeWindow})
	}
	if c.Restock > 0 {
		if l.Seeded+c.Restock > flashgate.MaxStock {
			return nil, flashgate.Invalid(op, "restock", "the sale would have more than %d units", int64(flashgate.MaxStock))
		}
		l.Seeded, l.StockLeft = l.Seeded+c.Restock, l.StockLeft+c.Restock
		changes = append(changes, flashgate.Change{Kind: flashgate.ChangeRestock, Units: c.Restock})
	}
	return changes, nil
}

var _ flashgate.SaleStore = (*Store)(nil)
