package mysql_test

import (
	"context"
	"database/sql"
	"strings"
	"sync"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/mysql"
	"flashgate/internal/servers/serverstest"
)

// plain is a connection of our own.
func plain(t testing.TB, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func exec(t testing.TB, db *sql.DB, text string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), text, args...); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// Several processes that start together migrate once.
func TestMigrateTogether(t *testing.T) {
	t.Parallel()
	dsn := serverstest.Database(t)
	var wg sync.WaitGroup
	for range 4 {
		s := openOnly(t, dsn)
		wg.Go(func() {
			for range 2 {
				if err := s.Migrate(t.Context()); err != nil {
					t.Error(err)
				}
			}
			if err := s.Check(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var n int
	if err := plain(t, dsn).QueryRowContext(t.Context(), "SELECT COUNT(*) FROM goose_db_version WHERE version_id > 0").Scan(&n); err != nil || int64(n) != mysql.SchemaVersion() {
		t.Errorf("%d migrations are noted, want %d: %v", n, mysql.SchemaVersion(), err)
	}
}

// A schema that is not this program's is said plainly.
func TestOtherSchema(t *testing.T) {
	t.Parallel()
	dsn := serverstest.Database(t)
	s := openOnly(t, dsn)
	if err := s.Check(t.Context()); flashgate.ErrorCode(err) != flashgate.CodeUnavailable || !strings.Contains(err.Error(), "start an order worker") {
		t.Errorf("Check of an empty database: %v", err)
	}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	exec(t, plain(t, dsn), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (?, 1)", mysql.SchemaVersion()+1)
	if err := s.Check(t.Context()); flashgate.ErrorCode(err) != flashgate.CodeWrongState || !strings.Contains(err.Error(), "newer program") {
		t.Errorf("Check of a newer schema: %v", err)
	}
	if err := s.Migrate(t.Context()); flashgate.ErrorCode(err) != flashgate.CodeWrongState {
		t.Errorf("Migrate of a newer schema: %v", err)
	}
}

func TestOpenBadDSN(t *testing.T) {
	t.Parallel()
	for _, dsn := range []string{"", "nonsense", "root:secret@tcp(127.0.0.1:3306)/", "root:secret@tcp(127.0.0.1:3306)/db?tls=no-such"} {
		_, err := mysql.Open(mysql.Config{DSN: dsn})
		if flashgate.ErrorCode(err) != flashgate.CodeInvalid || strings.Contains(err.Error(), "secret") {
			t.Errorf("Open(%q): %v", dsn, err)
		}
	}
}

// A server that is away is CodeUnavailable, at once, and not a reason to refuse to
// open.
func TestAway(t *testing.T) {
	t.Parallel()
	s := openOnly(t, "root@tcp(127.0.0.1:1)/flashgate")
	for name, call := range map[string]func(context.Context) error{
		"Check":   s.Check,
		"Migrate": s.Migrate,
		"Sales":   func(ctx context.Context) error { _, err := s.Sales(ctx); return err },
		"Pay":     func(ctx context.Context) error { _, err := s.Pay(ctx, "1.x", "u"); return err },
	} {
		if err := call(t.Context()); flashgate.ErrorCode(err) != flashgate.CodeUnavailable {
			t.Errorf("%s: %v, want unavailable", name, err)
		}
	}
}

// A server that dies during the first migration leaves a part of the tables. The next
// start makes the rest.
func TestMigrateAfterHalf(t *testing.T) {
	t.Parallel()
	dsn := serverstest.Database(t)
	s := openStore(t, dsn)
	db := plain(t, dsn)
	for _, left := range []string{"DELETE FROM goose_db_version WHERE version_id > 0", "DELETE FROM goose_db_version", "DROP TABLE goose_db_version"} {
		exec(t, db, "DROP TABLE users, audit, event")
		exec(t, db, left)
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatalf("%s: %v", left, err)
		}
		if err := s.Audit(t.Context(), flashgate.Audit{Sale: "1", Action: "test"}); err != nil {
			t.Errorf("%s: %v", left, err)
		}
	}
}

// Waiting for another process takes longer than a read of the pool may.
func TestMigrateWaits(t *testing.T) {
	t.Parallel()
	dsn := serverstest.Database(t)
	conn, err := plain(t, dsn).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const lock = "CONCAT('flashgate ', SHA1(DATABASE()))"
	if _, err := conn.ExecContext(t.Context(), "DO GET_LOCK("+lock+", 10)"); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	s := openOnly(t, dsn+"&readTimeout=200ms")
	go func() { done <- s.Migrate(t.Context()) }()
	select {
	case err := <-done:
		t.Fatalf("Migrate did not wait: %v", err)
	case <-time.After(time.Second):
	}
	if _, err := conn.ExecContext(t.Context(), "DO RELEASE_LOCK("+lock+")"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("Migrate after a wait: %v", err)
	}
}
