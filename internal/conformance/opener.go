package conformance

import (
	"testing"
	"time"

	"flashgate"
)

// Opener is the suite of flashgate.Opener. The cases about a restart need a fixture
// that has Restart, and pass over the others.
func Opener(t *testing.T, open func(t *testing.T) GateFixture) {
	restarts := func(f GateFixture) bool { return f.Restart != nil }
	run(t, open, []testCase[GateFixture]{
		{name: "Never", run: openerNever},
		{name: "New", run: openerNew},
		{name: "FromSnapshot", run: openerFromSnapshot},
		{name: "Refused", run: openerRefused},
		{name: "Survivors", run: openerSurvivors},
		{name: "SurvivorsShare", run: openerSurvivorsShare},
		{name: "SurvivorsPastStock", run: openerSurvivorsPastStock},
		{name: "Bound", run: openerBound},
		{name: "ManyOrders", run: openerManyOrders},
		{name: "Concurrent", run: openerConcurrent},
		{name: "ConcurrentEpochs", run: openerConcurrentEpochs},
		{name: "Waiting", run: openerWaiting},
		{name: "WaitingMany", run: openerWaitingMany},
		{name: "Requeue", run: openerRequeue},
		{name: "FreedByOpening", run: openerFreedByOpening, needs: func(f GateFixture) bool { return watches(f.Stock) }},

		{name: "RestartCloses", run: openerRestartCloses, needs: restarts},
		{name: "RestartDuringOpening", run: openerRestartDuringOpening, needs: restarts},
		{name: "RestartKeepsHeld", run: openerRestartKeepsHeld, needs: restarts},
	})
}

// snapshotOf is a database that has this much of the sale left.
func snapshotOf(sale flashgate.Sale, epoch, seq uint64, left int64) flashgate.Snapshot {
	sale.Epoch, sale.Seq, sale.StockLeft = epoch, seq, left
	return flashgate.Snapshot{Sale: sale, Bound: flashgate.DefaultBound}
}

func rowOf(r flashgate.Reservation, live bool) flashgate.SnapshotOrder {
	return flashgate.SnapshotOrder{Order: r.Order, User: r.User, Units: r.Units, Live: live}
}

func incarnation(t testing.TB, f GateFixture, sale flashgate.SaleID) string {
	t.Helper()
	s, err := f.Opener.Incarnation(t.Context(), sale)
	if err != nil || s == "" {
		t.Fatalf("Incarnation %q: %v", s, err)
	}
	return s
}

// reopen opens a gate that may have been open in another life of its server, and fails
// the test unless it finds what is wanted.
func reopen(t testing.TB, f GateFixture, s flashgate.Snapshot, want flashgate.Opened) {
	t.Helper()
	f.Close(t, s.Sale.ID)
	opened, err := f.Opener.Open(t.Context(), incarnation(t, f, s.Sale.ID), s)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	if opened != want {
		t.Errorf("Open says %+v, want %+v", opened, want)
	}
	v := view(t, f.Stock, s.Sale.ID)
	if !v.Open || v.Epoch != s.Sale.Epoch || v.Applied != s.Sale.Seq || v.Free != want.Free || v.Held != want.Held {
		t.Errorf("opened from %+v, the view is %+v", s.Sale, v)
	}
}

// wantClosed tries every verb but View on a sale that is closed.
func wantClosed(t testing.TB, f GateFixture, sale flashgate.SaleID, known flashgate.Reservation, when string) {
	t.Helper()
	for i, out := range reserve(t, f.Stock, sale, known, reservation(sale, newUser(), 1)) {
		if out.Outcome != flashgate.OutcomeClosed {
			t.Errorf("%s: outcome %d of reservation %d, want closed", when, out.Outcome, i)
		}
	}
	some := []flashgate.OrderID{known.Order}
	_, err := f.Applier.Apply(t.Context(), sale, []flashgate.LogEntry{entry(sale, 1, changeOf(flashgate.ChangePlaced, known))})
	wantCode(t, err, flashgate.CodeSaleClosed, when+": Apply")
	_, err = f.Applier.Apply(t.Context(), sale, nil)
	wantCode(t, err, flashgate.CodeSaleClosed, when+": Apply of nothing")
	wantCode(t, f.Applier.Settle(t.Context(), sale, 1, some), flashgate.CodeSaleClosed, when+": Settle")
	wantCode(t, f.Outbox.Published(t.Context(), sale, some), flashgate.CodeSaleClosed, when+": Published")
	_, err = f.Outbox.Lease(t.Context(), sale, 0, time.Minute, 10)
	wantCode(t, err, flashgate.CodeSaleClosed, when+": Lease")
	_, err = f.Opener.Waiting(t.Context(), sale, 0, 10)
	wantCode(t, err, flashgate.CodeSaleClosed, when+": Waiting")
	wantCode(t, f.Opener.Requeue(t.Context(), sale, some), flashgate.CodeSaleClosed, when+": Requeue")
}

func openerNever(t *testing.T, f GateFixture) {
	sale := newSale(10, 1).ID
	r := reservation(sale, newUser(), 1)
	wantClosed(t, f, sale, r, "never opened")
	_, err := f.Stock.View(t.Context(), sale)
	wantCode(t, err, flashgate.CodeNotFound, "View of a sale that was never opened")
	wantHeld(t, f.Stock, r, false, "never opened")
	if a, b := incarnation(t, f, sale), incarnation(t, f, sale); a != b {
		t.Errorf("the incarnation is %q and then %q", a, b)
	}
}

func openerNew(t *testing.T, f GateFixture) {
	sale := newSale(10, 2)
	reopen(t, f, snapshotOf(sale, 2, 0, 10), flashgate.Opened{Free: 10})
	v := view(t, f.Stock, sale.ID)
	if !v.Starts.Equal(sale.Starts) || !v.Ends.Equal(sale.Ends) || v.PerUser != 2 {
		t.Errorf("the view %+v is not that of %+v", v, sale)
	}
	out := refuse(t, f.Stock, flashgate.OutcomePublish, reservation(sale.ID, newUser(), 2), "the first")
	if out.Epoch != 2 {
		t.Errorf("reserved in epoch %d, want 2", out.Epoch)
	}
	apply(t, f, sale.ID, 1, entry(sale.ID, 1, flashgate.Change{Kind: flashgate.ChangeRestock, Units: 1}))
	wantView(t, f.Stock, sale.ID, 9, 2, "after the first entry")
}

// openerFromSnapshot: buyers are the live orders, and every row is a known id.
func openerFromSnapshot(t *testing.T, f GateFixture) {
	sale := newSale(20, 3)
	live, gone := reservation(sale.ID, newUser(), 2), reservation(sale.ID, newUser(), 3)
	later := reservation(sale.ID, live.User, 1)
	s := snapshotOf(sale, 5, 7, 17)
	s.Orders = []flashgate.SnapshotOrder{rowOf(live, true), rowOf(gone, false), rowOf(later, true)}
	reopen(t, f, s, flashgate.Opened{Free: 17})
	for _, r := range []flashgate.Reservation{live, gone, later} {
		refuse(t, f.Stock, flashgate.OutcomeAccepted, r, "a repeat of a decided one")
		other := r
		other.Units++
		refuse(t, f.Stock, flashgate.OutcomeConflict, other, "another payload")
		wantHeld(t, f.Stock, r, false, "decided")
	}
	out := refuse(t, f.Stock, flashgate.OutcomeAlreadyBought, reservation(sale.ID, live.User, 1), "the buyer again")
	if out.Prior != later.Order {
		t.Errorf("prior order %q, want the last one", out.Prior)
	}
	wantView(t, f.Stock, sale.ID, 17, 0, "after the repeats")
	hold(t, f.Stock, sale.ID, reservation(sale.ID, gone.User, 3)) // its order is not live
	// Entries up to the snapshot's seq are in it.
	apply(t, f, sale.ID, 7, entry(sale.ID, 7, changeOf(flashgate.ChangeCancelled, live)))
	wantView(t, f.Stock, sale.ID, 14, 3, "after an entry that was in the snapshot")
	apply(t, f, sale.ID, 8, entry(sale.ID, 8, changeOf(flashgate.ChangeCancelled, live)))
	wantView(t, f.Stock, sale.ID, 16, 3, "after the next entry")
	hold(t, f.Stock, sale.ID, reservation(sale.ID, live.User, 2))
}

func openerRefused(t *testing.T, f GateFixture) {
	sale := newSale(10, 1)
	r := reservation(sale.ID, newUser(), 1)
	other := snapshotOf(sale, 4, 9, 3)
	other.Orders = []flashgate.SnapshotOrder{rowOf(reservation(sale.ID, r.User, 1), true)}
	_, err := f.Opener.Open(t.Context(), incarnation(t, f, sale.ID)+"x", other)
	wantCode(t, err, flashgate.CodeWrongState, "another incarnation, without a head")
	_, err = f.Stock.View(t.Context(), sale.ID)
	wantCode(t, err, flashgate.CodeNotFound, "View after an opening that was refused")

	reopen(t, f, snapshotOf(sale, 4, 0, 10), flashgate.Opened{Free: 10})
	hold(t, f.Stock, sale.ID, r)
	now := incarnation(t, f, sale.ID)
	refused := func(open bool, name string, epoch uint64, incarnation string) {
		t.Helper()
		other.Sale.Epoch = epoch
		_, err := f.Opener.Open(t.Context(), incarnation, other)
		wantCode(t, err, flashgate.CodeWrongState, name)
		if v := view(t, f.Stock, sale.ID); v.Open != open || v.Epoch != 4 || v.Applied != 0 || v.Free != 9 || v.Held != 1 {
			t.Errorf("%s: refused, and the view is %+v", name, v)
		}
	}
	refused(true, "open, an earlier epoch", 3, now)
	refused(true, "open, the same epoch", 4, now)
	refused(true, "open, a later epoch", 5, now)
	refused(true, "open, another incarnation", 5, now+"x")
	refuse(t, f.Stock, flashgate.OutcomePublish, r, "after the refusals")
	for _, row := range other.Orders {
		refuse(t, f.Stock, flashgate.OutcomeAlreadyBought, flashgate.Reservation{Order: row.Order, User: row.User, Units: row.Units}, "a row of the refused one")
	}
	f.Close(t, sale.ID)
	refused(false, "closed, an earlier epoch", 3, now)
	refused(false, "closed, the same epoch", 4, now)
	refused(false, "closed, another incarnation", 5, now+"x")
	refused(false, "closed, no incarnation", 5, "")
	wantHeld(t, f.Stock, r, true, "after the refusals")
	reopen(t, f, snapshotOf(sale, 5, 0, 10), flashgate.Opened{Free: 9, Held: 1, Requeued: 1})
}

// openerSurvivors: decided ids leave held, dead letters stay, the others go to the
// outbox, whether they were in it, leased, or published.
func openerSurvivors(t *testing.T, f GateFixture) {
	sale := newSale(20, 1)
	reopen(t, f, snapshotOf(sale, 2, 0, 20), flashgate.Opened{Free: 20})
	rs := reservations(sale.ID, 8)
	placed, rejected, dead, leased, sent, waiting, deadWaiting, deadLeased := rs[0], rs[1], rs[2], rs[3], rs[4], rs[5], rs[6], rs[7]
	hold(t, f.Stock, sale.ID, leased, deadLeased)
	leaseAll(t, f, sale.ID, time.Hour, 2)
	hold(t, f.Stock, sale.ID, placed, rejected, dead, sent, waiting, deadWaiting)
	published(t, f, sale.ID, rejected, dead, sent)

	s := snapshotOf(sale, 3, 4, 19)
	s.Orders = []flashgate.SnapshotOrder{rowOf(placed, true), rowOf(rejected, false)}
	s.Dead = []flashgate.OrderID{dead.Order, deadWaiting.Order, deadLeased.Order, reservation(sale.ID, newUser(), 1).Order}
	reopen(t, f, s, flashgate.Opened{Free: 13, Held: 6, Requeued: 3})
	for _, r := range []flashgate.Reservation{placed, rejected} {
		wantHeld(t, f.Stock, r, false, "decided")
		refuse(t, f.Stock, flashgate.OutcomeAccepted, r, "decided")
	}
	for _, r := range []flashgate.Reservation{dead, deadWaiting, deadLeased} {
		wantHeld(t, f.Stock, r, true, "a dead letter")
		refuse(t, f.Stock, flashgate.OutcomeAccepted, r, "a dead letter")
	}
	got := map[flashgate.OrderID]bool{}
	for _, r := range leaseAll(t, f, sale.ID, time.Minute, 3) {
		got[r.Order] = true
	}
	for _, r := range []flashgate.Reservation{leased, sent, waiting} {
		wantHeld(t, f.Stock, r, true, "undecided")
		refuse(t, f.Stock, flashgate.OutcomePublish, r, "undecided")
		if !got[r.Order] {
			t.Error("an undecided survivor was not in the outbox")
		}
	}
	// The gate goes on from there.
	apply(t, f, sale.ID, 5, entry(sale.ID, 5, changeOf(flashgate.ChangePlaced, sent), changeOf(flashgate.ChangeRejected, dead)))
	wantView(t, f.Stock, sale.ID, 14, 4, "after the next entry")
}

// openerSurvivorsShare: a user's share is what is live and what is held.
func openerSurvivorsShare(t *testing.T, f GateFixture) {
	sale := newSale(20, 3)
	reopen(t, f, snapshotOf(sale, 2, 0, 20), flashgate.Opened{Free: 20})
	user := newUser()
	rows := []flashgate.Reservation{reservation(sale.ID, user, 1), reservation(sale.ID, user, 1)}
	hold(t, f.Stock, sale.ID, append(rows, reservation(sale.ID, newUser(), 2))...)
	s := snapshotOf(sale, 3, 1, 19)
	s.Orders = []flashgate.SnapshotOrder{rowOf(rows[0], true)}
	reopen(t, f, s, flashgate.Opened{Free: 16, Held: 3, Requeued: 2})
	hold(t, f.Stock, sale.ID, reservation(sale.ID, user, 1))
	refuse(t, f.Stock, flashgate.OutcomeAlreadyBought, reservation(sale.ID, user, 1), "1 live, 2 held of 3")
	apply(t, f, sale.ID, 2, entry(sale.ID, 2, changeOf(flashgate.ChangeRejected, rows[1])))
	hold(t, f.Stock, sale.ID, reservation(sale.ID, user, 1))
}

// openerSurvivorsPastStock: more is held than the database has left, as after the gate
// had lost some of its writes. The database will judge.
func openerSurvivorsPastStock(t *testing.T, f GateFixture) {
	sale := newSale(5, 1)
	reopen(t, f, snapshotOf(sale, 2, 0, 5), flashgate.Opened{Free: 5})
	rs := reservations(sale.ID, 4)
	hold(t, f.Stock, sale.ID, rs...)
	reopen(t, f, snapshotOf(sale, 3, 9, 1), flashgate.Opened{Free: -3, Held: 4, Requeued: 4})
	refuse(t, f.Stock, flashgate.OutcomeSoldOut, reservation(sale.ID, newUser(), 1), "less than nothing is free")
	apply(t, f, sale.ID, 10, entry(sale.ID, 10, changeOf(flashgate.ChangePlaced, rs[0]),
		changeOf(flashgate.ChangeRejected, rs[1]), changeOf(flashgate.ChangeRejected, rs[2]), changeOf(flashgate.ChangeRejected, rs[3])))
	wantView(t, f.Stock, sale.ID, 0, 0, "judged")
}

func openerBound(t *testing.T, f GateFixture) {
	sale := newSale(100, 10)
	s := snapshotOf(sale, 2, 0, 100)
	s.Bound = 10
	reopen(t, f, s, flashgate.Opened{Free: 100})
	first := reservation(sale.ID, newUser(), 8)
	hold(t, f.Stock, sale.ID, first)
	refuse(t, f.Stock, flashgate.OutcomeBusy, reservation(sale.ID, newUser(), 3), "11 units of 10")
	hold(t, f.Stock, sale.ID, reservation(sale.ID, newUser(), 2))
	refuse(t, f.Stock, flashgate.OutcomeBusy, reservation(sale.ID, first.User, 10), "past the bound, and over the limit")
	hold(t, f.Stock, sale.ID, first)
	apply(t, f, sale.ID, 1, entry(sale.ID, 1, changeOf(flashgate.ChangePlaced, first)))
	hold(t, f.Stock, sale.ID, reservation(sale.ID, newUser(), 8))
}

func openerManyOrders(t *testing.T, f GateFixture) {
	const n = 20_000
	sale := newSale(2*n, 1)
	s := snapshotOf(sale, 2, 1, n+n/2)
	rs := reservations(sale.ID, n)
	for i, r := range rs {
		s.Orders = append(s.Orders, rowOf(r, i%2 == 0))
	}
	reopen(t, f, s, flashgate.Opened{Free: n + n/2})
	for i := 0; i < n; i += 501 {
		refuse(t, f.Stock, flashgate.OutcomeAccepted, rs[i], "a repeat of a decided one")
		again := reservation(sale.ID, rs[i].User, 1)
		if want := flashgate.OutcomeAlreadyBought; i%2 == 0 {
			refuse(t, f.Stock, want, again, "the buyer again")
		} else {
			hold(t, f.Stock, sale.ID, again)
		}
	}
}

// openerConcurrent: of any number of openings in one epoch one wins, and what it was
// opened from is of one piece.
func openerConcurrent(t *testing.T, f GateFixture) {
	sale := newSale(100, 1)
	life := incarnation(t, f, sale.ID)
	const openers = 8
	snapshots := make([]flashgate.Snapshot, openers)
	rows := make([][]flashgate.Reservation, openers)
	for i := range snapshots {
		snapshots[i] = snapshotOf(sale, 2, uint64(i), int64(100-i))
		rows[i] = reservations(sale.ID, 200)
		for _, r := range rows[i] {
			snapshots[i].Orders = append(snapshots[i].Orders, rowOf(r, true))
		}
	}
	var won [openers]bool
	concurrently(openers, func(i int) {
		opened, err := f.Opener.Open(t.Context(), life, snapshots[i])
		if won[i] = err == nil; won[i] && opened.Free != int64(100-i) {
			t.Errorf("opening %d says %+v", i, opened)
		}
		if err != nil {
			wantCode(t, err, flashgate.CodeWrongState, "an opening that was too late")
		}
	})
	winners := 0
	for i := range won {
		if !won[i] {
			continue
		}
		winners++
		if v := view(t, f.Stock, sale.ID); v.Free != int64(100-i) || v.Applied != uint64(i) {
			t.Errorf("opening %d won, and the view is %+v", i, v)
		}
		refuse(t, f.Stock, flashgate.OutcomeAccepted, rows[i][0], "a row of the winner")
		refuse(t, f.Stock, flashgate.OutcomeAlreadyBought, reservation(sale.ID, rows[i][199].User, 1), "a buyer of the winner")
		hold(t, f.Stock, sale.ID, reservation(sale.ID, rows[(i+1)%openers][0].User, 1))
	}
	if winners != 1 {
		t.Errorf("%d openings of one epoch won, want 1", winners)
	}
}

// openerConcurrentEpochs: of openings in several epochs one wins as well, and whoever
// comes later finds the gate open.
func openerConcurrentEpochs(t *testing.T, f GateFixture) {
	sale := newSale(100, 1)
	life := incarnation(t, f, sale.ID)
	var won [8]bool
	concurrently(len(won), func(i int) {
		_, err := f.Opener.Open(t.Context(), life, snapshotOf(sale, uint64(i/2)+2, uint64(i), int64(i)))
		if won[i] = err == nil; !won[i] {
			wantCode(t, err, flashgate.CodeWrongState, "an opening that was too late")
		}
	})
	winners := 0
	for i := range won {
		if !won[i] {
			continue
		}
		winners++
		if v := view(t, f.Stock, sale.ID); v.Epoch != uint64(i/2)+2 || v.Applied != uint64(i) || v.Free != int64(i) {
			t.Errorf("opening %d won, and the view is %+v", i, v)
		}
	}
	if winners != 1 {
		t.Errorf("%d openings won, want 1", winners)
	}
}
