package mysql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"math/rand/v2"
	"time"

	"flashgate"

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

// rowsAtOnce bounds the rows of one INSERT: those of a full batch in one, which is half
// a megabyte, where the servers take 16 or more.
const rowsAtOnce = 2 * flashgate.MaxMessageReservations

// insert writes rows of equal width.
func (t *txn) insert(name string, rows [][]any) error {
	for len(rows) > 0 {
		n := min(len(rows), rowsAtOnce)
		args := make([]any, 0, n*len(rows[0]))
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

// again reports whether the same transaction may succeed on a second try. A duplicate
// key is a row that another transaction wrote after this one had looked: the next try
// sees it. (Where a duplicate is the answer, it is no longer an error of the server
// here.)
func again(err error) bool {
	if errors.Is(err, driver.ErrBadConn) || errors.Is(err, driversql.ErrInvalidConn) {
		return true
	}
	e, ok := errors.AsType[*driversql.MySQLError](err)
	return ok && (e.Number == 1213 || e.Number == 1205 || e.Number == 1062)
}

// passes reports whether an error of the server is about its state, which passes or is
// put right by an operator, and not about the statement. A worker repeats such a call;
// what is refused for good it keeps as a dead letter.
func passes(e *driversql.MySQLError) bool {
	switch e.Number {
	case 1205, 1213, 1206: // lock wait, deadlock, no memory for locks
	case 1040, 1203, 1226, 1129: // too many connections, too many errors of this host
	case 1044, 1045, 1049, 1142, 1146: // no access, no database, no right to a table, no table: wrong password, no schema yet
	case 1021, 1030, 1037, 1041, 1114, 1135: // disk full, storage engine, out of memory, table full, no thread
	case 1047, 1053, 1077, 1079: // a node outside its cluster, shutting down
	case 1152, 1158, 1159, 1160, 1161: // net
	case 1180: // commit
	case 1290, 1792, 1836, 3032, 3100: // read-only or offline, as after a fail-over
	case 1317, 1927, 1969, 3024, 3169, 4031: // interrupted, killed, too slow, idle too long
	default:
		return false
	}
	return true
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
