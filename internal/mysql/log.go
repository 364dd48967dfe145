package mysql

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"flashgate"
)

// change is a change as it is written in stock_log.
type change struct {
	Kind  flashgate.ChangeKind `json:"kind"`
	Order flashgate.OrderID    `json:"order,omitempty"`
	User  flashgate.UserID     `json:"user,omitempty"`
	Units int64                `json:"units,omitempty"`
}

// log writes the entry of the sale's seq, which the transaction has just raised, with
// the sale as it is after the changes.
func (t *txn) log(s flashgate.Sale, changes []flashgate.Change) error {
	told := make([]change, len(changes))
	for i, c := range changes {
		told[i] = change(c)
	}
	text, err := json.Marshal(told)
	if err != nil {
		return err
	}
	_, err = t.exec(query("log_put"), s.ID, s.Seq, s.Epoch, s.StockLeft, s.Starts.UnixMilli(), s.Ends.UnixMilli(), string(text))
	return err
}

func scanEntry(r scanner) (e flashgate.LogEntry, err error) {
	var starts, ends int64
	var text []byte
	if err = r.Scan(&e.Sale, &e.Seq, &e.Epoch, &e.LeftAfter, &starts, &ends, &text); err != nil {
		return e, err
	}
	var told []change
	if err = json.Unmarshal(text, &told); err != nil {
		return e, err
	}
	e.Starts, e.Ends = toTime(starts), toTime(ends)
	for _, c := range told {
		e.Changes = append(e.Changes, flashgate.Change(c))
	}
	return e, nil
}

// Entries reads the log.
func (s *Store) Entries(ctx context.Context, sale flashgate.SaleID, after uint64, max int) ([]flashgate.LogEntry, error) {
	es, err := collect(ctx, s.db, scanEntry, query("log_entries"), sale, after, max)
	return es, failure("mysql.Entries", err)
}

// DrawFence counts. CodeNotFound for an unknown sale.
func (s *Store) DrawFence(ctx context.Context, sale flashgate.SaleID) (uint64, error) {
	const op = "mysql.DrawFence"
	return write(ctx, s, op, repeatable, func(t *txn) (uint64, error) {
		r, err := t.ExecContext(t.ctx, query("fence_draw"), sale)
		if err != nil {
			return 0, err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return 0, cmp.Or(err, notFound(op, "sale"))
		}
		drawn, err := r.LastInsertId()
		return uint64(drawn), err
	})
}

// RecordFence keeps the highest. CodeNotFound for an unknown sale, CodeInvalid for a
// number that was not drawn.
func (s *Store) RecordFence(ctx context.Context, sale flashgate.SaleID, fence uint64) error {
	const op = "mysql.RecordFence"
	_, err := write(ctx, s, op, repeatable, func(t *txn) (struct{}, error) {
		n, err := t.exec(query("fence_record"), fence, sale, fence)
		if err != nil || n > 0 {
			return struct{}{}, err
		}
		var recorded uint64
		err = t.row("fenced", sale).Scan(&recorded)
		if errors.Is(err, sql.ErrNoRows) {
			return struct{}{}, notFound(op, "sale")
		}
		if err == nil {
			// A number is drawn before its fence is sent, so this one is forged; recorded it
			// would be above all those to come.
			err = flashgate.Invalid(op, "fence", "%d has not been drawn for sale %s", fence, sale)
		}
		return struct{}{}, err
	})
	return err
}

// Fenced reads the highest.
func (s *Store) Fenced(ctx context.Context, sale flashgate.SaleID) (fence uint64, err error) {
	const op = "mysql.Fenced"
	err = s.db.QueryRowContext(ctx, query("fenced"), sale).Scan(&fence)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, notFound(op, "sale")
	}
	return fence, failure(op, err)
}

var (
	_ flashgate.ChangeLog  = (*Store)(nil)
	_ flashgate.FenceStore = (*Store)(nil)
)
