package servers_test

import (
	"database/sql"
	"strings"
	"testing"

	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"

	_ "github.com/go-sql-driver/mysql"
)

func openDB(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestMariaDBComesBackWithItsData(t *testing.T) {
	t.Parallel()
	m := serverstest.OwnMariaDB(t)
	if err := m.CreateDatabase(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	if err := m.CreateDatabase(t.Context(), "shop`; DROP"); err == nil {
		t.Error("a bad name was accepted")
	}
	db := openDB(t, m.DSN("shop"))
	for _, q := range []string{"CREATE TABLE t (n INT PRIMARY KEY)", "INSERT INTO t VALUES (1)"} {
		if _, err := db.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	for want, end := range []func() error{m.Kill, m.Stop} {
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if err := m.Start(); err != nil {
			t.Fatal(err)
		}
		db := openDB(t, m.DSN("shop"))
		var n int
		if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM t").Scan(&n); err != nil || n != want+1 {
			t.Errorf("%d rows, %v", n, err)
		}
		if _, err := db.ExecContext(t.Context(), "INSERT INTO t VALUES (?)", want+2); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Pause(); err != nil {
		t.Error(err)
	}
	checkClosed(t, m)
}

func TestMariaDBSettings(t *testing.T) {
	t.Parallel()
	db := openDB(t, serverstest.Database(t))
	var mode, charset string
	var connections, flush int
	err := db.QueryRowContext(t.Context(), "SELECT @@sql_mode, @@character_set_server, @@max_connections, @@innodb_flush_log_at_trx_commit").
		Scan(&mode, &charset, &connections, &flush)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(mode, "STRICT_TRANS_TABLES") || charset != "utf8mb4" || connections < 500 || flush != 1 {
		t.Error(mode, charset, connections, flush)
	}
}

func TestMariaDBWithFolderAndArgs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range 2 { // the second finds the data
		m, err := servers.StartMariaDB(servers.MariaDBConfig{Dir: dir, Args: []string{"--max-connections=77"}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = m.Close() })
		var n int
		if err := openDB(t, m.DSN("")).QueryRowContext(t.Context(), "SELECT @@max_connections").Scan(&n); err != nil || n != 77 {
			t.Errorf("%d connections, %v", n, err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDatabaseIsDropped(t *testing.T) {
	t.Parallel()
	var dsn string
	t.Run("inner", func(t *testing.T) {
		dsn = serverstest.Database(t)
		if err := openDB(t, dsn).PingContext(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	if err := openDB(t, dsn).PingContext(t.Context()); err == nil {
		t.Error("the database is there after the test")
	}
}
