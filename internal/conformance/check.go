package conformance

import (
	"context"
	"testing"
	"time"

	"flashgate"
)

// held reports whether an outcome says that the units are the buyer's, published
// yet or not.
func held(o flashgate.Outcome) bool {
	return o == flashgate.OutcomeAccepted || o == flashgate.OutcomePublish
}

// wantCode fails the test unless err is an *Error of that code.
func wantCode(t testing.TB, err error, code flashgate.Code, what string) {
	t.Helper()
	if err == nil || flashgate.ErrorCode(err) != code {
		t.Errorf("%s: error %v, want code %s", what, err, code)
	}
}

// reserve makes one call that must answer every reservation.
func reserve(t testing.TB, s flashgate.Stock, sale flashgate.SaleID, rs ...flashgate.Reservation) []flashgate.Reserved {
	t.Helper()
	out, err := s.Reserve(t.Context(), sale, rs)
	if err != nil {
		t.Fatalf("Reserve: %v", err)
	}
	if len(out) != len(rs) {
		t.Fatalf("Reserve gave %d answers to %d reservations", len(out), len(rs))
	}
	return out
}

// hold reserves and fails the test unless all of them are held.
func hold(t testing.TB, s flashgate.Stock, sale flashgate.SaleID, rs ...flashgate.Reservation) {
	t.Helper()
	for i, out := range reserve(t, s, sale, rs...) {
		if !held(out.Outcome) {
			t.Fatalf("reservation %d: outcome %d, want it held", i, out.Outcome)
		}
	}
}

// refuse reserves one and fails the test unless the outcome is the one wanted.
func refuse(t testing.TB, s flashgate.Stock, want flashgate.Outcome, r flashgate.Reservation, what string) flashgate.Reserved {
	t.Helper()
	out := reserve(t, s, r.Order.Sale(), r)[0]
	if out.Outcome != want {
		t.Errorf("%s: outcome %d, want %d", what, out.Outcome, want)
	}
	return out
}

func view(t testing.TB, s flashgate.Stock, sale flashgate.SaleID) flashgate.StockView {
	t.Helper()
	v, err := s.View(t.Context(), sale)
	if err != nil {
		t.Fatalf("View: %v", err)
	}
	return v
}

// wantView compares the gate's two counters.
func wantView(t testing.TB, s flashgate.Stock, sale flashgate.SaleID, free, held int64, when string) {
	t.Helper()
	if v := view(t, s, sale); v.Free != free || v.Held != held {
		t.Errorf("%s: the gate has free %d, held %d; want %d, %d", when, v.Free, v.Held, free, held)
	}
}

// wantHeld asks for one id.
func wantHeld(t testing.TB, s flashgate.Stock, r flashgate.Reservation, want bool, when string) {
	t.Helper()
	got, ok, err := s.Held(t.Context(), r.Order)
	if err != nil {
		t.Fatalf("Held: %v", err)
	}
	if ok != want {
		t.Errorf("%s: Held says %v, want %v", when, ok, want)
	}
	if ok && (!got.Same(r) || got.At != r.At) {
		t.Errorf("%s: Held gives %+v, want %+v", when, got, r)
	}
}

func readSale(t testing.TB, s flashgate.SaleStore, id flashgate.SaleID) flashgate.Sale {
	t.Helper()
	sale, err := s.Sale(t.Context(), id)
	if err != nil {
		t.Fatalf("Sale: %v", err)
	}
	return sale
}

// decide makes one call that must answer every reservation.
func decide(t testing.TB, db Database, sale flashgate.SaleID, ttl time.Duration, rs ...flashgate.Reservation) []flashgate.Decision {
	t.Helper()
	ds, err := db.Ledger.Decide(t.Context(), sale, rs, ttl)
	if err != nil {
		t.Fatalf("Decide: %v", err)
	}
	if len(ds) != len(rs) {
		t.Fatalf("Decide gave %d decisions for %d reservations", len(ds), len(rs))
	}
	for i, d := range ds {
		if d.Order != rs[i].Order {
			t.Fatalf("decision %d is about %q, want %q", i, d.Order, rs[i].Order)
		}
	}
	return ds
}

// place decides them and fails the test unless all are pending.
func place(t testing.TB, db Database, sale flashgate.SaleID, ttl time.Duration, rs ...flashgate.Reservation) {
	t.Helper()
	for i, d := range decide(t, db, sale, ttl, rs...) {
		if d.Status != flashgate.StatusPending || d.Duplicate {
			t.Fatalf("decision %d is %+v, want a new pending order", i, d)
		}
	}
}

func readOrder(t testing.TB, db Database, id flashgate.OrderID) flashgate.Order {
	t.Helper()
	o, err := db.Orders.Order(t.Context(), id)
	if err != nil {
		t.Fatalf("Order: %v", err)
	}
	return o
}

// wantOrder compares state and reason of a row.
func wantOrder(t testing.TB, db Database, id flashgate.OrderID, status flashgate.Status, reason, what string) {
	t.Helper()
	if o := readOrder(t, db, id); o.Status != status || o.Reason != reason {
		t.Errorf("%s: the order is %s(%s), want %s(%s)", what, o.Status, o.Reason, status, reason)
	}
}

// wantNoOrder fails the test when there is a row or a dead letter.
func wantNoOrder(t testing.TB, db Database, id flashgate.OrderID, what string) {
	t.Helper()
	_, err := db.Orders.Order(t.Context(), id)
	wantCode(t, err, flashgate.CodeNotFound, what)
}

// wantDatabaseSum is P4 in the database: seeded = stock_left + units of live
// orders. all are the reservations that may have become orders of the sale. It
// returns how many of them are live.
func wantDatabaseSum(t testing.TB, db Database, sale flashgate.SaleID, all []flashgate.Reservation) (live int) {
	t.Helper()
	s := readSale(t, db.Sales, sale)
	var units int64
	users := map[flashgate.UserID]int{}
	for len(all) > 0 {
		n := min(len(all), 500)
		os, err := db.Orders.Orders(t.Context(), ids(all[:n]))
		if err != nil {
			t.Fatalf("Orders: %v", err)
		}
		all = all[n:]
		for _, o := range os {
			if o.Status.Live() {
				live++
				units += int64(o.Units)
				users[o.User] += o.Units
			}
		}
	}
	if s.StockLeft < 0 || s.Seeded != s.StockLeft+units {
		t.Errorf("the sums differ: seeded %d, stock left %d, live units %d", s.Seeded, s.StockLeft, units)
	}
	for u, n := range users {
		if n > s.PerUser {
			t.Errorf("user %s has %d units, %d are allowed", u, n, s.PerUser)
		}
	}
	return live
}

// wantRest settles and checks both sums of P4, with dead units still held for
// dead letters. It returns how many orders are live.
func wantRest(t testing.TB, f StockFixture, sale flashgate.SaleID, all []flashgate.Reservation, dead int64) (live int) {
	t.Helper()
	f.Settle(t)
	live = wantDatabaseSum(t, f.Database, sale, all)
	s, v := readSale(t, f.Sales, sale), view(t, f.Stock, sale)
	if v.Held != dead || v.Free+v.Held != s.StockLeft || v.Applied != s.Seq {
		t.Errorf("at rest the gate has free %d, held %d, applied %d; the database has stock left %d, seq %d; want held %d",
			v.Free, v.Held, v.Applied, s.StockLeft, s.Seq, dead)
	}
	return live
}

// cancelled is a context that has ended already.
func cancelled(t testing.TB) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
