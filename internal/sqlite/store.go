package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"flashgate"
	"flashgate/internal/gather"

	"github.com/gofrs/flock"
	_ "modernc.org/sqlite" // the driver
)

// consumerSuffix names the file whose lock the consuming process holds.
const consumerSuffix = "-consumer"

// schemaVersion is kept in the file's user_version.
const schemaVersion = 1

// Store is an open file. It is safe for concurrent use, and several processes may
// have the same file open.
type Store struct {
	path   string
	refs   int // guarded by open.mu
	write  *writer
	reader *sql.DB

	sessions *gather.Group[*sessionCall]

	positions *positions

	mu       sync.Mutex
	reads    map[string]*sql.Stmt // prepared on reader
	inFlight map[uint64]bool      // deliveries given out and neither acked nor returned
	enqueued chan struct{}        // closed and replaced when something may be received
	consumer *flock.Flock         // held by the process that consumes
	looking  sync.Mutex           // serialises looks into the queue
}

// open holds the files that this process has open, so that a gateway, a shop and a
// worker in one process share one writer.
var open = struct {
	mu     sync.Mutex
	stores map[string]*Store
}{stores: map[string]*Store{}}

// Open opens the file, and makes it, with its folder, when it is not there. Within
// a process all callers of one path share one Store; each calls Close once.
//
// Errors are CodeUnavailable, with the path and what to do.
func Open(path string) (*Store, error) {
	const op = "sqlite.Open"
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, &flashgate.Error{Code: flashgate.CodeUnavailable, Op: op, Err: err}
	}
	open.mu.Lock()
	defer open.mu.Unlock()
	if s := open.stores[abs]; s != nil {
		s.refs++
		return s, nil
	}
	s, err := openFile(abs)
	if err != nil {
		return nil, &flashgate.Error{Code: flashgate.CodeUnavailable, Op: op,
			Message: "The data file cannot be opened.",
			Err:     fmt.Errorf("%s: %w (the folder must exist or be creatable, and be writable for this user)", abs, err)}
	}
	open.stores[abs] = s
	return s, nil
}

func openFile(path string) (_ *Store, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	// Made by us first, so that password hashes are never readable for others.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	ps := new(positions)
	w, err := newWriter(dsn(path, "synchronous(FULL)"), ps)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	reader, err := sql.Open("sqlite", dsn(path, "query_only(1)"))
	if err != nil {
		return nil, err
	}
	reader.SetMaxOpenConns(4)
	reader.SetMaxIdleConns(4)
	s := &Store{
		path: path, refs: 1, write: w, reader: reader, positions: ps,
		reads: map[string]*sql.Stmt{}, inFlight: map[uint64]bool{}, enqueued: make(chan struct{}),
		consumer: flock.New(path + consumerSuffix),
	}
	s.sessions = gather.New(gather.Config[*sessionCall]{Run: s.readSessions, Most: sessionsAtOnce})
	return s, nil
}

// dsn waits up to 5 s for another process that writes. What undoes a statement stays in
// memory: past 64 KiB it would be a file.
func dsn(path, pragma string) string {
	v := url.Values{"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "temp_store(MEMORY)", pragma}}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: v.Encode()}).String()
}

// Close gives the Store back. The last caller in the process closes the file;
// writes that wait are finished first.
func (s *Store) Close() error {
	open.mu.Lock()
	defer open.mu.Unlock()
	if s.refs == 0 {
		return nil // closed before
	}
	if s.refs--; s.refs > 0 {
		return nil
	}
	delete(open.stores, s.path)
	return errors.Join(s.write.close(), s.reader.Close(), s.consumer.Close())
}

// Check reads one row.
func (s *Store) Check(ctx context.Context) error {
	var n int
	if err := s.reader.QueryRowContext(ctx, "SELECT count(*) FROM sale").Scan(&n); err != nil {
		return unavailable("sqlite.Check", err)
	}
	return nil
}

// read returns the prepared statement of a name on the readers' pool.
func (s *Store) read(ctx context.Context, name string) (*sql.Stmt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.reads[name]; st != nil {
		return st, nil
	}
	st, err := s.reader.PrepareContext(ctx, query(name))
	if err != nil {
		return nil, err
	}
	s.reads[name] = st
	return st, nil
}

// row reads one row on the readers' pool.
func (s *Store) row(ctx context.Context, name string, args ...any) scanner {
	st, err := s.read(ctx, name)
	if err != nil {
		return failed{err}
	}
	return st.QueryRowContext(ctx, args...)
}

// scanner is one row, or one of several.
type scanner interface{ Scan(dest ...any) error }

type failed struct{ err error }

func (f failed) Scan(...any) error { return f.err }

// collect scans all rows with one function.
func collect[T any](rows *sql.Rows, err error, scan func(scanner) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// all reads all rows on the readers' pool.
func all[T any](ctx context.Context, s *Store, scan func(scanner) (T, error), name string, args ...any) ([]T, error) {
	st, err := s.read(ctx, name)
	if err != nil {
		return nil, err
	}
	rows, err := st.QueryContext(ctx, args...)
	return collect(rows, err, scan)
}

// unavailable wraps what the database or the context said; an *flashgate.Error
// passes as it is.
func unavailable(op string, err error) error {
	if err == nil {
		return nil
	}
	var e *flashgate.Error
	if errors.As(err, &e) {
		return err
	}
	return &flashgate.Error{Code: flashgate.CodeUnavailable, Op: op, RetryAfter: time.Second, Err: err}
}

func notFound(op, what string) error {
	return flashgate.Errorf(flashgate.CodeNotFound, op, "There is no such %s.", what)
}

// The store's clock is the machine's; what counts is that it is one clock.
func now() int64 { return time.Now().UnixMilli() }

func toTime(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
