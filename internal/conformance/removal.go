package conformance

import (
	"slices"
	"testing"
	"time"

	"flashgate"
)

// RemovalFixture is what SaleRemoval runs on.
type RemovalFixture struct {
	Database
	Remover flashgate.SaleRemover
	// Stock and Settle are as in StockFixture, where gate and database share
	// transactions; nil where they are apart.
	Stock  flashgate.Stock
	Settle func(t testing.TB)
}

// SaleRemoval is the suite of flashgate.SaleRemover.
func SaleRemoval(t *testing.T, open func(t *testing.T) RemovalFixture) {
	gate := func(f RemovalFixture) bool { return f.Stock != nil }
	run(t, open, []testCase[RemovalFixture]{
		{name: "Remove", run: removalRemove},
		{name: "Neighbours", run: removalNeighbours},
		{name: "Open", run: removalOpen},
		{name: "Moved", run: removalMoved},
		{name: "Stranger", run: removalStranger},
		{name: "Unknown", run: removalUnknown},
		{name: "LateMessage", run: removalLateMessage},
		{name: "Undecided", run: removalUndecided, needs: gate},
		{name: "Gate", run: removalGate, needs: gate},
	})
}

// bought is a sale with an order of each user, of which the last is cancelled, and a dead
// letter.
func bought(t testing.TB, f RemovalFixture, id flashgate.SaleID) (flashgate.Sale, []flashgate.Reservation) {
	t.Helper()
	sale := newSale(10, 1)
	if id != "" {
		sale.ID = id
	}
	f.Sale(t, sale)
	rs := reservations(sale.ID, 4)
	place(t, f.Database, sale.ID, unpaid, rs[:3]...)
	if _, err := f.Orders.Cancel(t.Context(), rs[2].Order, rs[2].User); err != nil {
		t.Fatal(err)
	}
	deadLetter(t, f.Database, rs[3])
	return sale, rs
}

// closed ends a sale and is what removes it.
func closed(t testing.TB, f RemovalFixture, id flashgate.SaleID, rs []flashgate.Reservation) flashgate.SaleRemoval {
	t.Helper()
	s, err := f.Sales.ChangeSale(t.Context(), id, flashgate.SaleChange{Close: true})
	if err != nil {
		t.Fatal(err)
	}
	r := flashgate.SaleRemoval{Sale: id, At: flashgate.Position{Epoch: s.Epoch, Applied: s.Seq}}
	for _, one := range rs {
		r.Buyers = append(r.Buyers, one.User)
	}
	return r
}

func remove(t testing.TB, f RemovalFixture, r flashgate.SaleRemoval) {
	t.Helper()
	if err := f.Remover.RemoveSale(t.Context(), r); err != nil {
		t.Fatalf("RemoveSale: %v", err)
	}
}

// wantRemoved fails the test when something of a sale is left.
func wantRemoved(t testing.TB, f RemovalFixture, sale flashgate.SaleID, rs []flashgate.Reservation, when string) {
	t.Helper()
	_, err := f.Sales.Sale(t.Context(), sale)
	wantCode(t, err, flashgate.CodeNotFound, when+": the sale")
	for _, r := range rs {
		wantNoOrder(t, f.Database, r.Order, when+": an order or a dead letter")
	}
}

// wantKept fails the test unless everything of bought is there.
func wantKept(t testing.TB, f RemovalFixture, sale flashgate.SaleID, rs []flashgate.Reservation, when string) {
	t.Helper()
	if s := readSale(t, f.Sales, sale); s.StockLeft != 8 {
		t.Errorf("%s: %d units are left, want 8", when, s.StockLeft)
	}
	for i, want := range []flashgate.Status{flashgate.StatusPending, flashgate.StatusPending, flashgate.StatusCancelled, flashgate.StatusDeadLettered} {
		if o := readOrder(t, f.Database, rs[i].Order); o.Status != want {
			t.Errorf("%s: order %d is %s, want %s", when, i, o.Status, want)
		}
	}
}

// removalRemove: nothing is left, so a sale of the same id begins anew.
func removalRemove(t *testing.T, f RemovalFixture) {
	sale, rs := bought(t, f, "")
	r := closed(t, f, sale.ID, rs)
	for range 2 {
		remove(t, f, r)
		wantRemoved(t, f, sale.ID, rs, "removed")
	}
	f.Sale(t, sale)
	if s := readSale(t, f.Sales, sale.ID); s.Seq != 0 || s.Epoch != 1 || s.StockLeft != 10 {
		t.Errorf("the sale that was made anew is %+v", s)
	}
	again := reservation(sale.ID, rs[0].User, 1)
	place(t, f.Database, sale.ID, unpaid, again)
	if s := readSale(t, f.Sales, sale.ID); s.Seq != 1 || s.StockLeft != 9 {
		t.Errorf("after an order of the same user it is %+v", s)
	}
}

// removalNeighbours: ids that begin alike are of other sales.
func removalNeighbours(t *testing.T, f RemovalFixture) {
	sale, rs := bought(t, f, "")
	var others []flashgate.Sale
	var theirs [][]flashgate.Reservation
	for _, id := range []flashgate.SaleID{sale.ID + "-", sale.ID + "0", sale.ID + "z", sale.ID[:len(sale.ID)-1]} {
		s, rs := bought(t, f, id)
		others, theirs = append(others, s), append(theirs, rs)
	}
	remove(t, f, closed(t, f, sale.ID, rs))
	wantRemoved(t, f, sale.ID, rs, "removed")
	for i, s := range others {
		wantKept(t, f, s.ID, theirs[i], "sale "+string(s.ID)+" beside "+string(sale.ID))
	}
}

func removalOpen(t *testing.T, f RemovalFixture) {
	sale, rs := bought(t, f, "")
	s := readSale(t, f.Sales, sale.ID)
	r := flashgate.SaleRemoval{Sale: sale.ID, At: flashgate.Position{Epoch: s.Epoch, Applied: s.Seq}}
	for _, one := range rs {
		r.Buyers = append(r.Buyers, one.User)
	}
	wantCode(t, f.Remover.RemoveSale(t.Context(), r), flashgate.CodeWrongState, "a sale that is open")
	wantKept(t, f, sale.ID, rs, "open")
}

// removalMoved: what was changed since the caller looked is not removed.
func removalMoved(t *testing.T, f RemovalFixture) {
	sale, rs := bought(t, f, "")
	r := closed(t, f, sale.ID, rs)
	for _, at := range []flashgate.Position{
		{Epoch: r.At.Epoch, Applied: r.At.Applied - 1}, {Epoch: r.At.Epoch, Applied: r.At.Applied + 1}, {Epoch: r.At.Epoch + 1, Applied: r.At.Applied}, {},
	} {
		other := r
		other.At = at
		wantCode(t, f.Remover.RemoveSale(t.Context(), other), flashgate.CodeWrongState, "another position")
	}
	wantKept(t, f, sale.ID, rs, "moved")
	remove(t, f, r)
}

// removalStranger: a real customer's order stays, whatever has become of it, and before
// the sale is closed the caller can hear that there is one.
func removalStranger(t *testing.T, f RemovalFixture) {
	sale, rs := bought(t, f, "")
	refused := func(r flashgate.SaleRemoval, when string) {
		t.Helper()
		for i, what := range []string{"an order", "another order", "a cancelled order", "a dead letter"} {
			r.Buyers = nil
			for _, one := range slices.Delete(slices.Clone(rs), i, i+1) {
				r.Buyers = append(r.Buyers, one.User)
			}
			wantCode(t, f.Remover.RemoveSale(t.Context(), r), flashgate.CodeForbidden, when+": "+what+" of somebody else")
			wantKept(t, f, sale.ID, rs, when+": "+what+" of somebody else")
		}
	}
	refused(flashgate.SaleRemoval{Sale: sale.ID}, "open")
	refused(closed(t, f, sale.ID, nil), "closed")
}

func removalUnknown(t *testing.T, f RemovalFixture) {
	remove(t, f, flashgate.SaleRemoval{Sale: newSale(1, 1).ID})
}

// removalLateMessage: what is decided after its sale is gone becomes a dead letter, and
// the next removal takes it away.
func removalLateMessage(t *testing.T, f RemovalFixture) {
	sale, rs := bought(t, f, "")
	r := closed(t, f, sale.ID, rs)
	remove(t, f, r)
	for i, d := range decide(t, f.Database, sale.ID, unpaid, rs[:2]...) {
		if !d.DeadLettered || d.Reason != flashgate.ReasonNoSale {
			t.Errorf("decision %d is %+v, want a dead letter of an unknown sale", i, d)
		}
	}
	other := r
	other.Buyers = r.Buyers[1:]
	wantCode(t, f.Remover.RemoveSale(t.Context(), other), flashgate.CodeForbidden, "a late message of somebody else")
	if o := readOrder(t, f.Database, rs[0].Order); o.Status != flashgate.StatusDeadLettered {
		t.Errorf("somebody else's late message is %s", o.Status)
	}
	remove(t, f, r)
	wantRemoved(t, f, sale.ID, rs, "removed again")
}

// removalUndecided: what is held, or in the queue, has its sale.
func removalUndecided(t *testing.T, f RemovalFixture) {
	sale := newSale(10, 1)
	f.Sale(t, sale)
	rs := reservations(sale.ID, 2)
	hold(t, f.Stock, sale.ID, rs...)
	r := closed(t, f, sale.ID, rs)
	wantCode(t, f.Remover.RemoveSale(t.Context(), r), flashgate.CodeWrongState, "something is held")
	place(t, f.Database, sale.ID, unpaid, rs...)
	s := readSale(t, f.Sales, sale.ID)
	r.At.Applied = s.Seq
	wantCode(t, f.Remover.RemoveSale(t.Context(), r), flashgate.CodeWrongState, "its message is in the queue")
	wantView(t, f.Stock, sale.ID, 8, 0, "refused")
	f.Settle(t)
	remove(t, f, r)
	wantRemoved(t, f, sale.ID, rs, "settled")
}

// removalGate: the gate forgets the sale, also what is held for a dead letter.
func removalGate(t *testing.T, f RemovalFixture) {
	sale := newSale(10, 1)
	f.Sale(t, sale)
	rs := reservations(sale.ID, 3)
	hold(t, f.Stock, sale.ID, rs...)
	deadLetter(t, f.Database, rs[2])
	f.Settle(t)
	remove(t, f, closed(t, f, sale.ID, rs))
	_, err := f.Stock.View(t.Context(), sale.ID)
	wantCode(t, err, flashgate.CodeNotFound, "View")
	for _, r := range rs {
		wantHeld(t, f.Stock, r, false, "removed")
		refuse(t, f.Stock, flashgate.OutcomeClosed, r, "removed")
	}
	f.Sale(t, sale)
	hold(t, f.Stock, sale.ID, reservation(sale.ID, rs[0].User, 1))
	wantView(t, f.Stock, sale.ID, 9, 1, "made anew")
}

// GateRemoval is the suite of flashgate.GateRemover.
func GateRemoval(t *testing.T, open func(t *testing.T) (GateFixture, flashgate.GateRemover)) {
	type fixture struct {
		GateFixture
		flashgate.GateRemover
	}
	run(t, func(t *testing.T) fixture { f, r := open(t); return fixture{f, r} }, []testCase[fixture]{
		{name: "Remove", run: func(t *testing.T, f fixture) { gateRemove(t, f.GateFixture, f.GateRemover) }},
		{name: "Open", run: func(t *testing.T, f fixture) { gateRemoveOpen(t, f.GateFixture, f.GateRemover) }},
		{name: "LateOpening", run: func(t *testing.T, f fixture) { gateRemoveLateOpening(t, f.GateFixture, f.GateRemover) }},
	})
}

// over is a gate whose window is over, with an order that was placed and one that is held.
func over(t testing.TB, f GateFixture) (flashgate.Sale, []flashgate.Reservation) {
	t.Helper()
	sale := openGate(t, f, 10, 1)
	rs := reservations(sale.ID, 2)
	hold(t, f.Stock, sale.ID, rs...)
	end := entry(sale.ID, 2, flashgate.Change{Kind: flashgate.ChangeWindow})
	end.Starts, end.Ends = now().Add(-2*time.Hour), now().Add(-time.Hour)
	apply(t, f, sale.ID, 2, entry(sale.ID, 1, changeOf(flashgate.ChangePlaced, rs[0])), end)
	return sale, rs
}

func removeGate(t testing.TB, r flashgate.GateRemover, sale flashgate.SaleID) {
	t.Helper()
	if err := r.RemoveGate(t.Context(), sale); err != nil {
		t.Fatalf("RemoveGate: %v", err)
	}
}

func gateRemove(t *testing.T, f GateFixture, r flashgate.GateRemover) {
	sale, rs := over(t, f)
	for range 2 {
		removeGate(t, r, sale.ID)
		for _, one := range rs {
			wantHeld(t, f.Stock, one, false, "removed")
			refuse(t, f.Stock, flashgate.OutcomeClosed, one, "removed")
		}
	}
	removeGate(t, r, newSale(1, 1).ID)
	// A sale of the same id begins anew, in a later epoch than the one that was removed.
	opened, err := f.Opener.Open(t.Context(), incarnation(t, f, sale.ID), snapshotOf(sale, 2, 0, 10))
	if err != nil || opened.Free != 10 || opened.Held != 0 {
		t.Fatalf("made anew: %+v, %v", opened, err)
	}
	hold(t, f.Stock, sale.ID, rs...)
}

func gateRemoveOpen(t *testing.T, f GateFixture, r flashgate.GateRemover) {
	sale := openGate(t, f, 10, 1)
	one := reservation(sale.ID, newUser(), 1)
	hold(t, f.Stock, sale.ID, one)
	wantCode(t, r.RemoveGate(t.Context(), sale.ID), flashgate.CodeWrongState, "a gate that sells")
	wantHeld(t, f.Stock, one, true, "refused")
}

// gateRemoveLateOpening: a worker that read its snapshot before the sale was removed
// cannot bring the gate back.
func gateRemoveLateOpening(t *testing.T, f GateFixture, r flashgate.GateRemover) {
	sale, rs := over(t, f)
	removeGate(t, r, sale.ID)
	_, err := f.Opener.Open(t.Context(), incarnation(t, f, sale.ID), snapshotOf(sale, 1, 2, 9))
	wantCode(t, err, flashgate.CodeWrongState, "an opening from before")
	refuse(t, f.Stock, flashgate.OutcomeClosed, rs[0], "after it")
}
