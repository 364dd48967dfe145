package conformance

import (
	"testing"
	"time"

	"flashgate"
)

func stockDecided(t *testing.T, f StockFixture) {
	sale := newSale(10, 2)
	f.Sale(t, sale)
	rs := []flashgate.Reservation{reservation(sale.ID, newUser(), 2), reservation(sale.ID, newUser(), 1)}
	hold(t, f.Stock, sale.ID, rs...)
	place(t, f.Database, sale.ID, unpaid, rs[0])
	f.follow(t)
	wantView(t, f.Stock, sale.ID, 7, 1, "after the first decision")
	wantHeld(t, f.Stock, rs[0], false, "decided")
	wantHeld(t, f.Stock, rs[1], true, "not decided")
	if v, s := view(t, f.Stock, sale.ID), readSale(t, f.Sales, sale.ID); v.Applied != s.Seq || s.Seq == 0 {
		t.Errorf("applied %d, the sale's seq is %d", v.Applied, s.Seq)
	}
	if live := wantRest(t, f, sale.ID, rs, 0); live != 2 {
		t.Errorf("%d live orders, want 2", live)
	}
}

// stockPlacedUnheld: an order that the gate never held is counted when it is
// placed, also against its user.
func stockPlacedUnheld(t *testing.T, f StockFixture) {
	sale := newSale(3, 1)
	f.Sale(t, sale)
	r := reservation(sale.ID, newUser(), 1)
	place(t, f.Database, sale.ID, unpaid, r)
	f.follow(t)
	wantView(t, f.Stock, sale.ID, 2, 0, "after the decision")
	refuse(t, f.Stock, flashgate.OutcomeAlreadyBought, reservation(sale.ID, r.User, 1), "the buyer again")
	hold(t, f.Stock, sale.ID, r)
	wantView(t, f.Stock, sale.ID, 2, 0, "after a repeat of its id")
	// One that was never held and is rejected has nothing to give back.
	dropped := reservation(sale.ID, newUser(), 1)
	deadLetter(t, f.Database, dropped)
	drop(t, f.Database, dropped.Order)
	f.follow(t)
	wantView(t, f.Stock, sale.ID, 2, 0, "after a rejection")
	wantRest(t, f, sale.ID, []flashgate.Reservation{r, dropped}, 0)
}

func stockCancelGivesBack(t *testing.T, f StockFixture) {
	sale := newSale(1, 1)
	f.Sale(t, sale)
	first := reservation(sale.ID, newUser(), 1)
	hold(t, f.Stock, sale.ID, first)
	f.Settle(t)
	refuse(t, f.Stock, flashgate.OutcomeSoldOut, reservation(sale.ID, newUser(), 1), "before the cancel")
	all := []flashgate.Reservation{first}
	for range 3 { // the same user again, by a new id each time
		cancel(t, f.Database, all[len(all)-1])
		f.follow(t)
		wantView(t, f.Stock, sale.ID, 1, 0, "after the cancel")
		next := reservation(sale.ID, first.User, 1)
		hold(t, f.Stock, sale.ID, next)
		all = append(all, next)
		if live := wantRest(t, f, sale.ID, all, 0); live != 1 {
			t.Errorf("%d live orders, want 1", live)
		}
		wantOrder(t, f.Database, next.Order, flashgate.StatusPending, "", "bought again")
	}
}

func stockExpiryGivesBack(t *testing.T, f StockFixture) {
	sale := newSale(1, 1)
	f.Sale(t, sale)
	r := reservation(sale.ID, newUser(), 1)
	hold(t, f.Stock, sale.ID, r)
	place(t, f.Database, sale.ID, time.Millisecond, r)
	expire(t, f.Database, r.Order)
	f.follow(t)
	wantView(t, f.Stock, sale.ID, 1, 0, "after the expiry")
	next := reservation(sale.ID, r.User, 1)
	hold(t, f.Stock, sale.ID, next)
	if live := wantRest(t, f, sale.ID, []flashgate.Reservation{r, next}, 0); live != 1 {
		t.Errorf("%d live orders, want 1", live)
	}
}

// stockRejectionGivesBack: a dead letter stays held; dropped, it gives units and
// share back.
func stockRejectionGivesBack(t *testing.T, f StockFixture) {
	sale := newSale(3, 2)
	f.Sale(t, sale)
	r := reservation(sale.ID, newUser(), 2)
	hold(t, f.Stock, sale.ID, r)
	deadLetter(t, f.Database, r)
	wantRest(t, f, sale.ID, []flashgate.Reservation{r}, 2)
	wantHeld(t, f.Stock, r, true, "dead-lettered")
	hold(t, f.Stock, sale.ID, r)
	refuse(t, f.Stock, flashgate.OutcomeAlreadyBought, reservation(sale.ID, r.User, 1), "while it is dead-lettered")
	drop(t, f.Database, r.Order)
	f.follow(t)
	wantHeld(t, f.Stock, r, false, "dropped")
	wantView(t, f.Stock, sale.ID, 3, 0, "dropped")
	wantOrder(t, f.Database, r.Order, flashgate.StatusRejected, flashgate.ReasonDropped, "dropped")
	next := reservation(sale.ID, r.User, 2)
	hold(t, f.Stock, sale.ID, next)
	if live := wantRest(t, f, sale.ID, []flashgate.Reservation{r, next}, 0); live != 1 {
		t.Errorf("%d live orders, want 1", live)
	}
}

func stockReplayKeeps(t *testing.T, f StockFixture) {
	sale := newSale(3, 1)
	f.Sale(t, sale)
	r := reservation(sale.ID, newUser(), 1)
	hold(t, f.Stock, sale.ID, r)
	deadLetter(t, f.Database, r)
	f.Settle(t)
	if _, err := f.DeadLetters.Replay(t.Context(), r.Order, unpaid); err != nil {
		t.Fatalf("Replay: %v", err)
	}
	f.follow(t)
	wantHeld(t, f.Stock, r, false, "replayed")
	wantView(t, f.Stock, sale.ID, 2, 0, "replayed")
	if live := wantRest(t, f, sale.ID, []flashgate.Reservation{r}, 0); live != 1 {
		t.Errorf("%d live orders, want 1", live)
	}
}

func stockSaleChanges(t *testing.T, f StockFixture) {
	sale := upcoming(newSale(0, 1))
	f.Sale(t, sale)
	change := func(c flashgate.SaleChange) {
		t.Helper()
		if _, err := f.Sales.ChangeSale(t.Context(), sale.ID, c); err != nil {
			t.Fatalf("ChangeSale: %v", err)
		}
		f.follow(t)
	}
	r := reservation(sale.ID, newUser(), 1)
	refuse(t, f.Stock, flashgate.OutcomeNotStarted, r, "upcoming")
	starts := now().Add(-time.Minute)
	change(flashgate.SaleChange{Starts: &starts})
	if v := view(t, f.Stock, sale.ID); !v.Starts.Equal(starts) || !v.Ends.Equal(sale.Ends) {
		t.Errorf("the gate's window is %v to %v, want %v to %v", v.Starts, v.Ends, starts, sale.Ends)
	}
	refuse(t, f.Stock, flashgate.OutcomeSoldOut, r, "open, without units")
	change(flashgate.SaleChange{Restock: 2})
	wantView(t, f.Stock, sale.ID, 2, 0, "restocked")
	hold(t, f.Stock, sale.ID, r)
	change(flashgate.SaleChange{Close: true})
	other := reservation(sale.ID, newUser(), 1)
	refuse(t, f.Stock, flashgate.OutcomeEnded, other, "closed")
	ends := now().Add(time.Hour)
	change(flashgate.SaleChange{Ends: &ends})
	hold(t, f.Stock, sale.ID, other)
	if live := wantRest(t, f, sale.ID, []flashgate.Reservation{r, other}, 0); live != 2 {
		t.Errorf("%d live orders, want 2", live)
	}
}

// stockCrash: what was accepted is still held, known and on its way.
func stockCrash(t *testing.T, f StockFixture) {
	sale := newSale(30, 1)
	f.Sale(t, sale)
	rs := reservations(sale.ID, 30)
	var ta tally
	concurrently(10, func(i int) {
		for _, r := range rs[3*i : 3*i+3] {
			ta.buy(t, f.Stock, sale.ID, r)
		}
	})
	if len(ta.accepted) != 30 {
		t.Fatalf("%d accepted, want 30: %v", len(ta.accepted), ta.other)
	}
	f = f.Reopen(t)
	wantView(t, f.Stock, sale.ID, 0, 30, "after the crash")
	for _, r := range rs {
		wantHeld(t, f.Stock, r, true, "after the crash")
	}
	hold(t, f.Stock, sale.ID, rs[:10]...)
	refuse(t, f.Stock, flashgate.OutcomeSoldOut, reservation(sale.ID, newUser(), 1), "after the crash")
	wantView(t, f.Stock, sale.ID, 0, 30, "after the repeats")
	if live := wantRest(t, f, sale.ID, rs, 0); live != 30 {
		t.Errorf("%d live orders, want 30", live)
	}
}

func stockCrashAfterDecision(t *testing.T, f StockFixture) {
	sale := newSale(5, 1)
	f.Sale(t, sale)
	paid, gone, waiting := reservation(sale.ID, newUser(), 1), reservation(sale.ID, newUser(), 1), reservation(sale.ID, newUser(), 1)
	hold(t, f.Stock, sale.ID, paid, gone)
	f.Settle(t)
	if _, err := f.Orders.Pay(t.Context(), paid.Order, paid.User); err != nil {
		t.Fatalf("Pay: %v", err)
	}
	cancel(t, f.Database, gone)
	hold(t, f.Stock, sale.ID, waiting)
	// The database has decided it, and the gate crashes before it hears of that.
	place(t, f.Database, sale.ID, unpaid, waiting)
	f = f.Reopen(t)
	f.follow(t)
	wantView(t, f.Stock, sale.ID, 3, 0, "after the crash")
	wantOrder(t, f.Database, paid.Order, flashgate.StatusPaid, "", "after the crash")
	wantOrder(t, f.Database, gone.Order, flashgate.StatusCancelled, flashgate.ReasonUser, "after the crash")
	hold(t, f.Stock, sale.ID, paid, gone, waiting)
	refuse(t, f.Stock, flashgate.OutcomeAlreadyBought, reservation(sale.ID, paid.User, 1), "after the crash")
	fresh := reservation(sale.ID, gone.User, 1)
	hold(t, f.Stock, sale.ID, fresh)
	if live := wantRest(t, f, sale.ID, []flashgate.Reservation{paid, gone, waiting, fresh}, 0); live != 3 {
		t.Errorf("%d live orders, want 3", live)
	}
}
