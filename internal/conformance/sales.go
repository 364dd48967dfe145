package conformance

import (
	"errors"
	"testing"
	"time"

	"flashgate"
)

// Sales is the suite of flashgate.SaleStore. It creates its sales by CreateSale
// itself; what a change does at the gate is in Stock.
func Sales(t *testing.T, open func(t *testing.T) DatabaseFixture) {
	run(t, open, []testCase[DatabaseFixture]{
		{name: "Create", run: salesCreate},
		{name: "CreateTwice", run: salesCreateTwice},
		{name: "CreateInvalid", run: salesCreateInvalid},
		{name: "Unknown", run: salesUnknown},
		{name: "List", run: salesList},
		{name: "ChangeWindow", run: salesChangeWindow},
		{name: "Close", run: salesClose},
		{name: "Restock", run: salesRestock},
		{name: "ConcurrentRestock", run: salesConcurrentRestock},
		{name: "ChangeInvalid", run: salesChangeInvalid},
		{name: "CancelledContext", run: salesCancelledContext},
		{name: "Crash", run: salesCrash, needs: func(f DatabaseFixture) bool { return f.Reopen != nil }},
	})
}

func createSale(t testing.TB, f DatabaseFixture, s flashgate.Sale) {
	t.Helper()
	if err := f.Sales.CreateSale(t.Context(), s); err != nil {
		t.Fatalf("CreateSale: %v", err)
	}
}

// wantSale compares all but the clock's part of times: backends may give another
// location.
func wantSale(t testing.TB, got, want flashgate.Sale, when string) {
	t.Helper()
	same := got.Starts.Equal(want.Starts) && got.Ends.Equal(want.Ends)
	got.Starts, got.Ends = want.Starts, want.Ends
	if !same || got != want {
		t.Errorf("%s: the sale is %+v, want %+v", when, got, want)
	}
}

func salesCreate(t *testing.T, f DatabaseFixture) {
	for _, s := range []flashgate.Sale{newSale(100, 3), upcoming(newSale(0, 1)), ended(newSale(1, flashgate.MaxUnits))} {
		given := s
		given.StockLeft, given.Seq, given.Epoch = 7, 8, 9 // not the caller's to say
		createSale(t, f, given)
		s.StockLeft, s.Seq, s.Epoch = s.Seeded, 0, 1
		wantSale(t, readSale(t, f.Sales, s.ID), s, "created")
	}
	most := newSale(flashgate.MaxStock, 1)
	most.FlashPrice = flashgate.MaxPrice
	createSale(t, f, most)
	most.StockLeft, most.Epoch = most.Seeded, 1
	wantSale(t, readSale(t, f.Sales, most.ID), most, "the largest")
}

func salesCreateTwice(t *testing.T, f DatabaseFixture) {
	s := newSale(100, 1)
	n := 0
	results := make([]error, 8)
	concurrently(len(results), func(i int) {
		other := s
		other.Seeded += int64(i)
		results[i] = f.Sales.CreateSale(t.Context(), other)
	})
	for i, err := range results {
		if err == nil {
			n++
			s.Seeded += int64(i)
			continue
		}
		wantCode(t, err, flashgate.CodeInvalid, "CreateSale of an id that exists")
		if e, ok := errors.AsType[*flashgate.Error](err); ok && e.Field != "id" {
			t.Errorf("CreateSale of an id that exists names the field %q, want id", e.Field)
		}
	}
	if n != 1 {
		t.Fatalf("%d of %d CreateSale of one id were good, want 1", n, len(results))
	}
	s.StockLeft, s.Epoch = s.Seeded, 1
	wantSale(t, readSale(t, f.Sales, s.ID), s, "created once")
}

func salesCreateInvalid(t *testing.T, f DatabaseFixture) {
	for what, spoil := range map[string]func(*flashgate.Sale){
		"no goods":          func(s *flashgate.Sale) { s.Goods = "" },
		"negative price":    func(s *flashgate.Sale) { s.FlashPrice = -1 },
		"ends at its start": func(s *flashgate.Sale) { s.Ends = s.Starts },
		"nobody may buy":    func(s *flashgate.Sale) { s.PerUser = 0 },
		"negative stock":    func(s *flashgate.Sale) { s.Seeded = -1 },
	} {
		s := newSale(1, 1)
		spoil(&s)
		wantCode(t, f.Sales.CreateSale(t.Context(), s), flashgate.CodeInvalid, what)
		_, err := f.Sales.Sale(t.Context(), s.ID)
		wantCode(t, err, flashgate.CodeNotFound, what)
	}
	s := newSale(1, 1)
	s.ID = "not an id"
	wantCode(t, f.Sales.CreateSale(t.Context(), s), flashgate.CodeInvalid, "not a sale id")
}

func salesUnknown(t *testing.T, f DatabaseFixture) {
	id := newSale(1, 1).ID
	_, err := f.Sales.Sale(t.Context(), id)
	wantCode(t, err, flashgate.CodeNotFound, "Sale")
	_, err = f.Sales.ChangeSale(t.Context(), id, flashgate.SaleChange{Restock: 1})
	wantCode(t, err, flashgate.CodeNotFound, "ChangeSale")
	_, err = f.Sales.Sale(t.Context(), id)
	wantCode(t, err, flashgate.CodeNotFound, "Sale after ChangeSale")
}

func salesList(t *testing.T, f DatabaseFixture) {
	want := map[flashgate.SaleID]bool{}
	for range 5 {
		s := newSale(3, 1)
		createSale(t, f, s)
		want[s.ID] = true
	}
	got, err := f.Sales.Sales(t.Context())
	if err != nil {
		t.Fatalf("Sales: %v", err)
	}
	for i, s := range got {
		if i > 0 && got[i-1].ID >= s.ID {
			t.Errorf("Sales gives %s before %s", got[i-1].ID, s.ID)
		}
		if want[s.ID] && (s.Seeded != 3 || s.StockLeft != 3) {
			t.Errorf("Sales gives %+v", s)
		}
		delete(want, s.ID)
	}
	if len(want) != 0 {
		t.Errorf("Sales leaves out %v", want)
	}
}

func change(t testing.TB, f DatabaseFixture, id flashgate.SaleID, c flashgate.SaleChange) flashgate.Sale {
	t.Helper()
	s, err := f.Sales.ChangeSale(t.Context(), id, c)
	if err != nil {
		t.Fatalf("ChangeSale: %v", err)
	}
	wantSale(t, readSale(t, f.Sales, id), s, "as ChangeSale says")
	return s
}

func salesChangeWindow(t *testing.T, f DatabaseFixture) {
	s := newSale(5, 1)
	createSale(t, f, s)
	before := readSale(t, f.Sales, s.ID)
	starts, ends := now().Add(3*time.Hour), now().Add(4*time.Hour)
	for _, c := range []flashgate.SaleChange{{Ends: &ends}, {Starts: &starts}, {Starts: &s.Starts, Ends: &s.Ends}} {
		after := change(t, f, s.ID, c)
		if after.Seq <= before.Seq {
			t.Errorf("a new window left seq at %d", after.Seq)
		}
		want := before
		want.Seq = after.Seq
		if c.Starts != nil {
			want.Starts = *c.Starts
		}
		if c.Ends != nil {
			want.Ends = *c.Ends
		}
		wantSale(t, after, want, "moved")
		before = after
	}
}

func salesClose(t *testing.T, f DatabaseFixture) {
	for what, s := range map[string]flashgate.Sale{"open": newSale(5, 1), "upcoming": upcoming(newSale(5, 1)), "ended": ended(newSale(5, 1))} {
		createSale(t, f, s)
		after := change(t, f, s.ID, flashgate.SaleChange{Close: true})
		// A minute for clocks that differ.
		if !after.Starts.Before(after.Ends) || after.Ends.After(time.Now().Add(time.Minute)) || after.Ends.After(s.Ends) {
			t.Errorf("the %s sale, closed, runs from %v to %v", what, after.Starts, after.Ends)
		}
		if after.StockLeft != 5 || after.Seeded != 5 {
			t.Errorf("the %s sale, closed, has stock left %d of %d", what, after.StockLeft, after.Seeded)
		}
	}
}

func salesRestock(t *testing.T, f DatabaseFixture) {
	s := newSale(5, 1)
	f.Sale(t, s)
	rs := reservations(s.ID, 5)
	place(t, f.Database, s.ID, unpaid, rs...)
	before := readSale(t, f.Sales, s.ID)
	after := change(t, f, s.ID, flashgate.SaleChange{Restock: 3})
	if after.Seeded != 8 || after.StockLeft != 3 || after.Seq <= before.Seq {
		t.Errorf("restocked: stock left %d of %d, seq %d after %d", after.StockLeft, after.Seeded, after.Seq, before.Seq)
	}
	again := change(t, f, s.ID, flashgate.SaleChange{Restock: 3}) // not idempotent
	if again.Seeded != 11 || again.StockLeft != 6 {
		t.Errorf("restocked again: stock left %d of %d, want 6 of 11", again.StockLeft, again.Seeded)
	}
	both := change(t, f, s.ID, flashgate.SaleChange{Restock: 1, Close: true})
	if both.Seeded != 12 || both.StockLeft != 7 || both.Ends.After(time.Now().Add(time.Minute)) {
		t.Errorf("restocked and closed: %+v", both)
	}
	wantDatabaseSum(t, f.Database, s.ID, rs)
}

func salesConcurrentRestock(t *testing.T, f DatabaseFixture) {
	s := newSale(0, 1)
	createSale(t, f, s)
	concurrently(20, func(int) {
		if _, err := f.Sales.ChangeSale(t.Context(), s.ID, flashgate.SaleChange{Restock: 5}); err != nil {
			t.Errorf("ChangeSale: %v", err)
		}
	})
	if got := readSale(t, f.Sales, s.ID); got.Seeded != 100 || got.StockLeft != 100 {
		t.Errorf("stock left %d of %d, want 100 of 100", got.StockLeft, got.Seeded)
	}
}

func salesChangeInvalid(t *testing.T, f DatabaseFixture) {
	s := newSale(5, 1)
	createSale(t, f, s)
	before := readSale(t, f.Sales, s.ID)
	early, late := s.Starts.Add(-time.Hour), s.Ends.Add(time.Hour)
	for what, c := range map[string]flashgate.SaleChange{
		"negative restock":       {Restock: -1},
		"close with an end":      {Close: true, Ends: &late},
		"start after end":        {Starts: &late, Ends: &early},
		"end before the start":   {Ends: &early, Restock: 3},
		"start after the end":    {Starts: &late, Restock: 3},
		"start and end the same": {Starts: &late, Ends: &late},
	} {
		_, err := f.Sales.ChangeSale(t.Context(), s.ID, c)
		wantCode(t, err, flashgate.CodeInvalid, what)
		wantSale(t, readSale(t, f.Sales, s.ID), before, what)
	}
}

func salesCancelledContext(t *testing.T, f DatabaseFixture) {
	s := newSale(5, 1)
	wantCode(t, f.Sales.CreateSale(cancelled(t), s), flashgate.CodeUnavailable, "CreateSale with a context that has ended")
	_, err := f.Sales.Sale(cancelled(t), s.ID)
	wantCode(t, err, flashgate.CodeUnavailable, "Sale with a context that has ended")
	_, err = f.Sales.Sales(cancelled(t))
	wantCode(t, err, flashgate.CodeUnavailable, "Sales with a context that has ended")
}

func salesCrash(t *testing.T, f DatabaseFixture) {
	s := newSale(5, 1)
	createSale(t, f, s)
	before := change(t, f, s.ID, flashgate.SaleChange{Restock: 2})
	f = f.Reopen(t)
	wantSale(t, readSale(t, f.Sales, s.ID), before, "after the crash")
	wantCode(t, f.Sales.CreateSale(t.Context(), s), flashgate.CodeInvalid, "CreateSale after the crash")
}
