package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"flashgate"

	driversql "github.com/go-sql-driver/mysql"
	"github.com/pressly/goose/v3"
)

// The lock is held by the process that migrates. Its name is the server's, not the
// database's, and has 64 bytes at most.
const (
	migrationLock        = "CONCAT('flashgate ', SHA1(DATABASE()))"
	migrationLockSeconds = 60
)

// migrations is the folder of the schema.
func migrations() fs.FS {
	sub, err := fs.Sub(files, "sql/migrations")
	if err != nil {
		panic(err)
	}
	return sub
}

// SchemaVersion is the version that this program needs: the number of the last
// migration.
func SchemaVersion() int64 {
	entries, err := fs.ReadDir(migrations(), ".")
	if err != nil {
		panic(err)
	}
	var last int64
	for _, e := range entries {
		number, _, _ := strings.Cut(e.Name(), "_")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			panic("mysql: migration " + e.Name() + " has no number")
		}
		last = max(last, n)
	}
	return last
}

// Migrate brings the schema up to date. Any number of processes may call it at once:
// one migrates, the others wait for it. A schema that is newer than this program is
// CodeWrongState and is left alone.
func (s *Store) Migrate(ctx context.Context) (err error) {
	const op = "mysql.Migrate"
	// Waiting for another process, and changing a large table, take longer than any read
	// of the pool may.
	db := sql.OpenDB(s.patient)
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return failure(op, err)
	}
	defer conn.Close()
	var got sql.NullInt64
	if err := conn.QueryRowContext(ctx, "SELECT GET_LOCK("+migrationLock+", ?)", migrationLockSeconds).Scan(&got); err != nil {
		return failure(op, err)
	}
	if got.Int64 != 1 {
		return &flashgate.Error{Code: flashgate.CodeUnavailable, Op: op,
			Err: fmt.Errorf("another process has been migrating for more than %d s", migrationLockSeconds)}
	}
	defer func() {
		// The lock ends with its connection at the latest.
		_, unlock := conn.ExecContext(context.WithoutCancel(ctx), "DO RELEASE_LOCK("+migrationLock+")")
		err = errors.Join(err, failure(op, unlock))
	}()
	if v, err := version(ctx, db); err != nil {
		return failure(op, err)
	} else if v > SchemaVersion() {
		return newer(op, v)
	}
	if err := repairVersions(ctx, conn); err != nil {
		return failure(op, err)
	}
	provider, err := goose.NewProvider(goose.DialectMySQL, db, migrations(), goose.WithVerbose(false))
	if err != nil {
		return &flashgate.Error{Code: flashgate.CodeInternal, Op: op, Err: err}
	}
	_, err = provider.Up(ctx)
	return failure(op, err)
}

// repairVersions puts right what goose cannot: its table of versions without a first
// row, left by a process that was killed between the two.
func repairVersions(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "INSERT INTO goose_db_version (version_id, is_applied) "+
		"SELECT 0, 1 FROM (SELECT COUNT(*) AS n FROM goose_db_version) AS versions WHERE n = 0")
	if missingTable(err) {
		return nil
	}
	return err
}

// missingTable reports whether a table is not there.
func missingTable(err error) bool {
	e, ok := errors.AsType[*driversql.MySQLError](err)
	return ok && e.Number == 1146
}

// version is that of the schema; zero when there is none.
func version(ctx context.Context, db *sql.DB) (int64, error) {
	var v sql.NullInt64
	err := db.QueryRowContext(ctx, "SELECT MAX(version_id) FROM goose_db_version WHERE is_applied = 1").Scan(&v)
	if missingTable(err) {
		return 0, nil
	}
	return v.Int64, err
}

func (s *Store) checkSchema(ctx context.Context) error {
	const op = "mysql.Check"
	v, err := version(ctx, s.db)
	switch want := SchemaVersion(); {
	case err != nil:
		return failure(op, err)
	case v < want:
		return &flashgate.Error{Code: flashgate.CodeUnavailable, Op: op,
			Err: fmt.Errorf("the database's schema is version %d and this program needs %d: start an order worker, which migrates it", v, want)}
	case v > want:
		return newer(op, v)
	}
	return nil
}

func newer(op string, v int64) error {
	return flashgate.Errorf(flashgate.CodeWrongState, op,
		"The database's schema is version %d, this program knows %d: use a newer program.", v, SchemaVersion())
}

var _ flashgate.Checker = (*Store)(nil)
