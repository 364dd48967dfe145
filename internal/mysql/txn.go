package mysql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"math/rand/v2"
	"time"

	driversql "github.com/go-sql-driver/mysql"
)

// Attempts of one transaction, and the wait before the second, which doubles.
const (
	attempts  = 6
	firstWait = 5 * time.Millisecond
)

// once says what may be done after a commit whose outcome is not known.
type once bool

const (
	repeatable once = false // the transaction finds out by itself that it was done
	onlyOnce   once = true  // a second time would do it twice: the caller is told
)

// txn is one transaction at READ COMMITTED.
type txn struct {
	*sql.Tx
	ctx context.Context
}

// write runs one transaction, and again when it lost against another one or its
// connection broke. A server that is away is not waited for.
func write[T any](ctx context.Context, s *Store, op string, mode once, work func(*txn) (T, error)) (T, error) {
	wait := firstWait
	for attempt := 1; ; attempt++ {
		out, committing, err := try(ctx, s, work)
		if err == nil {
			return out, nil
		}
		if attempt == attempts || !again(err) || committing && mode == onlyOnce || !pause(ctx, wait) {
			var none T
			return none, failure(op, err)
		}
		wait *= 2
	}
}

// try makes one attempt. It reports as well whether the commit had been sent when it
// failed: then the transaction may have been done.
func try[T any](ctx context.Context, s *Store, work func(*txn) (T, error)) (out T, committing bool, err error) {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return out, false, err
	}
	defer func() {
		if err != nil {
			_ = tx.Rollback() // after a commit it does nothing
		}
	}()
	if out, err = work(&txn{tx, ctx}); err != nil {
		return out, false, err
	}
	return out, true, tx.Commit()
}

func (t *txn) row(name string, args ...any) scanner {
	return t.QueryRowContext(t.ctx, query(name), args...)
}

// exec returns how many rows were met, changed or not.
func (t *txn) exec(text string, args ...any) (int64, error) {
	r, err := t.ExecContext(t.ctx, text, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// rowsAtOnce bounds the rows of one INSERT.
const rowsAtOnce = 1000

// insert writes rows of equal width.
func (t *txn) insert(name string, rows [][]any) error {
	for len(rows) > 0 {
		n := min(len(rows), rowsAtOnce)
		var args []any
		for _, r := range rows[:n] {
			args = append(args, r...)
		}
		if _, err := t.exec(manyRows(name, n), args...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// again reports whether the same transaction may succeed on a second try.
func again(err error) bool {
	if errors.Is(err, driver.ErrBadConn) || errors.Is(err, driversql.ErrInvalidConn) {
		return true
	}
	e, ok := errors.AsType[*driversql.MySQLError](err)
	return ok && (e.Number == 1213 || e.Number == 1205)
}

// passes reports whether an error of the server is about its state and not about the
// statement: lock wait and deadlock, too many connections, shutting down, killed,
// read-only after a fail-over.
func passes(e *driversql.MySQLError) bool {
	switch e.Number {
	case 1205, 1213, 1040, 1203, 1053, 1077, 1079, 1152, 1159, 1161, 1290, 1317, 1792, 1836, 1927, 3024, 4031:
		return true
	default:
		return false
	}
}

// pause waits for d, of which a random half is taken off.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d/2 + rand.N(d/2))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
