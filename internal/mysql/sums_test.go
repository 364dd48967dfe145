package mysql_test

import (
	"crypto/rand"
	"strings"
	"sync"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/mysql"
)

var keyring = sync.OnceValue(func() *flashgate.Keyring {
	k, err := flashgate.ParseKeyring(flashgate.NewKey())
	if err != nil {
		panic(err)
	}
	return k
})

// createSale makes a sale that is open.
func createSale(t testing.TB, s *mysql.Store, units int64, perUser int) flashgate.SaleID {
	t.Helper()
	sale := flashgate.Sale{ID: flashgate.SaleID("s" + strings.ToLower(rand.Text()[:20])), Goods: "goods", FlashPrice: 1999,
		Starts: time.Now().Add(-time.Hour), Ends: time.Now().Add(time.Hour), PerUser: perUser, Seeded: units}
	if err := s.CreateSale(t.Context(), sale); err != nil {
		t.Fatal(err)
	}
	return sale.ID
}

// reservations is n of one unit each, by users of their own.
func reservations(sale flashgate.SaleID, n int) []flashgate.Reservation {
	rs := make([]flashgate.Reservation, n)
	for i := range rs {
		user := flashgate.UserID("u" + strings.ToLower(rand.Text()[:20]))
		_, id := keyring().Mint(flashgate.Claim{Sale: string(sale), User: string(user)}, time.Now().Add(time.Hour))
		rs[i] = flashgate.Reservation{Order: id, User: user, Units: 1, At: time.Now().UnixMilli()}
	}
	return rs
}

// fate is what the log tells of an order.
type fate struct {
	placed, rejected, cancelled int
	units                       int64
}

// readLog reads the log of a sale of so many units at first, checks that it has no gap
// and that each entry leaves what its changes make of the one before, and returns what
// became of each order.
func readLog(t testing.TB, s *mysql.Store, id flashgate.SaleID, units int64) map[flashgate.OrderID]*fate {
	t.Helper()
	sale, err := s.Sale(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	es, err := s.Entries(t.Context(), id, 0, 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	fates := map[flashgate.OrderID]*fate{}
	left := units
	for i, e := range es {
		if e.Seq != uint64(i)+1 {
			t.Fatalf("entry %d of the log is number %d", i+1, e.Seq)
		}
		for _, c := range e.Changes {
			f := fates[c.Order]
			if f == nil {
				f = &fate{units: c.Units}
				fates[c.Order] = f
			}
			switch c.Kind {
			case flashgate.ChangePlaced:
				f.placed++
				left -= c.Units
			case flashgate.ChangeRejected:
				f.rejected++
			case flashgate.ChangeCancelled:
				f.cancelled++
				left += c.Units
			case flashgate.ChangeRestock:
				left += c.Units
			}
		}
		if e.LeftAfter != left || left < 0 {
			t.Fatalf("entry %d leaves %d, its changes leave %d", e.Seq, e.LeftAfter, left)
		}
	}
	delete(fates, "")
	if sale.Seq != uint64(len(es)) || sale.StockLeft != left {
		t.Errorf("the sale has seq %d and stock left %d, the log %d and %d", sale.Seq, sale.StockLeft, len(es), left)
	}
	return fates
}

// wantWhole checks that sale, log, orders, buyers and events tell the same, and that
// each reservation has exactly one row. Nobody has taken events.
func wantWhole(t testing.TB, s *mysql.Store, dsn string, id flashgate.SaleID, units int64, rs []flashgate.Reservation) {
	t.Helper()
	fates := readLog(t, s, id, units)
	if len(fates) != len(rs) {
		t.Errorf("the log tells of %d orders, want %d", len(fates), len(rs))
	}
	snapshot, err := s.Snapshot(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if len(snapshot.Orders) != len(rs) {
		t.Errorf("there are %d rows, want %d", len(snapshot.Orders), len(rs))
	}
	live, taken := int64(0), map[string]int{}
	for _, o := range snapshot.Orders {
		f := fates[o.Order]
		if f == nil || f.placed+f.rejected != 1 || f.cancelled > f.placed || f.units != int64(o.Units) || o.Live != (f.placed-f.cancelled == 1) {
			t.Fatalf("the row is %+v, the log tells %+v", o, f)
		}
		if o.Live {
			live += int64(o.Units)
			taken[string(o.User)] += o.Units
		}
	}
	if sale := snapshot.Sale; sale.Seeded != sale.StockLeft+live {
		t.Errorf("the sums differ: seeded %d, stock left %d, live units %d", sale.Seeded, sale.StockLeft, live)
	}
	for _, r := range rs {
		if fates[r.Order] == nil {
			t.Errorf("a reservation of %s was never decided", r.User)
		}
	}
	wantBuyers(t, dsn, id, taken)
	wantEvents(t, dsn, id, fates)
}

func wantBuyers(t testing.TB, dsn string, id flashgate.SaleID, taken map[string]int) {
	t.Helper()
	rows, err := plain(t, dsn).QueryContext(t.Context(), "SELECT user, taken FROM buyer WHERE sale = ?", id)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var user string
		var n int
		if err := rows.Scan(&user, &n); err != nil {
			t.Fatal(err)
		}
		if n != taken[user] {
			t.Errorf("buyer %s has taken %d, the orders say %d", user, n, taken[user])
		}
		delete(taken, user)
	}
	if err := rows.Err(); err != nil || len(taken) > 0 {
		t.Errorf("%d buyers have no row: %v", len(taken), err)
	}
}

func wantEvents(t testing.TB, dsn string, id flashgate.SaleID, fates map[flashgate.OrderID]*fate) {
	t.Helper()
	rows, err := plain(t, dsn).QueryContext(t.Context(), "SELECT kind, order_id FROM event WHERE sale = ?", id)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	told := map[flashgate.OrderID]*fate{}
	for rows.Next() {
		var kind flashgate.EventKind
		var order flashgate.OrderID
		if err := rows.Scan(&kind, &order); err != nil {
			t.Fatal(err)
		}
		if told[order] == nil {
			told[order] = &fate{}
		}
		switch f := told[order]; kind {
		case flashgate.EventPlaced:
			f.placed++
		case flashgate.EventRejected:
			f.rejected++
		case flashgate.EventCancelled:
			f.cancelled++
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for order, f := range fates {
		e := told[order]
		if e == nil || e.placed != f.placed || e.rejected != f.rejected || e.cancelled != f.cancelled {
			t.Errorf("the events tell %+v of an order, the log %+v", e, f)
		}
	}
}
