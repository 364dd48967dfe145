package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"

	"flashgate"
)

// maxGroup bounds how many writes share a commit, so that the first of them does
// not wait for a crowd.
const maxGroup = 512

// writer owns the one connection that writes. One goroutine takes whatever waits,
// runs each in a savepoint of its own, and commits once. A write that is alone needs no
// savepoint, which would copy each page that it changes.
type writer struct {
	db   *sql.DB
	conn *sql.Conn
	jobs chan *job

	mu     sync.RWMutex // guards closed against senders
	closed bool
	done   chan struct{}

	positions *positions // told of what was committed

	// Used by the goroutine alone.
	stmts  map[string]*sql.Stmt
	raised []flashgate.SaleID // sales whose seq the group has raised
}

type job struct {
	ctx  context.Context
	run  func(*txn) error
	err  error
	done chan error // buffered: nobody has to wait for the answer
}

// txn is what a write may use. It is valid only inside the function that got it.
type txn struct{ w *writer }

func newWriter(dsn string, ps *positions) (*writer, error) {
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	ctx := context.Background()
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	w := &writer{db: db, conn: conn, jobs: make(chan *job, 4*maxGroup), done: make(chan struct{}),
		positions: ps, stmts: map[string]*sql.Stmt{}}
	if err := w.migrate(ctx); err != nil {
		return nil, errors.Join(err, conn.Close(), db.Close())
	}
	go w.loop()
	return w, nil
}

func (w *writer) migrate(ctx context.Context) error {
	if _, err := w.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	var version int
	err := w.conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version)
	switch {
	case err != nil:
	case version > schemaVersion:
		err = fmt.Errorf("the file was written by a newer flashgate (schema version %d, this program knows %d): use that one", version, schemaVersion)
	case version < schemaVersion:
		if _, err = w.conn.ExecContext(ctx, schema); err == nil {
			_, err = w.conn.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", schemaVersion))
		}
	}
	if err != nil {
		_, rerr := w.conn.ExecContext(ctx, "ROLLBACK")
		return errors.Join(err, rerr)
	}
	_, err = w.conn.ExecContext(ctx, "COMMIT")
	return err
}

// write runs fn in the next group and returns when it is durable. An error of fn
// undoes fn alone. When ctx ends first, the write may still happen.
func write[T any](ctx context.Context, s *Store, op string, fn func(*txn) (T, error)) (T, error) {
	var zero T
	var out T // written before done is sent, read after it was received
	j := &job{ctx: ctx, done: make(chan error, 1), run: func(t *txn) (err error) {
		out, err = fn(t)
		return err
	}}
	if err := s.write.send(ctx, j); err != nil {
		return zero, unavailable(op, err)
	}
	select {
	case err := <-j.done:
		if err != nil {
			return zero, unavailable(op, err)
		}
		return out, nil
	case <-ctx.Done():
		return zero, unavailable(op, context.Cause(ctx))
	}
}

var errClosed = errors.New("the data file is closed")

func (w *writer) send(ctx context.Context, j *job) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.closed {
		return errClosed
	}
	select {
	case w.jobs <- j:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (w *writer) close() error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return nil
	}
	w.closed = true
	close(w.jobs)
	w.mu.Unlock()
	<-w.done
	for _, st := range w.stmts {
		st.Close()
	}
	return errors.Join(w.conn.Close(), w.db.Close())
}

func (w *writer) loop() {
	defer close(w.done)
	group := make([]*job, 0, maxGroup)
	for first := range w.jobs {
		group = append(group[:0], first)
		runtime.Gosched() // who is ready to write joins the group: a commit costs more than a moment
	gather:
		for len(group) < maxGroup {
			select {
			case j, ok := <-w.jobs:
				if !ok {
					break gather
				}
				group = append(group, j)
			default:
				break gather
			}
		}
		w.commit(group)
	}
}

// commit runs a group. If the commit itself fails, all of them have failed.
func (w *writer) commit(group []*job) {
	err := w.exec("BEGIN IMMEDIATE")
	if err == nil {
		if len(group) == 1 {
			err = w.run(group[0])
		} else {
			for _, j := range group {
				j.err = w.one(j)
			}
		}
		if err == nil {
			err = w.exec("COMMIT")
		}
		if err != nil {
			// Some errors have rolled back already; then this one says so.
			_ = w.exec("ROLLBACK")
		}
	}
	for _, sale := range w.raised { // also when it failed: that much is certain only later
		w.positions.raised(sale)
	}
	w.raised = w.raised[:0]
	for _, j := range group {
		if err != nil {
			j.err = err
		}
		j.done <- j.err
	}
}

// one runs a write in a savepoint: its error undoes itself alone.
func (w *writer) one(j *job) error {
	if err := w.exec("SAVEPOINT job"); err != nil {
		return err
	}
	err := w.run(j)
	if err != nil {
		if rerr := w.exec("ROLLBACK TO job"); rerr != nil {
			err = errors.Join(err, rerr)
		}
	}
	if rerr := w.exec("RELEASE job"); rerr != nil {
		err = errors.Join(err, rerr)
	}
	return err
}

func (w *writer) run(j *job) (err error) {
	if err := j.ctx.Err(); err != nil {
		return context.Cause(j.ctx) // nobody waits any more, and nothing has happened
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic in a write: %v", r)
		}
	}()
	return j.run(&txn{w})
}

func (w *writer) exec(text string) error {
	st, err := w.prepare(text, text)
	if err != nil {
		return err
	}
	_, err = st.Exec()
	return err
}

func (w *writer) prepare(name, text string) (*sql.Stmt, error) {
	if st := w.stmts[name]; st != nil {
		return st, nil
	}
	st, err := w.conn.PrepareContext(context.Background(), text)
	if err != nil {
		return nil, err
	}
	w.stmts[name] = st
	return st, nil
}

// exec runs a named statement and returns how many rows it changed.
func (t *txn) exec(name string, args ...any) (int64, error) {
	st, err := t.w.prepare(name, query(name))
	if err != nil {
		return 0, err
	}
	if raising[name] {
		t.w.raised = append(t.w.raised, args[0].(flashgate.SaleID))
	}
	res, err := st.Exec(args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// rowsAtOnce are how many rows one statement inserts; each is compiled once.
var rowsAtOnce = []int{64, 8, 1}

// insert runs a named statement that has {rows} in the place of its values, for any
// number of rows; values has the columns of all rows, one after the other.
func (t *txn) insert(name string, columns int, values []any) error {
	for len(values) > 0 {
		n := 0
		for _, n = range rowsAtOnce {
			if n*columns <= len(values) {
				break
			}
		}
		one := "(" + strings.Repeat("?, ", columns-1) + "?)"
		text := strings.Replace(query(name), "{rows}", strings.Repeat(one+", ", n-1)+one, 1)
		st, err := t.w.prepare(text, text)
		if err != nil {
			return err
		}
		if _, err := st.Exec(values[:n*columns]...); err != nil {
			return err
		}
		values = values[n*columns:]
	}
	return nil
}

// row reads one row of a named statement.
func (t *txn) row(name string, args ...any) scanner {
	st, err := t.w.prepare(name, query(name))
	if err != nil {
		return failed{err}
	}
	return st.QueryRow(args...)
}

// rows reads all rows of a named statement.
func rows[T any](t *txn, scan func(scanner) (T, error), name string, args ...any) ([]T, error) {
	st, err := t.w.prepare(name, query(name))
	if err != nil {
		return nil, err
	}
	r, err := st.Query(args...)
	return collect(r, err, scan)
}
