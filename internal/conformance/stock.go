package conformance

import (
	"testing"
	"time"

	"flashgate"
)

// Stock is the suite of flashgate.Stock: reserving, reading, and that the gate
// follows the database behind it.
func Stock(t *testing.T, open func(t *testing.T) StockFixture) {
	reopens := func(f StockFixture) bool { return f.Reopen != nil }
	run(t, open, []testCase[StockFixture]{
		{name: "UnknownSale", run: stockUnknownSale},
		{name: "Holds", run: stockHolds},
		{name: "Window", run: stockWindow},
		{name: "UserLimit", run: stockUserLimit},
		{name: "UserLimitCountsUnits", run: stockUserLimitCountsUnits},
		{name: "SoldOut", run: stockSoldOut},
		{name: "OrderOfChecks", run: stockOrderOfChecks},
		{name: "Bound", run: stockBound, needs: func(f StockFixture) bool { return f.Bound > 0 }},
		{name: "BatchInOrder", run: stockBatchInOrder},
		{name: "LargeBatch", run: stockLargeBatch},
		{name: "BadReservation", run: stockBadReservation},
		{name: "CancelledContext", run: stockCancelledContext},
		{name: "Position", run: stockPosition},
		{name: "Freed", run: stockFreed, needs: func(f StockFixture) bool { return watches(f.Stock) }},
		{name: "FreedByAnotherWindow", run: stockFreedByAnotherWindow, needs: func(f StockFixture) bool { return watches(f.Stock) }},

		{name: "RepeatWhileHeld", run: stockRepeatWhileHeld},
		{name: "RepeatAfterDecision", run: stockRepeatAfterDecision},
		{name: "RepeatAfterCancel", run: stockRepeatAfterCancel},
		{name: "RepeatAfterRejection", run: stockRepeatAfterRejection},
		{name: "RepeatAfterEverything", run: stockRepeatAfterEverything},
		{name: "Conflict", run: stockConflict},

		{name: "ConcurrentBuyers", run: stockConcurrentBuyers},
		{name: "ConcurrentRepeats", run: stockConcurrentRepeats},
		{name: "ConcurrentOrdersOfOneUser", run: stockConcurrentOrdersOfOneUser},
		{name: "HeldThenRow", run: stockHeldThenRow},
		{name: "ConcurrentEverything", run: stockConcurrentEverything},

		{name: "Decided", run: stockDecided},
		{name: "PlacedUnheld", run: stockPlacedUnheld},
		{name: "CancelGivesBack", run: stockCancelGivesBack},
		{name: "ExpiryGivesBack", run: stockExpiryGivesBack},
		{name: "RejectionGivesBack", run: stockRejectionGivesBack},
		{name: "ReplayKeeps", run: stockReplayKeeps},
		{name: "SaleChanges", run: stockSaleChanges},
		{name: "Crash", run: stockCrash, needs: reopens},
		{name: "CrashAfterDecision", run: stockCrashAfterDecision, needs: reopens},
	})
}

func stockUnknownSale(t *testing.T, f StockFixture) {
	sale := newSale(1, 1).ID
	rs := reservations(sale, 2)
	for _, out := range reserve(t, f.Stock, sale, rs...) {
		if out.Outcome != flashgate.OutcomeClosed {
			t.Errorf("Reserve of an unknown sale: outcome %d, want closed", out.Outcome)
		}
	}
	_, err := f.Stock.View(t.Context(), sale)
	wantCode(t, err, flashgate.CodeNotFound, "View of an unknown sale")
	wantHeld(t, f.Stock, rs[0], false, "unknown sale")
}

func stockHolds(t *testing.T, f StockFixture) {
	sale := newSale(10, 3)
	f.Sale(t, sale)
	wantView(t, f.Stock, sale.ID, 10, 0, "before")
	r := reservation(sale.ID, newUser(), 3)
	wantHeld(t, f.Stock, r, false, "before")
	hold(t, f.Stock, sale.ID, r)
	wantHeld(t, f.Stock, r, true, "after")
	wantHeld(t, f.Stock, reservation(sale.ID, r.User, 3), false, "another id")
	v := view(t, f.Stock, sale.ID)
	if v.Free != 7 || v.Held != 3 {
		t.Errorf("free %d, held %d; want 7, 3", v.Free, v.Held)
	}
	if !v.Open || v.PerUser != 3 || v.Epoch == 0 || !v.Starts.Equal(sale.Starts) || !v.Ends.Equal(sale.Ends) {
		t.Errorf("the view %+v is not that of %+v", v, sale)
	}
	if flashgate.PhaseAt(v.Now, v.Starts, v.Ends) != flashgate.PhaseOpen {
		t.Errorf("the gate's clock says %v, outside %v to %v", v.Now, v.Starts, v.Ends)
	}
	if out := reserve(t, f.Stock, sale.ID); len(out) != 0 {
		t.Errorf("an empty batch gave %d answers", len(out))
	}
}

func stockWindow(t *testing.T, f StockFixture) {
	for name, c := range map[string]struct {
		sale flashgate.Sale
		want flashgate.Outcome
	}{
		"upcoming":                {upcoming(newSale(5, 1)), flashgate.OutcomeNotStarted},
		"upcoming, without units": {upcoming(newSale(0, 1)), flashgate.OutcomeNotStarted},
		"ended":                   {ended(newSale(5, 1)), flashgate.OutcomeEnded},
		"ended, without units":    {ended(newSale(0, 1)), flashgate.OutcomeEnded},
	} {
		f.Sale(t, c.sale)
		r := reservation(c.sale.ID, newUser(), 1)
		out := refuse(t, f.Stock, c.want, r, name)
		if in := out.OpensIn; c.want == flashgate.OutcomeNotStarted && (in < 55*time.Minute || in > time.Hour+time.Minute) {
			t.Errorf("%s: opens in %v, want about an hour", name, in)
		}
		wantView(t, f.Stock, c.sale.ID, c.sale.Seeded, 0, name)
		wantHeld(t, f.Stock, r, false, name)
	}
}

func stockUserLimit(t *testing.T, f StockFixture) {
	sale := newSale(10, 1)
	f.Sale(t, sale)
	first := reservation(sale.ID, newUser(), 1)
	hold(t, f.Stock, sale.ID, first)
	again := reservation(sale.ID, first.User, 1)
	if out := refuse(t, f.Stock, flashgate.OutcomeAlreadyBought, again, "a second order"); out.Prior != first.Order {
		t.Errorf("prior order %q, want %q", out.Prior, first.Order)
	}
	wantHeld(t, f.Stock, again, false, "refused")
	wantView(t, f.Stock, sale.ID, 9, 1, "after the refusal")
	f.Settle(t)
	if out := refuse(t, f.Stock, flashgate.OutcomeAlreadyBought, again, "after the decision"); out.Prior != first.Order {
		t.Errorf("after the decision: prior order %q, want %q", out.Prior, first.Order)
	}
	// The same user in another sale is not limited.
	other := newSale(1, 1)
	f.Sale(t, other)
	hold(t, f.Stock, other.ID, reservation(other.ID, first.User, 1))
}

func stockUserLimitCountsUnits(t *testing.T, f StockFixture) {
	sale := newSale(100, 3)
	f.Sale(t, sale)
	user := newUser()
	refuse(t, f.Stock, flashgate.OutcomeAlreadyBought, reservation(sale.ID, user, 4), "more than the limit at once")
	hold(t, f.Stock, sale.ID, reservation(sale.ID, user, 2))
	refuse(t, f.Stock, flashgate.OutcomeAlreadyBought, reservation(sale.ID, user, 2), "2 + 2 of 3")
	hold(t, f.Stock, sale.ID, reservation(sale.ID, user, 1))
	refuse(t, f.Stock, flashgate.OutcomeAlreadyBought, reservation(sale.ID, user, 1), "3 + 1 of 3")
	wantView(t, f.Stock, sale.ID, 97, 3, "after three units")
}

func stockSoldOut(t *testing.T, f StockFixture) {
	sale := newSale(3, 2)
	f.Sale(t, sale)
	two := reservation(sale.ID, newUser(), 2)
	hold(t, f.Stock, sale.ID, two)
	big := reservation(sale.ID, newUser(), 2)
	refuse(t, f.Stock, flashgate.OutcomeSoldOut, big, "2 units of 1")
	wantHeld(t, f.Stock, big, false, "refused")
	wantView(t, f.Stock, sale.ID, 1, 2, "after the refusal")
	// A refusal costs nothing: neither the last unit nor the user's share.
	last := reservation(sale.ID, big.User, 1)
	hold(t, f.Stock, sale.ID, last)
	refuse(t, f.Stock, flashgate.OutcomeSoldOut, reservation(sale.ID, newUser(), 1), "1 unit of 0")
	wantView(t, f.Stock, sale.ID, 0, 3, "sold out")
	wantRest(t, f, sale.ID, []flashgate.Reservation{two, big, last}, 0)
}

// stockOrderOfChecks: where several checks refuse, the first of the contract wins.
func stockOrderOfChecks(t *testing.T, f StockFixture) {
	sale := newSale(1, 1)
	f.Sale(t, sale)
	first := reservation(sale.ID, newUser(), 1)
	hold(t, f.Stock, sale.ID, first)
	refuse(t, f.Stock, flashgate.OutcomeAlreadyBought, reservation(sale.ID, first.User, 1), "over the limit, and sold out")
	if _, err := f.Sales.ChangeSale(t.Context(), sale.ID, flashgate.SaleChange{Close: true}); err != nil {
		t.Fatal(err)
	}
	f.follow(t)
	refuse(t, f.Stock, flashgate.OutcomeEnded, reservation(sale.ID, first.User, 1), "ended, over the limit, and sold out")
	hold(t, f.Stock, sale.ID, first)
	other := first
	other.Units++
	refuse(t, f.Stock, flashgate.OutcomeConflict, other, "another payload, and ended")
}

func stockBound(t *testing.T, f StockFixture) {
	sale := newSale(f.Bound+10*flashgate.MaxUnits, flashgate.MaxUnits)
	f.Sale(t, sale)
	var rs []flashgate.Reservation
	for range f.Bound / flashgate.MaxUnits {
		rs = append(rs, reservation(sale.ID, newUser(), flashgate.MaxUnits))
	}
	hold(t, f.Stock, sale.ID, rs...)
	next := reservation(sale.ID, newUser(), 1)
	refuse(t, f.Stock, flashgate.OutcomeBusy, next, "past the bound")
	refuse(t, f.Stock, flashgate.OutcomeBusy, reservation(sale.ID, rs[0].User, 1), "past the bound, and over the limit")
	wantHeld(t, f.Stock, next, false, "refused")
	hold(t, f.Stock, sale.ID, rs[0])
	f.Settle(t)
	hold(t, f.Stock, sale.ID, next)
	wantRest(t, f, sale.ID, append(rs, next), 0)
}

func stockBatchInOrder(t *testing.T, f StockFixture) {
	sale := newSale(2, 1)
	f.Sale(t, sale)
	a, b, c := reservation(sale.ID, newUser(), 1), reservation(sale.ID, newUser(), 1), reservation(sale.ID, newUser(), 1)
	second := reservation(sale.ID, a.User, 1)
	other := a
	other.Units = 2
	out := reserve(t, f.Stock, sale.ID, a, a, second, other, b, c, b)
	for i, ok := range []func(flashgate.Outcome) bool{
		held, held,
		func(o flashgate.Outcome) bool { return o == flashgate.OutcomeAlreadyBought },
		func(o flashgate.Outcome) bool { return o == flashgate.OutcomeConflict },
		held,
		func(o flashgate.Outcome) bool { return o == flashgate.OutcomeSoldOut },
		held,
	} {
		if !ok(out[i].Outcome) {
			t.Errorf("reservation %d of the batch: outcome %d", i, out[i].Outcome)
		}
	}
	if out[2].Prior != a.Order {
		t.Errorf("prior order %q, want the one in the same batch", out[2].Prior)
	}
	wantView(t, f.Stock, sale.ID, 0, 2, "after the batch")
	if live := wantRest(t, f, sale.ID, []flashgate.Reservation{a, b, c, second}, 0); live != 2 {
		t.Errorf("%d live orders, want 2", live)
	}
}

// stockLargeBatch holds more than fits into one message.
func stockLargeBatch(t *testing.T, f StockFixture) {
	n := flashgate.MaxMessageReservations + 76
	sale := newSale(int64(n), 1)
	f.Sale(t, sale)
	rs := reservations(sale.ID, n)
	hold(t, f.Stock, sale.ID, rs...)
	wantView(t, f.Stock, sale.ID, 0, int64(n), "after the batch")
	if live := wantRest(t, f, sale.ID, rs, 0); live != n {
		t.Errorf("%d live orders, want %d", live, n)
	}
}

func stockBadReservation(t *testing.T, f StockFixture) {
	sale := newSale(10, 1)
	f.Sale(t, sale)
	for name, bad := range badReservations(sale.ID) {
		good := reservations(sale.ID, 2)
		_, err := f.Stock.Reserve(t.Context(), sale.ID, []flashgate.Reservation{good[0], bad, good[1]})
		wantCode(t, err, flashgate.CodeInvalid, name)
		wantHeld(t, f.Stock, good[0], false, "beside "+name)
		wantHeld(t, f.Stock, good[1], false, "beside "+name)
	}
	bad := reservation(sale.ID, newUser(), 1)
	bad.Order += "x"
	_, err := f.Stock.Reserve(t.Context(), sale.ID, []flashgate.Reservation{bad})
	wantCode(t, err, flashgate.CodeInvalid, "not an order id")
	wantView(t, f.Stock, sale.ID, 10, 0, "after the bad batches")
}

// stockCancelledContext: an error leaves all or nothing, and repeating the same
// ids is the way on.
func stockCancelledContext(t *testing.T, f StockFixture) {
	sale := newSale(10, 1)
	f.Sale(t, sale)
	rs := reservations(sale.ID, 3)
	if _, err := f.Stock.Reserve(cancelled(t), sale.ID, rs); err == nil {
		t.Error("Reserve with a context that has ended gave no error")
	}
	switch v := view(t, f.Stock, sale.ID); {
	case v.Held != 0 && v.Held != 3, v.Free+v.Held != 10:
		t.Errorf("free %d, held %d: a part of the batch", v.Free, v.Held)
	}
	hold(t, f.Stock, sale.ID, rs...)
	wantView(t, f.Stock, sale.ID, 7, 3, "after the repeat")
	if _, err := f.Stock.View(cancelled(t), sale.ID); err != nil {
		wantCode(t, err, flashgate.CodeUnavailable, "View with a context that has ended")
	}
}
