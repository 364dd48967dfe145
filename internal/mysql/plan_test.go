package mysql_test

import (
	"database/sql"
	"fmt"
	"os"
	"strings"
	"testing"

	"flashgate/internal/servers/serverstest"
)

// statement reads one from the files, with values in place of its places.
func statement(t testing.TB, name string, values ...string) string {
	t.Helper()
	for _, file := range []string{"sql/orders.sql", "sql/sales.sql"} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, text, ok := strings.Cut(string(b), "-- name: "+name+"\n")
		if !ok {
			continue
		}
		text, _, _ = strings.Cut(text, ";")
		for _, v := range values {
			text = strings.Replace(text, "?", v, 1)
		}
		if strings.Contains(text, "?") {
			t.Fatalf("%s has more places: %s", name, text)
		}
		return text
	}
	t.Fatalf("there is no statement %s", name)
	return ""
}

// plan is how the server reads each table of a statement: "table type key".
func plan(t testing.TB, db *sql.DB, text string) (out []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "EXPLAIN "+text)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		values := make([]sql.NullString, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		row := map[string]string{}
		for i, c := range columns {
			row[c] = values[i].String
		}
		if table := row["table"]; table != "" && !strings.HasPrefix(table, "<") {
			out = append(out, table+" "+row["type"]+" "+row["key"])
		}
	}
	return out
}

// What locks rows comes to them by their key, and to no others, also where the table
// is so small that the server would rather read all of it: rows of other sales would
// be waited for, and two sales for each other.
func TestLocksByKey(t *testing.T) {
	t.Parallel()
	dsn := serverstest.Database(t)
	openStore(t, dsn)
	db := plain(t, dsn)
	for i := range 12 {
		exec(t, db, "INSERT INTO event (kind, sale, order_id, user, units, seq, at) VALUES ('k', 's', 'o', 'u', 1, 1, 1)")
		exec(t, db, "INSERT INTO buyer (sale, user, taken) VALUES ('s', ?, 2)", fmt.Sprint("u", i))
		exec(t, db, `INSERT INTO orders (id, sale, user, units, price, status, seq, created, expires, updated)
			VALUES (?, 's', ?, 1, 1, 'pending', 1, 1, 1, 1)`, fmt.Sprint("o", i), fmt.Sprint("u", i))
	}
	exec(t, db, "INSERT INTO sale (id, goods, flash_price, starts, ends, per_user, seeded, stock_left, seq, epoch) VALUES ('s', 'g', 1, 1, 2, 1, 9, 9, 1, 1)")
	exec(t, db, "ANALYZE TABLE orders, buyer, event, sale")
	const many = "'o1', 'o2', 'o3', 'o4', 'o5', 'o6', 'o7', 'o8', 'o9'"
	for name, c := range map[string]struct {
		values []string
		want   string
	}{
		"sale_lock":       {[]string{"'s'"}, "sale const PRIMARY"},
		"order_lock":      {[]string{"'o1'"}, "orders const PRIMARY"},
		"order_pay":       {[]string{"1", "'o1'", "1"}, "orders range PRIMARY"},
		"orders_cancel":   {[]string{"'user'", "1", many}, "orders range PRIMARY"},
		"orders_due_lock": {[]string{"5", many}, "orders range PRIMARY"},
		"buyers_back":     {[]string{many}, "b eq_ref PRIMARY, orders range PRIMARY"},
		"events_lock":     {[]string{"4"}, "event index PRIMARY"},
		"events_drop":     {[]string{"5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8"}, "e eq_ref PRIMARY"},
	} {
		if got := strings.Join(plan(t, db, statement(t, name, c.values...)), ", "); got != c.want {
			t.Errorf("%s reads %s, want %s", name, got, c.want)
		}
	}
}
