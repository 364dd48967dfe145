package mysql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log"
	"strings"
	"sync/atomic"
	"time"

	"flashgate"

	driversql "github.com/go-sql-driver/mysql"
)

// Config is what Open needs.
type Config struct {
	// DSN in the form of go-sql-driver, user:password@tcp(host:3306)/database, with its
	// parameters (tls and others). What the adapter depends on is set whatever the DSN
	// says: the character set, the time zone, the isolation, the strict mode, how long a
	// lock is waited for (half of readTimeout), and that statements are interpolated by
	// the driver, which saves a round trip for each.
	DSN string

	// MaxOpenConns bounds the connections; default 16.
	MaxOpenConns int
}

// defaultTimeout bounds dialling, and each read and write, unless the DSN says
// otherwise.
const defaultTimeout = 5 * time.Second

// Store is a pool of connections. It is safe for concurrent use, and any number of
// processes may work on the same database.
type Store struct {
	db      *sql.DB
	patient driver.Connector // without a bound on reads, for migrations
	schema  atomic.Bool      // the schema was seen to be the one of this program
	repeats atomic.Int64     // Decide reads first while it is above zero
}

// Open checks the DSN and dials nobody: a server that is away shows in the first
// call. The schema is brought up to date by Migrate. CodeInvalid says what is wrong
// with the DSN, and never repeats it.
func Open(cfg Config) (*Store, error) {
	const op = "mysql.Open"
	dsn, err := driversql.ParseDSN(cfg.DSN)
	if err != nil || dsn.DBName == "" {
		return nil, flashgate.Invalid(op, "dsn", "is not a DSN with a database, such as user:password@tcp(host:3306)/flashgate")
	}
	dsn.ParseTime, dsn.Loc, dsn.ClientFoundRows, dsn.InterpolateParams = false, time.UTC, true, true
	dsn.MultiStatements, dsn.RejectReadOnly = false, true
	if err := dsn.Apply(driversql.Charset("utf8mb4", "utf8mb4_bin")); err != nil {
		return nil, &flashgate.Error{Code: flashgate.CodeInternal, Op: op, Err: err}
	}
	for _, t := range []*time.Duration{&dsn.Timeout, &dsn.ReadTimeout, &dsn.WriteTimeout} {
		if *t == 0 {
			*t = defaultTimeout
		}
	}
	// Every error is returned as well, so what the driver prints is said twice.
	dsn.Logger = log.New(io.Discard, "", 0)
	connector, err := newSession(dsn)
	if err != nil {
		return nil, flashgate.Invalid(op, "dsn", "is not usable: check its parameters")
	}
	dsn.ReadTimeout = 0
	patient, err := newSession(dsn)
	if err != nil {
		return nil, flashgate.Invalid(op, "dsn", "is not usable: check its parameters")
	}
	n := cfg.MaxOpenConns
	if n <= 0 {
		n = 16
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	db.SetConnMaxIdleTime(idleTime / 2)
	return &Store{db: db, patient: patient}, nil
}

// idleTime is how long the server keeps a connection on which nothing happens. A process
// that stands still in the middle of a transaction, or whose machine has vanished, would
// otherwise keep the row of its sale for hours.
const idleTime = 30 * time.Second

// session prepares each connection. The statements are those that MySQL and MariaDB
// both know; the variables behind the isolation have different names.
type session struct {
	driver.Connector
	prepare [2]string
}

// strict makes the server refuse what does not fit, where the operator has made it cut
// it off instead.
const strict = "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION"

func newSession(dsn *driversql.Config) (session, error) {
	c, err := driversql.NewConnector(dsn)
	// Who waits for a lock gives up before the driver does: a connection that the
	// driver has left goes on waiting at the server, and keeps the locks that it has.
	wait, idle := max(1, int(dsn.ReadTimeout.Seconds()/2)), int(idleTime.Seconds())
	if dsn.ReadTimeout == 0 {
		wait, idle = 50, 28800 // the server's defaults: a migration's lock idles beside it
	}
	return session{c, [2]string{
		"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
		fmt.Sprintf("SET SESSION autocommit = 1, time_zone = '+00:00', sql_mode = '%s', innodb_lock_wait_timeout = %d, wait_timeout = %d",
			strict, wait, idle),
	}}, err
}

func (s session) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := s.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	for _, text := range s.prepare {
		if _, err := conn.(driver.ExecerContext).ExecContext(ctx, text, nil); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return conn, nil
}

// Close closes the connections.
func (s *Store) Close() error { return s.db.Close() }

// Check asks for a sign of life, and the first time whether the schema is the one
// that this program knows.
func (s *Store) Check(ctx context.Context) error {
	const op = "mysql.Check"
	if s.schema.Load() {
		var one int
		return failure(op, s.db.QueryRowContext(ctx, "SELECT 1").Scan(&one))
	}
	if err := s.checkSchema(ctx); err != nil {
		return err
	}
	s.schema.Store(true)
	return nil
}

// scanner is one row, or one of several.
type scanner interface{ Scan(dest ...any) error }

// querier is the pool, or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// collect reads all rows with one function.
func collect[T any](ctx context.Context, q querier, scan func(scanner) (T, error), text string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, text, args...)
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

// failure wraps what the server, the net or the context said; an *flashgate.Error
// passes as it is. A statement that the server has refused for what is in it is
// CodeInternal: repeating it does not help.
func failure(op string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*flashgate.Error](err); ok {
		return err
	}
	code := flashgate.CodeUnavailable
	if e, ok := errors.AsType[*driversql.MySQLError](err); ok && !passes(e) {
		code = flashgate.CodeInternal
	}
	return &flashgate.Error{Code: code, Op: op, RetryAfter: time.Second, Err: fmt.Errorf("mysql: %w", err)}
}

func notFound(op, what string) error {
	return flashgate.Errorf(flashgate.CodeNotFound, op, "There is no such %s.", what)
}

func toTime(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// values makes arguments of anything.
func values[T any](vs []T) []any {
	out := make([]any, len(vs))
	for i, v := range vs {
		out[i] = v
	}
	return out
}

// maxText is what a TEXT takes, and more than anybody reads.
const maxText = 8 << 10

// forPeople cuts a text off at its end, and takes out what the server does not take as
// UTF-8.
func forPeople(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), maxText)], "")
}
