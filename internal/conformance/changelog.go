package conformance

import (
	"slices"
	"testing"
	"time"

	"flashgate"
)

// ChangeLogFixture is what ChangeLog runs on: a database that writes a log.
type ChangeLogFixture struct {
	Database
	Log flashgate.ChangeLog
	// Reopen is as in DatabaseFixture.
	Reopen func(t testing.TB) ChangeLogFixture
}

// ChangeLog is the suite of flashgate.ChangeLog: what each transaction leaves in
// the log, and that the log alone gives the sums of the database.
func ChangeLog(t *testing.T, open func(t *testing.T) ChangeLogFixture) {
	run(t, open, []testCase[ChangeLogFixture]{
		{name: "Batch", run: changeLogBatch},
		{name: "NothingToTell", run: changeLogNothingToTell},
		{name: "CancelAndExpiry", run: changeLogCancelAndExpiry},
		{name: "SaleChanges", run: changeLogSaleChanges},
		{name: "DeadLetters", run: changeLogDeadLetters},
		{name: "Pages", run: changeLogPages},
		{name: "Concurrent", run: changeLogConcurrent},
		{name: "Crash", run: changeLogCrash, needs: func(f ChangeLogFixture) bool { return f.Reopen != nil }},
	})
}

// entries reads the whole log of a sale and checks what holds of every log.
func entries(t testing.TB, f ChangeLogFixture, sale flashgate.SaleID) []flashgate.LogEntry {
	t.Helper()
	es, err := f.Log.Entries(t.Context(), sale, 0, 10_000)
	if err != nil {
		t.Fatalf("Entries: %v", err)
	}
	s := readSale(t, f.Sales, sale)
	for i, e := range es {
		if e.Seq != uint64(i)+1 || e.Sale != sale || e.Epoch != s.Epoch {
			t.Fatalf("entry %d of sale %s is number %d, of epoch %d and sale %s", i+1, sale, e.Seq, e.Epoch, e.Sale)
		}
	}
	if n := uint64(len(es)); n != s.Seq {
		t.Errorf("the log has %d entries, the sale's seq is %d", n, s.Seq)
	}
	if n := len(es); n > 0 && es[n-1].LeftAfter != s.StockLeft {
		t.Errorf("the last entry leaves %d, the sale has %d", es[n-1].LeftAfter, s.StockLeft)
	}
	return es
}

// last is the newest entry, which must have exactly these changes.
func wantLast(t testing.TB, f ChangeLogFixture, sale flashgate.SaleID, n int, want ...flashgate.Change) flashgate.LogEntry {
	t.Helper()
	es := entries(t, f, sale)
	if len(es) != n {
		t.Fatalf("the log has %d entries, want %d", len(es), n)
	}
	if e := es[n-1]; !slices.Equal(e.Changes, want) {
		t.Errorf("entry %d has changes %+v, want %+v", n, e.Changes, want)
	}
	return es[n-1]
}

func changeLogBatch(t *testing.T, f ChangeLogFixture) {
	sale := newSale(3, 2)
	f.Sale(t, sale)
	if es := entries(t, f, sale.ID); len(es) != 0 {
		t.Errorf("a new sale has %d entries", len(es))
	}
	a, b := reservation(sale.ID, newUser(), 2), reservation(sale.ID, newUser(), 2)
	over, bad, c := reservation(sale.ID, a.User, 1), reservation(sale.ID, newUser(), 1), reservation(sale.ID, newUser(), 1)
	bad.Units = 0
	decide(t, f.Database, sale.ID, unpaid, a, a, b, over, bad, c)
	wantLast(t, f, sale.ID, 1,
		changeOf(flashgate.ChangePlaced, a), changeOf(flashgate.ChangeRejected, b),
		changeOf(flashgate.ChangeRejected, over), changeOf(flashgate.ChangePlaced, c))
	d := reservation(sale.ID, newUser(), 1)
	decide(t, f.Database, sale.ID, unpaid, a, d)
	if e := wantLast(t, f, sale.ID, 2, changeOf(flashgate.ChangeRejected, d)); e.LeftAfter != 0 {
		t.Errorf("the entry leaves %d, want 0", e.LeftAfter)
	}
}

func changeLogNothingToTell(t *testing.T, f ChangeLogFixture) {
	sale := newSale(10, 2)
	f.Sale(t, sale)
	r := reservation(sale.ID, newUser(), 1)
	place(t, f.Database, sale.ID, unpaid, r)
	mismatch := r
	mismatch.Units = 2
	decide(t, f.Database, sale.ID, unpaid, r)
	decide(t, f.Database, sale.ID, unpaid, mismatch)
	decide(t, f.Database, sale.ID, unpaid)
	pay(t, f.Database, r)
	if _, _, err := f.Ledger.Expire(t.Context(), 100); err != nil {
		t.Fatalf("Expire: %v", err)
	}
	wantLast(t, f, sale.ID, 1, changeOf(flashgate.ChangePlaced, r))
	// An unknown sale has no log; whether that is an error is not promised.
	if es, err := f.Log.Entries(t.Context(), newSale(1, 1).ID, 0, 10); err == nil && len(es) != 0 {
		t.Errorf("an unknown sale has %d entries", len(es))
	}
}

func changeLogCancelAndExpiry(t *testing.T, f ChangeLogFixture) {
	sale := newSale(10, 2)
	f.Sale(t, sale)
	gone, late := reservation(sale.ID, newUser(), 2), reservation(sale.ID, newUser(), 1)
	place(t, f.Database, sale.ID, unpaid, gone)
	for range 2 {
		cancel(t, f.Database, gone)
		wantLast(t, f, sale.ID, 2, changeOf(flashgate.ChangeCancelled, gone))
	}
	place(t, f.Database, sale.ID, time.Millisecond, late)
	expire(t, f.Database, late.Order)
	if e := wantLast(t, f, sale.ID, 4, changeOf(flashgate.ChangeCancelled, late)); e.LeftAfter != 10 {
		t.Errorf("the entry leaves %d, want 10", e.LeftAfter)
	}
}

func changeLogSaleChanges(t *testing.T, f ChangeLogFixture) {
	sale := newSale(10, 1)
	f.Sale(t, sale)
	changeSale := func(c flashgate.SaleChange) flashgate.Sale {
		t.Helper()
		s, err := f.Sales.ChangeSale(t.Context(), sale.ID, c)
		if err != nil {
			t.Fatalf("ChangeSale: %v", err)
		}
		return s
	}
	changeSale(flashgate.SaleChange{Restock: 5})
	if e := wantLast(t, f, sale.ID, 1, flashgate.Change{Kind: flashgate.ChangeRestock, Units: 5}); e.LeftAfter != 15 {
		t.Errorf("the entry leaves %d, want 15", e.LeftAfter)
	}
	ends := now().Add(3 * time.Hour)
	changeSale(flashgate.SaleChange{Ends: &ends})
	if e := wantLast(t, f, sale.ID, 2, flashgate.Change{Kind: flashgate.ChangeWindow}); !e.Starts.Equal(sale.Starts) || !e.Ends.Equal(ends) {
		t.Errorf("the entry's window is %v to %v, want %v to %v", e.Starts, e.Ends, sale.Starts, ends)
	}
	// One transaction, and one entry or two: what they say together is what counts.
	s := changeSale(flashgate.SaleChange{Restock: 1, Close: true})
	var units int64
	var window flashgate.LogEntry
	for _, e := range entries(t, f, sale.ID)[2:] {
		for _, c := range e.Changes {
			units += c.Units
			if c.Kind == flashgate.ChangeWindow {
				window = e
			}
		}
	}
	if units != 1 || !window.Starts.Equal(s.Starts) || !window.Ends.Equal(s.Ends) {
		t.Errorf("restocked by %d, window %v to %v; want 1, %v to %v", units, window.Starts, window.Ends, s.Starts, s.Ends)
	}
}

func changeLogDeadLetters(t *testing.T, f ChangeLogFixture) {
	sale := newSale(10, 1)
	f.Sale(t, sale)
	dropped, replayed := reservation(sale.ID, newUser(), 1), reservation(sale.ID, newUser(), 1)
	deadLetter(t, f.Database, dropped)
	deadLetter(t, f.Database, replayed)
	if es := entries(t, f, sale.ID); len(es) != 0 {
		t.Errorf("dead letters left %d entries", len(es))
	}
	drop(t, f.Database, dropped.Order)
	wantLast(t, f, sale.ID, 1, changeOf(flashgate.ChangeRejected, dropped))
	replay(t, f.Database, replayed.Order)
	wantLast(t, f, sale.ID, 2, changeOf(flashgate.ChangePlaced, replayed))
}

// changeLogPages reads by after and max.
func changeLogPages(t *testing.T, f ChangeLogFixture) {
	sale := newSale(10, 1)
	f.Sale(t, sale)
	for _, r := range reservations(sale.ID, 5) {
		place(t, f.Database, sale.ID, unpaid, r)
	}
	for _, c := range []struct {
		after uint64
		max   int
		want  []uint64
	}{
		{0, 2, []uint64{1, 2}}, {2, 2, []uint64{3, 4}}, {4, 2, []uint64{5}}, {5, 2, nil}, {9, 2, nil}, {0, 100, []uint64{1, 2, 3, 4, 5}},
	} {
		es, err := f.Log.Entries(t.Context(), sale.ID, c.after, c.max)
		if err != nil {
			t.Fatalf("Entries: %v", err)
		}
		var got []uint64
		for _, e := range es {
			got = append(got, e.Seq)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("Entries after %d, at most %d, gives %v, want %v", c.after, c.max, got, c.want)
		}
	}
}

// changeLogConcurrent: no gaps, no doubles, and the log adds up.
func changeLogConcurrent(t *testing.T, f ChangeLogFixture) {
	sale := newSale(15, 1)
	f.Sale(t, sale)
	rs := reservations(sale.ID, 40)
	concurrently(10, func(i int) {
		for j, r := range rs[4*i : 4*i+4] {
			if _, err := f.Ledger.Decide(t.Context(), sale.ID, []flashgate.Reservation{r}, unpaid); err != nil {
				t.Errorf("Decide: %v", err)
			}
			if j == 1 {
				if _, err := f.Orders.Cancel(t.Context(), r.Order, r.User); err != nil && flashgate.ErrorCode(err) != flashgate.CodeWrongState {
					t.Errorf("Cancel: %v", err)
				}
			}
			if j == 2 {
				if _, err := f.Sales.ChangeSale(t.Context(), sale.ID, flashgate.SaleChange{Restock: 1}); err != nil {
					t.Errorf("ChangeSale: %v", err)
				}
			}
		}
	})
	left := sale.Seeded
	told := map[flashgate.Change]int{}
	for _, e := range entries(t, f, sale.ID) {
		for _, c := range e.Changes {
			told[c]++
			switch c.Kind {
			case flashgate.ChangePlaced:
				left -= c.Units
			case flashgate.ChangeCancelled, flashgate.ChangeRestock:
				left += c.Units
			}
		}
		if left != e.LeftAfter {
			t.Errorf("entry %d leaves %d, the entries so far add up to %d", e.Seq, e.LeftAfter, left)
		}
	}
	for _, r := range rs {
		kind := flashgate.ChangePlaced
		if readOrder(t, f.Database, r.Order).Status == flashgate.StatusRejected {
			kind = flashgate.ChangeRejected
		}
		if n := told[changeOf(kind, r)]; n != 1 {
			t.Errorf("the log tells %d times that %s was %s", n, r.Order, kind)
		}
	}
	wantDatabaseSum(t, f.Database, sale.ID, rs)
}

func changeLogCrash(t *testing.T, f ChangeLogFixture) {
	sale := newSale(10, 1)
	f.Sale(t, sale)
	r := reservation(sale.ID, newUser(), 1)
	place(t, f.Database, sale.ID, unpaid, r)
	cancel(t, f.Database, r)
	f = f.Reopen(t)
	wantLast(t, f, sale.ID, 2, changeOf(flashgate.ChangeCancelled, r))
}
