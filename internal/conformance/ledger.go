package conformance

import (
	"encoding/json"
	"testing"
	"time"

	"flashgate"
)

// Ledger is the suite of flashgate.Ledger: each line of Decide's table, what a
// batch is, expiry, and that the sums hold under concurrency and after a crash; of a
// flashgate.Placer also that.
func Ledger(t *testing.T, open func(t *testing.T) DatabaseFixture) {
	reopens := func(f DatabaseFixture) bool { return f.Reopen != nil }
	run(t, open, append([]testCase[DatabaseFixture]{
		{name: "Pending", run: ledgerPending},
		{name: "Duplicate", run: ledgerDuplicate},
		{name: "Mismatch", run: ledgerMismatch},
		{name: "DeadLetteredAlready", run: ledgerDeadLetteredAlready},
		{name: "Invalid", run: ledgerInvalid},
		{name: "UnknownSale", run: ledgerUnknownSale},
		{name: "UserLimit", run: ledgerUserLimit},
		{name: "SoldOut", run: ledgerSoldOut},
		{name: "OrderOfDecisions", run: ledgerOrderOfDecisions},
		{name: "Neighbours", run: ledgerNeighbours},
		{name: "Seq", run: ledgerSeq},
		{name: "FullBatch", run: ledgerFullBatch},
		{name: "DeadLetterIsIdempotent", run: ledgerDeadLetterIsIdempotent},
		{name: "CancelledContext", run: ledgerCancelledContext},

		{name: "ConcurrentBatches", run: ledgerConcurrentBatches},
		{name: "ConcurrentRepeats", run: ledgerConcurrentRepeats},
		{name: "Expire", run: ledgerExpire},
		{name: "ExpireAtMost", run: ledgerExpireAtMost},
		{name: "ExpireNext", run: ledgerExpireNext},
		{name: "ConcurrentPayCancelExpire", run: ledgerConcurrentPayCancelExpire},
		{name: "Crash", run: ledgerCrash, needs: reopens},
	}, placerCases()...))
}

func ledgerPending(t *testing.T, f DatabaseFixture) {
	sale := newSale(10, 3)
	f.Sale(t, sale)
	r := reservation(sale.ID, newUser(), 2)
	d := decide(t, f.Database, sale.ID, unpaid, r)[0]
	if d.Status != flashgate.StatusPending || d.Reason != "" || d.Duplicate || d.DeadLettered || d.Seq != 1 {
		t.Errorf("decision %+v, want a new pending order of batch 1", d)
	}
	o := readOrder(t, f.Database, r.Order)
	if o.ID != r.Order || o.Sale != sale.ID || o.User != r.User || o.Units != 2 || o.Price != sale.FlashPrice ||
		o.Status != flashgate.StatusPending || o.Reason != "" || o.Seq != 1 {
		t.Errorf("order %+v of reservation %+v", o, r)
	}
	if ttl := o.Expires.Sub(o.Created); ttl < unpaid-time.Second || ttl > unpaid+time.Second {
		t.Errorf("the order expires %v after its decision, want %v", ttl, unpaid)
	}
	if since := time.Since(o.Created); since < -time.Minute || since > time.Minute {
		t.Errorf("the order was made %v ago", since)
	}
	if s := readSale(t, f.Sales, sale.ID); s.StockLeft != 8 || s.Seeded != 10 || s.Seq != 1 {
		t.Errorf("the sale has stock left %d of %d, seq %d; want 8 of 10, seq 1", s.StockLeft, s.Seeded, s.Seq)
	}
}

// ledgerDuplicate: the row that is there is the answer, in the state it has now.
func ledgerDuplicate(t *testing.T, f DatabaseFixture) {
	sale := newSale(10, 1)
	f.Sale(t, sale)
	rs := reservations(sale.ID, 4)
	pending, paid, gone, over := rs[0], rs[1], rs[2], reservation(sale.ID, rs[0].User, 1)
	decide(t, f.Database, sale.ID, unpaid, pending, paid, gone, over)
	if _, err := f.Orders.Pay(t.Context(), paid.Order, paid.User); err != nil {
		t.Fatalf("Pay: %v", err)
	}
	cancel(t, f.Database, gone)
	before := readSale(t, f.Sales, sale.ID)
	for _, c := range []struct {
		r      flashgate.Reservation
		status flashgate.Status
		reason string
	}{
		{pending, flashgate.StatusPending, ""},
		{paid, flashgate.StatusPaid, ""},
		{gone, flashgate.StatusCancelled, flashgate.ReasonUser},
		{over, flashgate.StatusRejected, flashgate.ReasonAlreadyBought},
	} {
		c.r.At++ // not part of the payload
		d := decide(t, f.Database, sale.ID, unpaid, c.r)[0]
		if !d.Duplicate || d.DeadLettered || d.Status != c.status || d.Reason != c.reason || d.Seq != 1 {
			t.Errorf("repeat of a %s order: %+v", c.status, d)
		}
		wantOrder(t, f.Database, c.r.Order, c.status, c.reason, "after the repeat")
	}
	if after := readSale(t, f.Sales, sale.ID); after != before {
		t.Errorf("the repeats changed the sale from %+v to %+v", before, after)
	}
	// Twice in one batch: the second finds the first.
	ds := decide(t, f.Database, sale.ID, unpaid, rs[3], rs[3])
	if ds[0].Duplicate || ds[0].Status != flashgate.StatusPending || !ds[1].Duplicate || ds[1].Status != flashgate.StatusPending || ds[1].Seq != ds[0].Seq {
		t.Errorf("the same id twice in a batch: %+v", ds)
	}
	wantDatabaseSum(t, f.Database, sale.ID, append(rs, over))
}

// findDeadLetter looks for one in the list; nil when it is not there.
func findDeadLetter(t testing.TB, db Database, id flashgate.OrderID) *flashgate.DeadLetter {
	t.Helper()
	ds, err := db.DeadLetters.DeadLetters(t.Context(), 100_000)
	if err != nil {
		t.Fatalf("DeadLetters: %v", err)
	}
	for i := range ds {
		if ds[i].Order == id {
			return &ds[i]
		}
	}
	return nil
}

// wantDead checks the decision and the dead letter of a reservation.
func wantDead(t testing.TB, db Database, d flashgate.Decision, r flashgate.Reservation, reason, what string) {
	t.Helper()
	if d.Status != flashgate.StatusDeadLettered || !d.DeadLettered || d.Seq != 0 || d.Reason != reason {
		t.Errorf("%s: decision %+v, want dead_lettered(%s) with seq 0", what, d, reason)
	}
	dl := findDeadLetter(t, db, r.Order)
	if dl == nil {
		t.Errorf("%s: there is no dead letter", what)
		return
	}
	var kept flashgate.Reservation
	if err := json.Unmarshal(dl.Record, &kept); err != nil || kept != r {
		t.Errorf("%s: the record is %q, want %+v", what, dl.Record, r)
	}
	if dl.Reason != reason || dl.Detail == "" || time.Since(dl.Created).Abs() > time.Minute {
		t.Errorf("%s: dead letter %+v, want reason %s, a detail and a time", what, dl, reason)
	}
}

func ledgerMismatch(t *testing.T, f DatabaseFixture) {
	sale := newSale(10, 3)
	f.Sale(t, sale)
	rs := reservations(sale.ID, 2)
	place(t, f.Database, sale.ID, unpaid, rs...)
	before := readSale(t, f.Sales, sale.ID)
	user, units := rs[0], rs[1]
	user.User = newUser()
	units.Units = 2
	for what, r := range map[string]flashgate.Reservation{"another user": user, "other units": units} {
		d := decide(t, f.Database, sale.ID, unpaid, r)[0]
		wantDead(t, f.Database, d, r, flashgate.ReasonMismatch, what)
		wantOrder(t, f.Database, r.Order, flashgate.StatusPending, "", what+": the row stands")
	}
	// The first reservation is a duplicate still.
	if d := decide(t, f.Database, sale.ID, unpaid, rs[0])[0]; !d.Duplicate || d.Status != flashgate.StatusPending {
		t.Errorf("the true one after a mismatch: %+v", d)
	}
	if after := readSale(t, f.Sales, sale.ID); after != before {
		t.Errorf("the mismatches changed the sale from %+v to %+v", before, after)
	}
}

func ledgerDeadLetteredAlready(t *testing.T, f DatabaseFixture) {
	sale := newSale(10, 1)
	f.Sale(t, sale)
	r := reservation(sale.ID, newUser(), 1)
	deadLetter(t, f.Database, r)
	d := decide(t, f.Database, sale.ID, unpaid, r)[0]
	if !d.Duplicate || !d.DeadLettered || d.Status != flashgate.StatusDeadLettered || d.Reason != flashgate.ReasonFailed || d.Seq != 0 {
		t.Errorf("decision %+v, want a duplicate of the dead letter", d)
	}
	wantOrder(t, f.Database, r.Order, flashgate.StatusDeadLettered, flashgate.ReasonFailed, "dead-lettered")
	if s := readSale(t, f.Sales, sale.ID); s.StockLeft != 10 || s.Seq != 0 {
		t.Errorf("stock left %d, seq %d; want 10, 0", s.StockLeft, s.Seq)
	}
}

func ledgerInvalid(t *testing.T, f DatabaseFixture) {
	sale := newSale(10, 3)
	f.Sale(t, sale)
	for what, r := range badReservations(sale.ID) {
		d := decide(t, f.Database, sale.ID, unpaid, r)[0]
		wantDead(t, f.Database, d, r, flashgate.ReasonInvalid, what)
		again := decide(t, f.Database, sale.ID, unpaid, r)[0]
		if !again.Duplicate || !again.DeadLettered {
			t.Errorf("%s again: decision %+v, want a duplicate", what, again)
		}
	}
	if s := readSale(t, f.Sales, sale.ID); s.StockLeft != 10 || s.Seq != 0 {
		t.Errorf("stock left %d, seq %d; want 10, 0", s.StockLeft, s.Seq)
	}
}

func ledgerUnknownSale(t *testing.T, f DatabaseFixture) {
	sale := newSale(10, 1)
	r := reservation(sale.ID, newUser(), 1)
	d := decide(t, f.Database, sale.ID, unpaid, r)[0]
	wantDead(t, f.Database, d, r, flashgate.ReasonNoSale, "unknown sale")
	wantOrder(t, f.Database, r.Order, flashgate.StatusDeadLettered, flashgate.ReasonNoSale, "unknown sale")
	_, err := f.Sales.Sale(t.Context(), sale.ID)
	wantCode(t, err, flashgate.CodeNotFound, "Sale after a decision about an unknown one")
}

func ledgerUserLimit(t *testing.T, f DatabaseFixture) {
	sale := newSale(4, 3)
	f.Sale(t, sale)
	user := newUser()
	rs := []flashgate.Reservation{
		reservation(sale.ID, user, 4), // more than allowed at once
		reservation(sale.ID, user, 2),
		reservation(sale.ID, user, 2), // 2 + 2
		reservation(sale.ID, user, 1),
		reservation(sale.ID, user, 1), // 3 + 1
		reservation(sale.ID, newUser(), 1),
		reservation(sale.ID, user, 1), // over the limit, and sold out
	}
	want := []flashgate.Status{"rejected", "pending", "rejected", "pending", "rejected", "pending", "rejected"}
	for i, d := range decide(t, f.Database, sale.ID, unpaid, rs...) {
		reason := ""
		if want[i] == flashgate.StatusRejected {
			reason = flashgate.ReasonAlreadyBought
		}
		if d.Status != want[i] || d.Reason != reason || d.Duplicate || d.DeadLettered || d.Seq != 1 {
			t.Errorf("decision %d: %+v, want %s(%s) of batch 1", i, d, want[i], reason)
		}
		wantOrder(t, f.Database, rs[i].Order, want[i], reason, "row")
	}
	if live := wantDatabaseSum(t, f.Database, sale.ID, rs); live != 3 {
		t.Errorf("%d live orders, want 3", live)
	}
	cancel(t, f.Database, rs[3])
	place(t, f.Database, sale.ID, unpaid, reservation(sale.ID, user, 1)) // the share is back
}

func ledgerSoldOut(t *testing.T, f DatabaseFixture) {
	sale := newSale(3, 2)
	f.Sale(t, sale)
	rs := []flashgate.Reservation{reservation(sale.ID, newUser(), 2), reservation(sale.ID, newUser(), 2), reservation(sale.ID, newUser(), 1), reservation(sale.ID, newUser(), 1)}
	want := []flashgate.Status{"pending", "rejected", "pending", "rejected"}
	for i, r := range rs { // each in a batch of its own
		d := decide(t, f.Database, sale.ID, unpaid, r)[0]
		if d.Status != want[i] || (d.Status == flashgate.StatusRejected) != (d.Reason == flashgate.ReasonSoldOut) || d.Duplicate {
			t.Errorf("decision %d: %+v, want %s", i, d, want[i])
		}
	}
	wantOrder(t, f.Database, rs[3].Order, flashgate.StatusRejected, flashgate.ReasonSoldOut, "sold out")
	if s := readSale(t, f.Sales, sale.ID); s.StockLeft != 0 {
		t.Errorf("stock left %d, want 0", s.StockLeft)
	}
	// A rejection takes no share: the user buys when there are units again.
	cancel(t, f.Database, rs[0])
	next := reservation(sale.ID, rs[1].User, 2)
	place(t, f.Database, sale.ID, unpaid, next)
	if live := wantDatabaseSum(t, f.Database, sale.ID, append(rs, next)); live != 2 {
		t.Errorf("%d live orders, want 2", live)
	}
}
