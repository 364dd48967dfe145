package conformance

import (
	"testing"
	"time"

	"flashgate"
)

// Applier is the suite of flashgate.Applier, on entries that it writes itself.
func Applier(t *testing.T, open func(t *testing.T) GateFixture) {
	run(t, open, []testCase[GateFixture]{
		{name: "Placed", run: applierPlaced},
		{name: "PlacedUnheld", run: applierPlacedUnheld},
		{name: "Rejected", run: applierRejected},
		{name: "RejectedUnheld", run: applierRejectedUnheld},
		{name: "Cancelled", run: applierCancelled},
		{name: "RestockAndWindow", run: applierRestockAndWindow},
		{name: "BySeq", run: applierBySeq},
		{name: "Repeats", run: applierRepeats},
		{name: "ConcurrentApply", run: applierConcurrentApply},
		{name: "Settle", run: applierSettle},
		{name: "SettleTooEarly", run: applierSettleTooEarly},
		{name: "FreedBySettling", run: applierFreedBySettling, needs: func(f GateFixture) bool { return watches(f.Stock) }},
		{name: "Crash", run: applierCrash, needs: func(f GateFixture) bool { return f.Reopen != nil }},
	})
}

func changeOf(kind flashgate.ChangeKind, r flashgate.Reservation) flashgate.Change {
	return flashgate.Change{Kind: kind, Order: r.Order, User: r.User, Units: int64(r.Units)}
}

func entry(sale flashgate.SaleID, seq uint64, cs ...flashgate.Change) flashgate.LogEntry {
	return flashgate.LogEntry{Sale: sale, Epoch: 1, Seq: seq, Changes: cs}
}

// apply fails the test unless seq want is applied afterwards.
func apply(t testing.TB, f GateFixture, sale flashgate.SaleID, want uint64, es ...flashgate.LogEntry) {
	t.Helper()
	applied, err := f.Applier.Apply(t.Context(), sale, es)
	if err != nil {
		t.Fatalf("Apply: %v", err)
	}
	if v := view(t, f.Stock, sale); applied != want || v.Applied != want {
		t.Fatalf("Apply says that %d is applied, the view %d; want %d", applied, v.Applied, want)
	}
}

func settle(t testing.TB, f GateFixture, sale flashgate.SaleID, seq uint64, rs ...flashgate.Reservation) {
	t.Helper()
	if err := f.Applier.Settle(t.Context(), sale, seq, ids(rs)); err != nil {
		t.Fatalf("Settle: %v", err)
	}
}

// wantOutbox leases everything for a moment and looks at what it was.
func wantOutbox(t testing.TB, f GateFixture, sale flashgate.SaleID, n int, when string) {
	t.Helper()
	elapse(t, 5*time.Millisecond)
	if got := lease(t, f, sale, time.Millisecond, 100); len(got) != n {
		t.Errorf("%s: %d in the outbox, want %d", when, len(got), n)
	}
}

func applierPlaced(t *testing.T, f GateFixture) {
	sale := openGate(t, f, 10, 2)
	a, b := reservation(sale.ID, newUser(), 2), reservation(sale.ID, newUser(), 1)
	hold(t, f.Stock, sale.ID, a, b)
	apply(t, f, sale.ID, 1, entry(sale.ID, 1, changeOf(flashgate.ChangePlaced, a)))
	wantView(t, f.Stock, sale.ID, 7, 1, "one placed")
	wantHeld(t, f.Stock, a, false, "placed")
	wantHeld(t, f.Stock, b, true, "not placed")
	wantOutbox(t, f, sale.ID, 1, "one placed")
	refuse(t, f.Stock, flashgate.OutcomeAccepted, a, "a repeat of the placed one")
	refuse(t, f.Stock, flashgate.OutcomeAlreadyBought, reservation(sale.ID, a.User, 1), "its buyer again")
	wantView(t, f.Stock, sale.ID, 7, 1, "after the repeat")
	published(t, f, sale.ID, a) // a late confirm
	wantView(t, f.Stock, sale.ID, 7, 1, "after a late confirm")
}

func applierPlacedUnheld(t *testing.T, f GateFixture) {
	sale := openGate(t, f, 10, 2)
	r := reservation(sale.ID, newUser(), 2)
	apply(t, f, sale.ID, 1, entry(sale.ID, 1, changeOf(flashgate.ChangePlaced, r)))
	wantView(t, f.Stock, sale.ID, 8, 0, "placed")
	refuse(t, f.Stock, flashgate.OutcomeAccepted, r, "its id")
	if out := refuse(t, f.Stock, flashgate.OutcomeAlreadyBought, reservation(sale.ID, r.User, 1), "its buyer again"); out.Prior != r.Order {
		t.Errorf("prior order %q, want %q", out.Prior, r.Order)
	}
	wantView(t, f.Stock, sale.ID, 8, 0, "after both")
}

func applierRejected(t *testing.T, f GateFixture) {
	sale := openGate(t, f, 10, 2)
	r := reservation(sale.ID, newUser(), 2)
	hold(t, f.Stock, sale.ID, r)
	apply(t, f, sale.ID, 1, entry(sale.ID, 1, changeOf(flashgate.ChangeRejected, r)))
	wantView(t, f.Stock, sale.ID, 10, 0, "rejected")
	wantHeld(t, f.Stock, r, false, "rejected")
	wantOutbox(t, f, sale.ID, 0, "rejected")
	hold(t, f.Stock, sale.ID, reservation(sale.ID, r.User, 2))
}

func applierRejectedUnheld(t *testing.T, f GateFixture) {
	sale := openGate(t, f, 10, 2)
	r := reservation(sale.ID, newUser(), 1)
	mine := reservation(sale.ID, r.User, 1)
	hold(t, f.Stock, sale.ID, mine)
	apply(t, f, sale.ID, 1, entry(sale.ID, 1, changeOf(flashgate.ChangeRejected, r)))
	wantView(t, f.Stock, sale.ID, 9, 1, "rejected")
	out := reserve(t, f.Stock, sale.ID, reservation(sale.ID, r.User, 1), reservation(sale.ID, r.User, 1))
	if !held(out[0].Outcome) || out[1].Outcome != flashgate.OutcomeAlreadyBought {
		t.Errorf("a rejection of what was not held gave its user a share back: %+v", out)
	}
}

func applierCancelled(t *testing.T, f GateFixture) {
	sale := openGate(t, f, 2, 2)
	r := reservation(sale.ID, newUser(), 2)
	hold(t, f.Stock, sale.ID, r)
	// Both in one call, as after an outage.
	apply(t, f, sale.ID, 2, entry(sale.ID, 1, changeOf(flashgate.ChangePlaced, r)), entry(sale.ID, 2, changeOf(flashgate.ChangeCancelled, r)))
	wantView(t, f.Stock, sale.ID, 2, 0, "cancelled")
	next := reservation(sale.ID, r.User, 2)
	hold(t, f.Stock, sale.ID, next)
	hold(t, f.Stock, sale.ID, r) // known, and takes nothing
	wantView(t, f.Stock, sale.ID, 0, 2, "bought again")
	refuse(t, f.Stock, flashgate.OutcomeAlreadyBought, reservation(sale.ID, r.User, 1), "a third time")
}

func applierRestockAndWindow(t *testing.T, f GateFixture) {
	sale := openGate(t, f, 0, 1)
	r := reservation(sale.ID, newUser(), 1)
	refuse(t, f.Stock, flashgate.OutcomeSoldOut, r, "without units")
	apply(t, f, sale.ID, 1, entry(sale.ID, 1, flashgate.Change{Kind: flashgate.ChangeRestock, Units: 3}))
	wantView(t, f.Stock, sale.ID, 3, 0, "restocked")
	for i, c := range []struct {
		starts, ends time.Duration
		want         func(flashgate.Outcome) bool
	}{
		{time.Hour, 2 * time.Hour, func(o flashgate.Outcome) bool { return o == flashgate.OutcomeNotStarted }},
		{-2 * time.Hour, -time.Hour, func(o flashgate.Outcome) bool { return o == flashgate.OutcomeEnded }},
		{-time.Hour, time.Hour, held},
	} {
		e := entry(sale.ID, uint64(i)+2, flashgate.Change{Kind: flashgate.ChangeWindow})
		e.Starts, e.Ends = now().Add(c.starts), now().Add(c.ends)
		apply(t, f, sale.ID, e.Seq, e)
		if v := view(t, f.Stock, sale.ID); !v.Starts.Equal(e.Starts) || !v.Ends.Equal(e.Ends) {
			t.Errorf("the window is %v to %v, want %v to %v", v.Starts, v.Ends, e.Starts, e.Ends)
		}
		if out := reserve(t, f.Stock, sale.ID, r)[0]; !c.want(out.Outcome) {
			t.Errorf("window from %v to %v: outcome %d", c.starts, c.ends, out.Outcome)
		}
	}
	wantView(t, f.Stock, sale.ID, 2, 1, "in the last window")
}

// applierBySeq: skipped at or below what is applied, stopped at a gap.
func applierBySeq(t *testing.T, f GateFixture) {
	sale := openGate(t, f, 0, 1)
	restock := func(seq uint64) flashgate.LogEntry {
		return entry(sale.ID, seq, flashgate.Change{Kind: flashgate.ChangeRestock, Units: 1})
	}
	apply(t, f, sale.ID, 0)
	apply(t, f, sale.ID, 0, restock(2), restock(3))
	wantView(t, f.Stock, sale.ID, 0, 0, "a gap at the start")
	apply(t, f, sale.ID, 2, restock(1), restock(2), restock(4), restock(5))
	wantView(t, f.Stock, sale.ID, 2, 0, "a gap after 2")
	apply(t, f, sale.ID, 4, restock(1), restock(2), restock(3), restock(4))
	wantView(t, f.Stock, sale.ID, 4, 0, "two known and two new")
	apply(t, f, sale.ID, 4, restock(1), restock(4), restock(3))
	wantView(t, f.Stock, sale.ID, 4, 0, "known ones")
	apply(t, f, sale.ID, 5, entry(sale.ID, 5)) // one that changes nothing
	apply(t, f, sale.ID, 6, restock(6))
	wantView(t, f.Stock, sale.ID, 5, 0, "6 applied")
}

func applierRepeats(t *testing.T, f GateFixture) {
	sale := openGate(t, f, 10, 1)
	rs := reservations(sale.ID, 3)
	hold(t, f.Stock, sale.ID, rs...)
	es := []flashgate.LogEntry{
		entry(sale.ID, 1, changeOf(flashgate.ChangePlaced, rs[0]), changeOf(flashgate.ChangeRejected, rs[1])),
		entry(sale.ID, 2, changeOf(flashgate.ChangeCancelled, rs[0])),
		entry(sale.ID, 3, flashgate.Change{Kind: flashgate.ChangeRestock, Units: 5}),
	}
	for range 3 {
		apply(t, f, sale.ID, 3, es...)
		wantView(t, f.Stock, sale.ID, 14, 1, "applied")
	}
}

func applierConcurrentApply(t *testing.T, f GateFixture) {
	sale := openGate(t, f, 40, 1)
	rs := reservations(sale.ID, 40)
	hold(t, f.Stock, sale.ID, rs...)
	var es []flashgate.LogEntry
	for i := range 20 {
		es = append(es, entry(sale.ID, uint64(i)+1, changeOf(flashgate.ChangePlaced, rs[2*i]), changeOf(flashgate.ChangeRejected, rs[2*i+1])))
	}
	concurrently(10, func(i int) {
		for _, e := range es[:10+i] { // by different ways to different ends
			if _, err := f.Applier.Apply(t.Context(), sale.ID, []flashgate.LogEntry{e}); err != nil {
				t.Errorf("Apply: %v", err)
			}
		}
	})
	apply(t, f, sale.ID, 20, es...)
	wantView(t, f.Stock, sale.ID, 20, 0, "all applied")
}

// applierSettle: an id that was reserved after its decision is released, once.
func applierSettle(t *testing.T, f GateFixture) {
	sale := openGate(t, f, 10, 1)
	r, other := reservation(sale.ID, newUser(), 1), reservation(sale.ID, newUser(), 1)
	apply(t, f, sale.ID, 1, entry(sale.ID, 1, changeOf(flashgate.ChangeRejected, r)))
	hold(t, f.Stock, sale.ID, r, other) // the gate has forgotten it, or never knew
	for range 2 {
		settle(t, f, sale.ID, 1, r)
		wantHeld(t, f.Stock, r, false, "settled")
		wantHeld(t, f.Stock, other, true, "another")
		wantView(t, f.Stock, sale.ID, 9, 1, "settled")
		wantOutbox(t, f, sale.ID, 1, "settled")
	}
	hold(t, f.Stock, sale.ID, reservation(sale.ID, r.User, 1)) // the share is back
	unknown := reservation(sale.ID, newUser(), 1)
	settle(t, f, sale.ID, 1, unknown)
	wantView(t, f.Stock, sale.ID, 8, 2, "an unknown one settled")
}

// applierSettleTooEarly: the entry that decided it is still to come, so it is not a
// second reservation but the first.
func applierSettleTooEarly(t *testing.T, f GateFixture) {
	sale := openGate(t, f, 10, 1)
	r := reservation(sale.ID, newUser(), 1)
	hold(t, f.Stock, sale.ID, r)
	settle(t, f, sale.ID, 1, r)
	wantHeld(t, f.Stock, r, true, "settled too early")
	wantView(t, f.Stock, sale.ID, 9, 1, "settled too early")
	apply(t, f, sale.ID, 1, entry(sale.ID, 1, changeOf(flashgate.ChangePlaced, r)))
	settle(t, f, sale.ID, 1, r)
	wantView(t, f.Stock, sale.ID, 9, 0, "placed and settled")
	refuse(t, f.Stock, flashgate.OutcomeAlreadyBought, reservation(sale.ID, r.User, 1), "its buyer again")
}

func applierCrash(t *testing.T, f GateFixture) {
	sale := openGate(t, f, 10, 1)
	rs := reservations(sale.ID, 2)
	hold(t, f.Stock, sale.ID, rs...)
	es := []flashgate.LogEntry{entry(sale.ID, 1, changeOf(flashgate.ChangePlaced, rs[0])), entry(sale.ID, 2, changeOf(flashgate.ChangeRejected, rs[1]))}
	apply(t, f, sale.ID, 1, es[0])
	f = f.Reopen(t)
	apply(t, f, sale.ID, 1)
	wantView(t, f.Stock, sale.ID, 8, 1, "after the crash")
	apply(t, f, sale.ID, 2, es...)
	wantView(t, f.Stock, sale.ID, 9, 0, "the rest applied")
}
