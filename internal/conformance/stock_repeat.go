package conformance

import (
	"encoding/json"
	"testing"

	"flashgate"
)

// deadLetter makes the ledger keep a good reservation as a dead letter, as a
// worker does with one that the database fails on again and again.
func deadLetter(t testing.TB, db Database, r flashgate.Reservation) {
	t.Helper()
	record, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Ledger.DeadLetter(t.Context(), flashgate.DeadLetter{
		Order: r.Order, Sale: r.Order.Sale(), Record: record, Reason: flashgate.ReasonFailed, Detail: "the suite says so",
	})
	if err != nil {
		t.Fatalf("DeadLetter: %v", err)
	}
}

func drop(t testing.TB, db Database, id flashgate.OrderID) {
	t.Helper()
	if err := db.DeadLetters.Drop(t.Context(), id); err != nil {
		t.Fatalf("Drop: %v", err)
	}
}

func cancel(t testing.TB, db Database, r flashgate.Reservation) {
	t.Helper()
	if _, err := db.Orders.Cancel(t.Context(), r.Order, r.User); err != nil {
		t.Fatalf("Cancel: %v", err)
	}
}

func stockRepeatWhileHeld(t *testing.T, f StockFixture) {
	sale := newSale(2, 1)
	f.Sale(t, sale)
	r := reservation(sale.ID, newUser(), 1)
	hold(t, f.Stock, sale.ID, r)
	later := r
	later.At += 5000 // a repeat carries another time
	hold(t, f.Stock, sale.ID, later)
	wantView(t, f.Stock, sale.ID, 1, 1, "after the repeat")
	wantHeld(t, f.Stock, r, true, "after the repeat")
	// Also when nothing is left for anybody else.
	other := reservation(sale.ID, newUser(), 1)
	hold(t, f.Stock, sale.ID, other)
	hold(t, f.Stock, sale.ID, r)
	wantView(t, f.Stock, sale.ID, 0, 2, "sold out")
	if live := wantRest(t, f, sale.ID, []flashgate.Reservation{r, other}, 0); live != 2 {
		t.Errorf("%d live orders, want 2", live)
	}
}

func stockRepeatAfterDecision(t *testing.T, f StockFixture) {
	sale := newSale(5, 2)
	f.Sale(t, sale)
	r := reservation(sale.ID, newUser(), 1)
	hold(t, f.Stock, sale.ID, r)
	f.Settle(t)
	wantOrder(t, f.Database, r.Order, flashgate.StatusPending, "", "after the decision")
	hold(t, f.Stock, sale.ID, r)
	wantView(t, f.Stock, sale.ID, 4, 0, "after the repeat")
	wantHeld(t, f.Stock, r, false, "after the repeat")
	// The repeat took no share either: the limit is two.
	hold(t, f.Stock, sale.ID, reservation(sale.ID, r.User, 1))
}

func stockRepeatAfterCancel(t *testing.T, f StockFixture) {
	sale := newSale(5, 1)
	f.Sale(t, sale)
	r := reservation(sale.ID, newUser(), 1)
	hold(t, f.Stock, sale.ID, r)
	f.Settle(t)
	cancel(t, f.Database, r)
	f.follow(t)
	hold(t, f.Stock, sale.ID, r)
	if live := wantRest(t, f, sale.ID, []flashgate.Reservation{r}, 0); live != 0 {
		t.Errorf("%d live orders: the repeat revived a cancelled one", live)
	}
	wantView(t, f.Stock, sale.ID, 5, 0, "after the repeat")
	wantOrder(t, f.Database, r.Order, flashgate.StatusCancelled, flashgate.ReasonUser, "after the repeat")
	// The share is back, and the repeat has not taken it again.
	fresh := reservation(sale.ID, r.User, 1)
	hold(t, f.Stock, sale.ID, fresh)
	hold(t, f.Stock, sale.ID, r)
	wantView(t, f.Stock, sale.ID, 4, 1, "beside a new order")
	if live := wantRest(t, f, sale.ID, []flashgate.Reservation{r, fresh}, 0); live != 1 {
		t.Errorf("%d live orders, want the new one", live)
	}
}

func stockRepeatAfterRejection(t *testing.T, f StockFixture) {
	sale := newSale(5, 1)
	f.Sale(t, sale)
	r := reservation(sale.ID, newUser(), 1)
	hold(t, f.Stock, sale.ID, r)
	deadLetter(t, f.Database, r)
	drop(t, f.Database, r.Order)
	f.follow(t)
	hold(t, f.Stock, sale.ID, r)
	if live := wantRest(t, f, sale.ID, []flashgate.Reservation{r}, 0); live != 0 {
		t.Errorf("%d live orders: the repeat revived a rejected one", live)
	}
	wantView(t, f.Stock, sale.ID, 5, 0, "after the repeat")
	hold(t, f.Stock, sale.ID, reservation(sale.ID, r.User, 1))
}

// stockRepeatAfterEverything: the id is asked for before window and stock.
func stockRepeatAfterEverything(t *testing.T, f StockFixture) {
	sale := newSale(2, 1)
	f.Sale(t, sale)
	decided, waiting := reservation(sale.ID, newUser(), 1), reservation(sale.ID, newUser(), 1)
	hold(t, f.Stock, sale.ID, decided)
	f.Settle(t)
	hold(t, f.Stock, sale.ID, waiting)
	if _, err := f.Sales.ChangeSale(t.Context(), sale.ID, flashgate.SaleChange{Close: true}); err != nil {
		t.Fatal(err)
	}
	f.follow(t)
	refuse(t, f.Stock, flashgate.OutcomeEnded, reservation(sale.ID, newUser(), 1), "a new id after the end")
	hold(t, f.Stock, sale.ID, decided, waiting)
	wantView(t, f.Stock, sale.ID, 0, 1, "after the repeats")
	if live := wantRest(t, f, sale.ID, []flashgate.Reservation{decided, waiting}, 0); live != 2 {
		t.Errorf("%d live orders, want 2: what was accepted before the end is decided after it", live)
	}
}

func stockConflict(t *testing.T, f StockFixture) {
	sale := newSale(10, 3)
	f.Sale(t, sale)
	r := reservation(sale.ID, newUser(), 1)
	hold(t, f.Stock, sale.ID, r)
	units, user := r, r
	units.Units = 2
	user.User = newUser()
	for _, when := range []string{"while it is held", "after the decision"} {
		refuse(t, f.Stock, flashgate.OutcomeConflict, units, "other units "+when)
		refuse(t, f.Stock, flashgate.OutcomeConflict, user, "another user "+when)
		if v := view(t, f.Stock, sale.ID); v.Free != 9 {
			t.Errorf("free %d %s, want 9", v.Free, when)
		}
		if when == "while it is held" {
			wantHeld(t, f.Stock, r, true, when)
			f.Settle(t)
		}
	}
	hold(t, f.Stock, sale.ID, reservation(sale.ID, user.User, 3), reservation(sale.ID, r.User, 2))
}
