package conformance

import (
	"testing"

	"flashgate"
)

func ledgerOrderOfDecisions(t *testing.T, f DatabaseFixture) {
	sale := newSale(3, 1)
	f.Sale(t, sale)
	rs := reservations(sale.ID, 6)
	for i, d := range decide(t, f.Database, sale.ID, unpaid, rs...) {
		if got := d.Status == flashgate.StatusPending; got != (i < 3) {
			t.Errorf("decision %d of 3 units: %+v", i, d)
		}
	}
	wantDatabaseSum(t, f.Database, sale.ID, rs)
}

// ledgerNeighbours: bad ones in a batch leave the good ones alone.
func ledgerNeighbours(t *testing.T, f DatabaseFixture) {
	sale := newSale(50, 1)
	f.Sale(t, sale)
	stands := reservation(sale.ID, newUser(), 1)
	place(t, f.Database, sale.ID, unpaid, stands)
	mismatch := stands
	mismatch.User = newUser()
	bad := []flashgate.Reservation{mismatch, reservation(sale.ID, stands.User, 1)} // another payload; over the limit
	for _, r := range badReservations(sale.ID) {
		bad = append(bad, r)
	}
	good := reservations(sale.ID, len(bad)+1)
	var batch []flashgate.Reservation
	for i, r := range bad {
		batch = append(batch, good[i], r)
	}
	batch = append(batch, good[len(bad)])
	for i, d := range decide(t, f.Database, sale.ID, unpaid, batch...) {
		if got := d.Status == flashgate.StatusPending; got != (i%2 == 0) {
			t.Errorf("decision %d about %+v: %+v", i, batch[i], d)
		}
	}
	for _, r := range good {
		wantOrder(t, f.Database, r.Order, flashgate.StatusPending, "", "beside bad ones")
	}
	if live := wantDatabaseSum(t, f.Database, sale.ID, append(good, stands)); live != len(good)+1 {
		t.Errorf("%d live orders, want %d", live, len(good)+1)
	}
}

func ledgerSeq(t *testing.T, f DatabaseFixture) {
	sale := newSale(3, 1)
	f.Sale(t, sale)
	rs := reservations(sale.ID, 5)
	over := reservation(sale.ID, rs[0].User, 1)
	mismatch := rs[0]
	mismatch.Units = 2
	for _, c := range []struct {
		what  string
		batch []flashgate.Reservation
		seq   uint64
	}{
		{"nothing", nil, 0},
		{"two orders", rs[:2], 1},
		{"two duplicates", rs[:2], 1},
		{"a dead letter", []flashgate.Reservation{mismatch}, 1},
		{"a duplicate and an order", rs[1:3], 2},
		{"a rejection", []flashgate.Reservation{over}, 3},
		{"two without stock", rs[3:5], 4},
	} {
		for i, d := range decide(t, f.Database, sale.ID, unpaid, c.batch...) {
			if !d.Duplicate && !d.DeadLettered && d.Seq != c.seq {
				t.Errorf("%s: decision %d has seq %d, want %d", c.what, i, d.Seq, c.seq)
			}
		}
		if s := readSale(t, f.Sales, sale.ID); s.Seq != c.seq {
			t.Errorf("after %s the sale has seq %d, want %d", c.what, s.Seq, c.seq)
		}
	}
	for i, seq := range []uint64{1, 1, 2, 4, 4} {
		if o := readOrder(t, f.Database, rs[i].Order); o.Seq != seq {
			t.Errorf("order %d has seq %d, want %d", i, o.Seq, seq)
		}
	}
}

// ledgerFullBatch is as many as a message carries.
func ledgerFullBatch(t *testing.T, f DatabaseFixture) {
	n := flashgate.MaxMessageReservations
	sale := newSale(int64(n)-24, 1)
	f.Sale(t, sale)
	rs := reservations(sale.ID, n)
	decide(t, f.Database, sale.ID, unpaid, rs...)
	if live := wantDatabaseSum(t, f.Database, sale.ID, rs); live != n-24 {
		t.Errorf("%d live orders, want %d", live, n-24)
	}
	if s := readSale(t, f.Sales, sale.ID); s.Seq != 1 {
		t.Errorf("one batch raised seq to %d", s.Seq)
	}
}

func ledgerDeadLetterIsIdempotent(t *testing.T, f DatabaseFixture) {
	first := flashgate.DeadLetter{
		Order: flashgate.OrderID("unreadable." + unique()), Record: []byte("\x00not json\xff"),
		Reason: flashgate.ReasonUnreadable, Detail: "the first",
	}
	second := first
	second.Reason, second.Detail, second.Record = flashgate.ReasonFailed, "the second", []byte("other")
	for _, d := range []flashgate.DeadLetter{first, first, second} {
		if err := f.Ledger.DeadLetter(t.Context(), d); err != nil {
			t.Fatalf("DeadLetter: %v", err)
		}
	}
	got := findDeadLetter(t, f.Database, first.Order)
	if got == nil {
		t.Fatal("the dead letter is not in the list")
	}
	if got.Sale != "" || string(got.Record) != string(first.Record) || got.Reason != first.Reason || got.Detail != first.Detail || got.Created.IsZero() {
		t.Errorf("dead letter %+v, want %+v and a time", got, first)
	}
}

// ledgerCancelledContext: after an error the same call is repeated, and everything
// is there once.
func ledgerCancelledContext(t *testing.T, f DatabaseFixture) {
	sale := newSale(10, 1)
	f.Sale(t, sale)
	rs := reservations(sale.ID, 3)
	_, err := f.Ledger.Decide(cancelled(t), sale.ID, rs, unpaid)
	wantCode(t, err, flashgate.CodeUnavailable, "Decide with a context that has ended")
	if live := wantDatabaseSum(t, f.Database, sale.ID, rs); live != 0 && live != 3 {
		t.Errorf("%d live orders: a part of the batch", live)
	}
	decide(t, f.Database, sale.ID, unpaid, rs...)
	if live := wantDatabaseSum(t, f.Database, sale.ID, rs); live != 3 {
		t.Errorf("%d live orders after the repeat, want 3", live)
	}
	if s := readSale(t, f.Sales, sale.ID); s.Seq != 1 {
		t.Errorf("seq %d, want 1", s.Seq)
	}
}

func ledgerConcurrentBatches(t *testing.T, f DatabaseFixture) {
	const units, users = 25, 60
	sale := newSale(units, 1)
	f.Sale(t, sale)
	var rs []flashgate.Reservation
	for range users {
		user := newUser()
		rs = append(rs, reservation(sale.ID, user, 1), reservation(sale.ID, user, 1))
	}
	// Each batch overlaps the next by half.
	concurrently(11, func(i int) {
		batch := rs[10*i : 10*i+20]
		if ds, err := f.Ledger.Decide(t.Context(), sale.ID, batch, unpaid); err != nil || len(ds) != len(batch) {
			t.Errorf("Decide: %d decisions for %d, error %v", len(ds), len(batch), err)
		}
	})
	if live := wantDatabaseSum(t, f.Database, sale.ID, rs); live != units {
		t.Errorf("%d live orders, want %d", live, units)
	}
	for _, r := range rs {
		if o := readOrder(t, f.Database, r.Order); o.Seq < 1 || o.Seq > 11 {
			t.Errorf("an order has seq %d, want 1 to 11", o.Seq)
		}
	}
}

func ledgerConcurrentRepeats(t *testing.T, f DatabaseFixture) {
	sale := newSale(10, 2)
	f.Sale(t, sale)
	r := reservation(sale.ID, newUser(), 1)
	fresh := make([]bool, 50)
	concurrently(len(fresh), func(i int) {
		ds, err := f.Ledger.Decide(t.Context(), sale.ID, []flashgate.Reservation{r}, unpaid)
		if err != nil || len(ds) != 1 || ds[0].Status != flashgate.StatusPending || ds[0].Seq != 1 {
			t.Errorf("Decide: %+v, %v", ds, err)
			return
		}
		fresh[i] = !ds[0].Duplicate
	})
	n := 0
	for _, ok := range fresh {
		if ok {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d of 50 repeats say that they placed the order, want 1", n)
	}
	if s := readSale(t, f.Sales, sale.ID); s.StockLeft != 9 || s.Seq != 1 {
		t.Errorf("stock left %d, seq %d; want 9, 1", s.StockLeft, s.Seq)
	}
}

func ledgerCrash(t *testing.T, f DatabaseFixture) {
	sale := newSale(10, 1)
	f.Sale(t, sale)
	rs := reservations(sale.ID, 4)
	place(t, f.Database, sale.ID, unpaid, rs[:3]...)
	cancel(t, f.Database, rs[1])
	deadLetter(t, f.Database, rs[3])
	before := readOrder(t, f.Database, rs[0].Order)
	f = f.Reopen(t)
	if after := readOrder(t, f.Database, rs[0].Order); after.Status != before.Status || !after.Expires.Equal(before.Expires) || after.Seq != before.Seq {
		t.Errorf("the order was %+v and is %+v", before, after)
	}
	wantOrder(t, f.Database, rs[1].Order, flashgate.StatusCancelled, flashgate.ReasonUser, "after the crash")
	wantOrder(t, f.Database, rs[3].Order, flashgate.StatusDeadLettered, flashgate.ReasonFailed, "after the crash")
	for i, d := range decide(t, f.Database, sale.ID, unpaid, rs...) {
		if !d.Duplicate {
			t.Errorf("decision %d after the crash: %+v, want a duplicate", i, d)
		}
	}
	if live := wantDatabaseSum(t, f.Database, sale.ID, rs); live != 2 {
		t.Errorf("%d live orders, want 2", live)
	}
}
