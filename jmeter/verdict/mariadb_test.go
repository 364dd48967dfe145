package main_test

import (
	"database/sql"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"

	_ "github.com/go-sql-driver/mysql"
	"github.com/pressly/goose/v3"
)

const migrations = "../../internal/mysql/sql/migrations"

var databases atomic.Int64

// copied brings the scene's tables, spoilt as they are, into a new MariaDB database
// with the real schema.
func (s *scene) copied(t *testing.T, m *servers.MariaDB) {
	t.Helper()
	name := fmt.Sprint("verdict_", databases.Add(1))
	must(t, m.CreateDatabase(t.Context(), name))
	to, err := sql.Open("mysql", m.DSN(name))
	must(t, err)
	defer to.Close()
	schema, err := goose.NewProvider(goose.DialectMySQL, to, os.DirFS(migrations))
	must(t, err)
	_, err = schema.Up(t.Context())
	must(t, err)
	for _, table := range []string{
		"sale (id, goods, flash_price, starts, ends, per_user, seeded, stock_left, seq, epoch)",
		"orders (id, sale, user, units, price, status, reason, seq, created, expires, updated)",
		"buyer (sale, user, taken)",
		"dead_letter (id, sale, record, reason, detail, created)",
		"users (id, mobile, name, password, role, created)",
	} {
		copyTable(t, s.db, to, table)
	}
	s.args = []string{"--mysql", m.DSN(name)}
}

// copyTable copies the rows of "table (columns)".
func copyTable(t *testing.T, from, to *sql.DB, table string) {
	t.Helper()
	name, list, _ := strings.Cut(strings.TrimSuffix(table, ")"), " (")
	rows, err := from.QueryContext(t.Context(), "SELECT "+list+" FROM "+name)
	must(t, err)
	defer rows.Close()
	values := make([]any, strings.Count(list, ",")+1)
	into := make([]any, len(values))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		must(t, rows.Scan(into...))
		_, err := to.ExecContext(t.Context(), "INSERT INTO "+table+" VALUES (?"+strings.Repeat(", ?", len(values)-1)+")", values...)
		must(t, err)
	}
	must(t, rows.Err())
}

// The same runs on MariaDB, with the schema of the real shop.
func TestMariaDB(t *testing.T) {
	t.Parallel()
	m := serverstest.OwnMariaDB(t)
	runCases(t, func(t *testing.T, s *scene) { s.copied(t, m) })
}
