package mysql

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"flashgate"
)

// expireAtOnce bounds one transaction. From 1,000 values on MariaDB makes a list into a
// table of its own, and then joins as it likes.
const expireAtOnce = 500

// Expire cancels what was not paid in time, in few transactions for each sale. What
// another worker has cancelled meanwhile is found to be so under the sale's lock.
func (s *Store) Expire(ctx context.Context, max int) (n int, next time.Time, err error) {
	const op = "mysql.Expire"
	due := map[flashgate.SaleID][]any{}
	_, err = collect(ctx, s.db, func(r scanner) (struct{}, error) {
		var id flashgate.OrderID
		var sale flashgate.SaleID
		err := r.Scan(&id, &sale)
		due[sale] = append(due[sale], id)
		return struct{}{}, err
	}, query("orders_due"), max)
	if err != nil {
		return 0, next, failure(op, err)
	}
	for sale, all := range due {
		for ids := range slices.Chunk(all, expireAtOnce) {
			some, err := write(ctx, s, op, repeatable, func(t *txn) (int, error) { return t.expire(sale, ids) })
			if err != nil {
				return n, next, err
			}
			n += some
		}
	}
	var ms sql.NullInt64
	if err := s.db.QueryRowContext(ctx, query("orders_next_expiry")).Scan(&ms); err != nil {
		return n, next, failure(op, err)
	}
	if ms.Valid {
		next = toTime(ms.Int64)
	}
	return n, next, nil
}

func (t *txn) expire(sale flashgate.SaleID, ids []any) (int, error) {
	l, err := t.lock(sale)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil // orders without their sale: nothing here makes them
	}
	if err != nil {
		return 0, err
	}
	os, err := collect(t.ctx, t, scanOrder, lists("orders_due_lock", len(ids)), append([]any{l.at}, ids...)...)
	if err != nil || len(os) == 0 {
		return 0, err
	}
	return len(os), t.cancel(l, flashgate.ReasonExpired, os)
}
