package main_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	_ "modernc.org/sqlite"
)

// books are the sums of one sale, read with plain SQL and none of our adapters.
type books struct {
	Seeded, StockLeft, Live   int64 // the database's side of P4; Live in units
	Free, Held                int64 // the gate's side
	HeldOrders                int64 // units of the single held reservations
	Orders, Users             int64 // live orders, and the users who have one
	Rejected, Dead, Queued    int64
	BuyerTaken, GateBuyerHave int64
}

// read takes one snapshot.
func read(t testing.TB, data, sale string) (b books) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(data, "flashgate.db")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	for text, into := range map[string][]any{
		"SELECT seeded, stock_left FROM sale WHERE id = ?": {&b.Seeded, &b.StockLeft},
		"SELECT free, held FROM gate WHERE sale = ?":       {&b.Free, &b.Held},
		"SELECT coalesce(sum(units), 0), count(*), count(DISTINCT user) FROM orders WHERE sale = ? AND status IN ('pending', 'paid')": {&b.Live, &b.Orders, &b.Users},
		"SELECT count(*) FROM orders WHERE sale = ? AND status = 'rejected'":                                                          {&b.Rejected},
		"SELECT coalesce(sum(units), 0) FROM gate_order WHERE held = 1 AND id LIKE ? || '.%'":                                         {&b.HeldOrders},
		"SELECT coalesce(sum(taken), 0) FROM buyer WHERE sale = ?":                                                                    {&b.BuyerTaken},
		"SELECT coalesce(sum(units), 0) FROM gate_buyer WHERE sale = ?":                                                               {&b.GateBuyerHave},
		"SELECT count(*) FROM dead_letter WHERE sale = ? OR sale = ''":                                                                {&b.Dead},
		"SELECT count(*) FROM queue WHERE ? <> ''":                                                                                    {&b.Queued},
	} {
		if err := tx.QueryRowContext(t.Context(), text, sale).Scan(into...); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	return b
}

// balanced checks P4 as it holds at every moment.
func (b books) balanced(t testing.TB) {
	t.Helper()
	if b.Seeded != b.StockLeft+b.Live {
		t.Errorf("P4, database: seeded %d ≠ stock_left %d + live %d", b.Seeded, b.StockLeft, b.Live)
	}
	if b.Free+b.Held != b.StockLeft {
		t.Errorf("P4, gate: free %d + held %d ≠ stock_left %d", b.Free, b.Held, b.StockLeft)
	}
	if b.Held != b.HeldOrders {
		t.Errorf("the gate counts %d held units, its reservations are %d", b.Held, b.HeldOrders)
	}
	if b.BuyerTaken != b.Live || b.GateBuyerHave != b.Live+b.Held {
		t.Errorf("the users' shares: database %d of %d, gate %d of %d", b.BuyerTaken, b.Live, b.GateBuyerHave, b.Live+b.Held)
	}
	if b.StockLeft < 0 || b.Free < 0 {
		t.Errorf("P1: stock_left %d, free %d", b.StockLeft, b.Free)
	}
}

// quiet checks what must hold when everything has come to rest.
func (b books) quiet(t testing.TB) {
	t.Helper()
	b.balanced(t)
	if b.Held != 0 || b.Queued != 0 || b.Dead != 0 || b.Rejected != 0 {
		t.Errorf("at rest: held %d, queued %d, dead letters %d, rejected %d; all must be 0", b.Held, b.Queued, b.Dead, b.Rejected)
	}
	if b.Orders != b.Users {
		t.Errorf("P3: %d orders by %d users", b.Orders, b.Users)
	}
}
