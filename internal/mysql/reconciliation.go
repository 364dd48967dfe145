package mysql

import (
	"context"
	"database/sql"
	"errors"

	"flashgate"
)

// RaiseEpoch is one compare-and-set.
func (s *Store) RaiseEpoch(ctx context.Context, sale flashgate.SaleID, from uint64) (bool, error) {
	const op = "mysql.RaiseEpoch"
	// Once only: after a commit whose outcome is not known, a second try would find
	// the epoch raised, by itself, and call it somebody else's.
	return write(ctx, s, op, onlyOnce, func(t *txn) (bool, error) {
		if _, err := t.lock(sale); errors.Is(err, sql.ErrNoRows) {
			return false, notFound(op, "sale")
		} else if err != nil {
			return false, err
		}
		n, err := t.exec(query("epoch_raise"), sale, from)
		return n == 1, err
	})
}

// Snapshot reads everything in one consistent view of the database, at REPEATABLE
// READ: the one that the first statement sees.
func (s *Store) Snapshot(ctx context.Context, sale flashgate.SaleID) (out flashgate.Snapshot, err error) {
	const op = "mysql.Snapshot"
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return out, failure(op, err)
	}
	defer func() { _ = tx.Rollback() }() // nothing was written
	out.Sale, err = scanSale(tx.QueryRowContext(ctx, query("sale"), sale))
	if errors.Is(err, sql.ErrNoRows) {
		return out, notFound(op, "sale")
	}
	if err != nil {
		return out, failure(op, err)
	}
	out.Orders, err = collect(ctx, tx, func(r scanner) (o flashgate.SnapshotOrder, err error) {
		var status flashgate.Status
		err = r.Scan(&o.Order, &o.User, &o.Units, &status)
		o.Live = status.Live()
		return o, err
	}, query("snapshot_orders"), sale)
	if err != nil {
		return out, failure(op, err)
	}
	letters, err := collect(ctx, tx, scanDeadLetter, query("snapshot_dead"), sale)
	for _, d := range letters {
		if _, ok := d.Reservation(); ok {
			out.Dead = append(out.Dead, d.Order)
		}
	}
	return out, failure(op, err)
}

// Audit writes one row.
func (s *Store) Audit(ctx context.Context, a flashgate.Audit) error {
	_, err := s.db.ExecContext(ctx, query("audit_put"), a.Sale, a.Epoch, a.Action, forPeople(a.Detail))
	return failure("mysql.Audit", err)
}

// Audits reads the newest rows first.
func (s *Store) Audits(ctx context.Context, sale flashgate.SaleID, max int) ([]flashgate.Audit, error) {
	scan := func(r scanner) (a flashgate.Audit, err error) {
		var at int64
		err = r.Scan(&at, &a.Sale, &a.Epoch, &a.Action, &a.Detail)
		a.At = toTime(at)
		return a, err
	}
	var out []flashgate.Audit
	var err error
	if sale == "" {
		out, err = collect(ctx, s.db, scan, query("audits"), max)
	} else {
		out, err = collect(ctx, s.db, scan, query("audits_of"), sale, max)
	}
	return out, failure("mysql.Audits", err)
}

var _ flashgate.Reconciliation = (*Store)(nil)
