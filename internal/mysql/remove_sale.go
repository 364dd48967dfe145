package mysql

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"flashgate"
)

// removedAtOnce bounds the users of one statement, as expireAtOnce does.
const removedAtOnce = 500

// RemoveSale deletes a sale under the lock of its row, as decisions and changes take it.
func (s *Store) RemoveSale(ctx context.Context, r flashgate.SaleRemoval) error {
	const op = "mysql.RemoveSale"
	_, err := write(ctx, s, op, repeatable, func(t *txn) (struct{}, error) {
		there, err := t.mayRemove(op, r)
		if err != nil {
			return struct{}{}, err
		}
		if there {
			if _, err := t.exec(query("audit_put"), r.Sale, r.At.Epoch, flashgate.AuditSaleRemoved, "after a load test, with its orders"); err != nil {
				return struct{}{}, err
			}
		}
		for _, name := range []string{"remove_orders", "remove_dead_letters", "remove_buyers", "remove_log", "remove_sale"} {
			if _, err := t.exec(query(name), r.Sale); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	})
	return err
}

// mayRemove reports whether the sale is there, if what is of it may go.
func (t *txn) mayRemove(op string, r flashgate.SaleRemoval) (there bool, err error) {
	refuse := func(format string, args ...any) (bool, error) {
		return false, flashgate.Errorf(flashgate.CodeWrongState, op, format, args...)
	}
	l, locked := t.lock(r.Sale)
	if locked != nil && !errors.Is(locked, sql.ErrNoRows) {
		return false, locked
	}
	buyers, err := collect(t.ctx, t, func(r scanner) (user flashgate.UserID, err error) {
		err = r.Scan(&user)
		return user, err
	}, query("removal_buyers"), r.Sale)
	if err != nil {
		return false, err
	}
	letters, err := collect(t.ctx, t, scanDeadLetter, query("snapshot_dead"), r.Sale)
	if err != nil {
		return false, err
	}
	if user, ok := r.Stranger(buyers, letters); ok {
		return false, flashgate.Errorf(flashgate.CodeForbidden, op, "Sale %s has an order of user %s, who is not among its buyers.", r.Sale, user)
	}
	switch {
	case locked != nil: // what late messages have left is a dead letter at most
	case l.at < l.Ends.UnixMilli():
		return refuse("Sale %s has not ended: close it first.", r.Sale)
	case r.At != flashgate.Position{Epoch: l.Epoch, Applied: l.Seq}:
		return refuse("Sale %s has changed meanwhile: look again.", r.Sale)
	}
	return locked == nil, nil
}

// RemoveUsers deletes users in several transactions: one that fails leaves some of them.
func (s *Store) RemoveUsers(ctx context.Context, ids []flashgate.UserID) error {
	for some := range slices.Chunk(ids, removedAtOnce) {
		args := make([]any, len(some))
		for i, id := range some {
			args[i] = id
		}
		_, err := write(ctx, s, "mysql.RemoveUsers", repeatable, func(t *txn) (int64, error) {
			return t.exec(lists("remove_users", len(args)), args...)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

var (
	_ flashgate.SaleRemover = (*Store)(nil)
	_ flashgate.UserRemover = (*Store)(nil)
)
