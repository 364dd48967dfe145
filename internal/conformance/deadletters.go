package conformance

import (
	"sync/atomic"
	"testing"
	"time"

	"flashgate"
)

// DeadLetters is the suite of flashgate.DeadLetterStore.
func DeadLetters(t *testing.T, open func(t *testing.T) DatabaseFixture) {
	run(t, open, []testCase[DatabaseFixture]{
		{name: "List", run: deadLettersList},
		{name: "Replay", run: deadLettersReplay},
		{name: "ReplayRejects", run: deadLettersReplayRejects},
		{name: "ReplayStillUndecidable", run: deadLettersReplayStillUndecidable},
		{name: "Drop", run: deadLettersDrop},
		{name: "DropWithoutSale", run: deadLettersDropWithoutSale},
		{name: "DropUnreadable", run: deadLettersDropUnreadable},
		{name: "DropMismatch", run: deadLettersDropMismatch},
		{name: "Unknown", run: deadLettersUnknown},
		{name: "ConcurrentReplayAndDrop", run: deadLettersConcurrentReplayAndDrop},
		{name: "Crash", run: deadLettersCrash, needs: func(f DatabaseFixture) bool { return f.Reopen != nil }},
	})
}

// dead is a sale and a dead letter of a good reservation of it.
func dead(t testing.TB, f DatabaseFixture) (flashgate.Sale, flashgate.Reservation) {
	t.Helper()
	sale := newSale(10, 1)
	f.Sale(t, sale)
	r := reservation(sale.ID, newUser(), 1)
	deadLetter(t, f.Database, r)
	return sale, r
}

func unreadable(t testing.TB, f DatabaseFixture) flashgate.OrderID {
	t.Helper()
	id := flashgate.OrderID("unreadable." + unique())
	err := f.Ledger.DeadLetter(t.Context(), flashgate.DeadLetter{Order: id, Record: []byte("{"), Reason: flashgate.ReasonUnreadable, Detail: "cut off"})
	if err != nil {
		t.Fatalf("DeadLetter: %v", err)
	}
	return id
}

// replay repeats a Replay that must succeed.
func replay(t testing.TB, db Database, id flashgate.OrderID) flashgate.Decision {
	t.Helper()
	d, err := db.DeadLetters.Replay(t.Context(), id, unpaid)
	if err != nil {
		t.Fatalf("Replay: %v", err)
	}
	return d
}

func wantNoDeadLetter(t testing.TB, f DatabaseFixture, id flashgate.OrderID, when string) {
	t.Helper()
	if dl := findDeadLetter(t, f.Database, id); dl != nil {
		t.Errorf("%s: the dead letter is still there: %+v", when, dl)
	}
}

func deadLettersList(t *testing.T, f DatabaseFixture) {
	place := map[flashgate.OrderID]int{}
	for i := range 3 {
		place[unreadable(t, f)] = i
		elapse(t, 20*time.Millisecond) // so that each has another time
	}
	got, err := f.DeadLetters.DeadLetters(t.Context(), 100_000)
	if err != nil {
		t.Fatalf("DeadLetters: %v", err)
	}
	next := 0
	for i, d := range got {
		if i > 0 && d.Created.Before(got[i-1].Created) {
			t.Errorf("a dead letter of %v comes after one of %v", d.Created, got[i-1].Created)
		}
		if at, ours := place[d.Order]; ours {
			if at != next {
				t.Errorf("number %d of ours comes in place %d", at, next)
			}
			next++
		}
	}
	if next != 3 {
		t.Errorf("%d of our 3 dead letters are in the list", next)
	}
	if got, err := f.DeadLetters.DeadLetters(t.Context(), 2); err != nil || len(got) != 2 {
		t.Errorf("DeadLetters of at most 2 gives %d, error %v", len(got), err)
	}
}

func deadLettersReplay(t *testing.T, f DatabaseFixture) {
	sale, r := dead(t, f)
	d := replay(t, f.Database, r.Order)
	if d.Order != r.Order || d.Status != flashgate.StatusPending || d.DeadLettered || d.Seq != 1 {
		t.Errorf("Replay gives %+v, want a pending order of batch 1", d)
	}
	o := readOrder(t, f.Database, r.Order)
	if o.Status != flashgate.StatusPending || o.User != r.User || o.Units != 1 || o.Seq != 1 || o.Expires.Sub(o.Created) < unpaid-time.Second {
		t.Errorf("the order is %+v", o)
	}
	wantNoDeadLetter(t, f, r.Order, "replayed")
	if s := readSale(t, f.Sales, sale.ID); s.StockLeft != 9 || s.Seq != 1 {
		t.Errorf("stock left %d, seq %d; want 9, 1", s.StockLeft, s.Seq)
	}
	_, err := f.DeadLetters.Replay(t.Context(), r.Order, unpaid)
	wantCode(t, err, flashgate.CodeNotFound, "Replay again")
	if d := decide(t, f.Database, sale.ID, unpaid, r)[0]; !d.Duplicate || d.Status != flashgate.StatusPending {
		t.Errorf("the reservation again: %+v", d)
	}
}

// deadLettersReplayRejects: Replay judges by the rules of Decide.
func deadLettersReplayRejects(t *testing.T, f DatabaseFixture) {
	sale := newSale(1, 1)
	f.Sale(t, sale)
	first := reservation(sale.ID, newUser(), 1)
	place(t, f.Database, sale.ID, unpaid, first)
	for reason, r := range map[string]flashgate.Reservation{
		flashgate.ReasonSoldOut:       reservation(sale.ID, newUser(), 1),
		flashgate.ReasonAlreadyBought: reservation(sale.ID, first.User, 1),
	} {
		deadLetter(t, f.Database, r)
		if d := replay(t, f.Database, r.Order); d.Status != flashgate.StatusRejected || d.Reason != reason || d.DeadLettered {
			t.Errorf("Replay gives %+v, want rejected(%s)", d, reason)
		}
		wantOrder(t, f.Database, r.Order, flashgate.StatusRejected, reason, "replayed")
		wantNoDeadLetter(t, f, r.Order, reason)
	}
	wantDatabaseSum(t, f.Database, sale.ID, []flashgate.Reservation{first})
}

// deadLettersReplayStillUndecidable: it stays until what was wrong is put right.
func deadLettersReplayStillUndecidable(t *testing.T, f DatabaseFixture) {
	sale := newSale(10, 3)
	early := reservation(sale.ID, newUser(), 1)
	decide(t, f.Database, sale.ID, unpaid, early) // its sale is not there yet
	other := newSale(10, 3)
	f.Sale(t, other)
	stands := reservation(other.ID, newUser(), 1)
	place(t, f.Database, other.ID, unpaid, stands)
	mismatch := stands
	mismatch.Units = 2
	decide(t, f.Database, other.ID, unpaid, mismatch)
	for what, id := range map[string]flashgate.OrderID{"unreadable": unreadable(t, f), "unknown sale": early.Order, "mismatch": mismatch.Order} {
		before := findDeadLetter(t, f.Database, id)
		_, err := f.DeadLetters.Replay(t.Context(), id, unpaid)
		wantCode(t, err, flashgate.CodeWrongState, what)
		after := findDeadLetter(t, f.Database, id)
		if before == nil || after == nil || before.Reason != after.Reason || !before.Created.Equal(after.Created) || string(before.Record) != string(after.Record) {
			t.Errorf("%s: the dead letter was %+v and is %+v", what, before, after)
		}
	}
	wantOrder(t, f.Database, stands.Order, flashgate.StatusPending, "", "the row that stands")
	f.Sale(t, sale)
	if d := replay(t, f.Database, early.Order); d.Status != flashgate.StatusPending {
		t.Errorf("Replay after the sale was created gives %+v", d)
	}
	wantDatabaseSum(t, f.Database, sale.ID, []flashgate.Reservation{early})
}

func deadLettersDrop(t *testing.T, f DatabaseFixture) {
	sale, r := dead(t, f)
	drop(t, f.Database, r.Order)
	wantOrder(t, f.Database, r.Order, flashgate.StatusRejected, flashgate.ReasonDropped, "dropped")
	if o := readOrder(t, f.Database, r.Order); o.User != r.User || o.Units != r.Units || o.Sale != sale.ID || o.Seq != 1 {
		t.Errorf("the order is %+v", o)
	}
	wantNoDeadLetter(t, f, r.Order, "dropped")
	if s := readSale(t, f.Sales, sale.ID); s.StockLeft != 10 || s.Seq != 1 {
		t.Errorf("stock left %d, seq %d; want 10, 1", s.StockLeft, s.Seq)
	}
	wantCode(t, f.DeadLetters.Drop(t.Context(), r.Order), flashgate.CodeNotFound, "Drop again")
	_, err := f.DeadLetters.Replay(t.Context(), r.Order, unpaid)
	wantCode(t, err, flashgate.CodeNotFound, "Replay of what was dropped")
	if d := decide(t, f.Database, sale.ID, unpaid, r)[0]; !d.Duplicate || d.Status != flashgate.StatusRejected || d.Reason != flashgate.ReasonDropped {
		t.Errorf("the reservation again: %+v", d)
	}
	place(t, f.Database, sale.ID, unpaid, reservation(sale.ID, r.User, 1)) // no share was taken
}

// deadLettersDropWithoutSale: also where the sale was never created.
func deadLettersDropWithoutSale(t *testing.T, f DatabaseFixture) {
	sale := newSale(10, 1)
	r := reservation(sale.ID, newUser(), 1)
	decide(t, f.Database, sale.ID, unpaid, r)
	drop(t, f.Database, r.Order)
	wantNoDeadLetter(t, f, r.Order, "dropped")
	wantOrder(t, f.Database, r.Order, flashgate.StatusRejected, flashgate.ReasonDropped, "dropped")
}

func deadLettersDropUnreadable(t *testing.T, f DatabaseFixture) {
	id := unreadable(t, f)
	drop(t, f.Database, id)
	wantNoDeadLetter(t, f, id, "dropped")
	wantNoOrder(t, f.Database, id, "dropped")
}

// deadLettersDropMismatch: the id has a row, and that one stands.
func deadLettersDropMismatch(t *testing.T, f DatabaseFixture) {
	sale := newSale(10, 3)
	f.Sale(t, sale)
	r := reservation(sale.ID, newUser(), 1)
	place(t, f.Database, sale.ID, unpaid, r)
	other := r
	other.Units = 2
	decide(t, f.Database, sale.ID, unpaid, other)
	drop(t, f.Database, r.Order)
	wantNoDeadLetter(t, f, r.Order, "dropped")
	wantOrder(t, f.Database, r.Order, flashgate.StatusPending, "", "the row")
	if live := wantDatabaseSum(t, f.Database, sale.ID, []flashgate.Reservation{r}); live != 1 {
		t.Errorf("%d live orders, want 1", live)
	}
}

func deadLettersUnknown(t *testing.T, f DatabaseFixture) {
	sale := newSale(10, 1)
	f.Sale(t, sale)
	r := reservation(sale.ID, newUser(), 1)
	for _, what := range []string{"without a row", "with a row"} {
		wantCode(t, f.DeadLetters.Drop(t.Context(), r.Order), flashgate.CodeNotFound, "Drop of an id "+what)
		_, err := f.DeadLetters.Replay(t.Context(), r.Order, unpaid)
		wantCode(t, err, flashgate.CodeNotFound, "Replay of an id "+what)
		decide(t, f.Database, sale.ID, unpaid, r)
	}
	wantOrder(t, f.Database, r.Order, flashgate.StatusPending, "", "after all")
}

// deadLettersConcurrentReplayAndDrop: one of them wins, and the others find
// nothing.
func deadLettersConcurrentReplayAndDrop(t *testing.T, f DatabaseFixture) {
	for round := range 9 { // both, Replay alone, Drop alone
		sale, r := dead(t, f)
		var replayed, dropped atomic.Int32
		concurrently(10, func(i int) {
			var err error
			won := &dropped
			if round%3 == 1 || round%3 == 0 && i%2 == 0 {
				_, err = f.DeadLetters.Replay(t.Context(), r.Order, unpaid)
				won = &replayed
			} else {
				err = f.DeadLetters.Drop(t.Context(), r.Order)
			}
			if err == nil {
				won.Add(1)
			} else if flashgate.ErrorCode(err) != flashgate.CodeNotFound {
				t.Errorf("the loser: %v", err)
			}
		})
		want := flashgate.StatusRejected
		if replayed.Load() == 1 {
			want = flashgate.StatusPending
		}
		if replayed.Load()+dropped.Load() != 1 {
			t.Errorf("%d Replay and %d Drop were good, want one of all", replayed.Load(), dropped.Load())
		}
		if o := readOrder(t, f.Database, r.Order); o.Status != want {
			t.Errorf("the order is %s(%s), want %s", o.Status, o.Reason, want)
		}
		wantNoDeadLetter(t, f, r.Order, "after both")
		wantDatabaseSum(t, f.Database, sale.ID, []flashgate.Reservation{r})
	}
}

func deadLettersCrash(t *testing.T, f DatabaseFixture) {
	sale, r := dead(t, f)
	dropped := reservation(sale.ID, newUser(), 1)
	deadLetter(t, f.Database, dropped)
	drop(t, f.Database, dropped.Order)
	f = f.Reopen(t)
	wantNoDeadLetter(t, f, dropped.Order, "after the crash")
	wantOrder(t, f.Database, dropped.Order, flashgate.StatusRejected, flashgate.ReasonDropped, "after the crash")
	if d := replay(t, f.Database, r.Order); d.Status != flashgate.StatusPending {
		t.Errorf("Replay after the crash gives %+v", d)
	}
}
