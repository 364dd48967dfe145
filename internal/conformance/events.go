package conformance

import (
	"context"
	"slices"
	"testing"
	"time"

	"flashgate"
)

// EventsFixture is what Events runs on: a database of its own, because whoever
// delivers takes the events of all sales.
type EventsFixture struct {
	Database
	Events flashgate.EventStore
	// Reopen is as in DatabaseFixture.
	Reopen func(t testing.TB) EventsFixture
}

// Events is the suite of flashgate.EventStore: what each transaction leaves in the
// outbox of events, and how they leave it.
func Events(t *testing.T, open func(t *testing.T) EventsFixture) {
	run(t, open, []testCase[EventsFixture]{
		{name: "Decided", run: eventsDecided},
		{name: "Paid", run: eventsPaid},
		{name: "Cancelled", run: eventsCancelled},
		{name: "SoldOut", run: eventsSoldOut},
		{name: "Restocked", run: eventsRestocked},
		{name: "DeadLetters", run: eventsDeadLetters},
		{name: "Repeats", run: eventsRepeats},
		{name: "DeliverAtMost", run: eventsDeliverAtMost},
		{name: "SendFails", run: eventsSendFails},
		{name: "WhileSending", run: eventsWhileSending},
		{name: "Concurrent", run: eventsConcurrent},
		{name: "CancelledContext", run: eventsCancelledContext},
		{name: "Crash", run: eventsCrash, needs: func(f EventsFixture) bool { return f.Reopen != nil }},
	})
}

// deliver makes one call whose send takes everything, and returns what it was given.
func deliver(t testing.TB, f EventsFixture, limit int) (got []flashgate.Event) {
	t.Helper()
	n, err := f.Events.Deliver(t.Context(), limit, func(_ context.Context, es []flashgate.Event) error {
		got = append(got, es...)
		return nil
	})
	if err != nil || n != len(got) || n > limit {
		t.Fatalf("Deliver of at most %d says %d, %v, and sent %d", limit, n, err, len(got))
	}
	return got
}

// drain delivers until nothing is left and checks what holds of all events.
func drain(t testing.TB, f EventsFixture) (all []flashgate.Event) {
	t.Helper()
	for {
		got := deliver(t, f, 100)
		if len(got) == 0 {
			return all
		}
		for _, e := range got {
			if e.ID == 0 || len(all) > 0 && e.ID <= all[len(all)-1].ID {
				t.Errorf("event %d does not come by number: %+v", len(all), e)
			}
			if time.Since(e.At).Abs() > time.Minute {
				t.Errorf("an event is of %v", e.At)
			}
			all = append(all, e)
		}
	}
}

// eventOf is an event but for its number and time.
func eventOf(kind flashgate.EventKind, seq uint64, r flashgate.Reservation) flashgate.Event {
	return flashgate.Event{Kind: kind, Sale: r.Order.Sale(), Order: r.Order, User: r.User, Units: int64(r.Units), Seq: seq}
}

// wantEvents drains and compares.
func wantEvents(t testing.TB, f EventsFixture, what string, want ...flashgate.Event) {
	t.Helper()
	got := drain(t, f)
	for i := range got {
		got[i].ID, got[i].At = 0, time.Time{}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s leaves events\n%+v, want\n%+v", what, got, want)
	}
}

func eventsDecided(t *testing.T, f EventsFixture) {
	sale := newSale(10, 2)
	f.Sale(t, sale)
	wantEvents(t, f, "a new sale")
	a, b := reservation(sale.ID, newUser(), 2), reservation(sale.ID, newUser(), 1)
	over := reservation(sale.ID, a.User, 1)
	decide(t, f.Database, sale.ID, unpaid, a, over, b)
	wantEvents(t, f, "a batch", eventOf(flashgate.EventPlaced, 1, a), eventOf(flashgate.EventRejected, 1, over), eventOf(flashgate.EventPlaced, 1, b))
	c := reservation(sale.ID, newUser(), 1)
	decide(t, f.Database, sale.ID, unpaid, c)
	wantEvents(t, f, "the next batch", eventOf(flashgate.EventPlaced, 2, c))
}

func eventsPaid(t *testing.T, f EventsFixture) {
	sale := newSale(10, 2)
	f.Sale(t, sale)
	r := reservation(sale.ID, newUser(), 2)
	place(t, f.Database, sale.ID, unpaid, r)
	place(t, f.Database, sale.ID, unpaid, reservation(sale.ID, newUser(), 1))
	drain(t, f)
	pay(t, f.Database, r)
	// Paying changes nothing of the sale, so its number is that of the last change.
	wantEvents(t, f, "a payment", eventOf(flashgate.EventPaid, 2, r))
}

func eventsCancelled(t *testing.T, f EventsFixture) {
	sale := newSale(10, 2)
	f.Sale(t, sale)
	gone, late := reservation(sale.ID, newUser(), 2), reservation(sale.ID, newUser(), 1)
	place(t, f.Database, sale.ID, unpaid, gone)
	place(t, f.Database, sale.ID, time.Millisecond, late)
	drain(t, f)
	expire(t, f.Database, late.Order)
	wantEvents(t, f, "an expiry", eventOf(flashgate.EventCancelled, 3, late))
	cancel(t, f.Database, gone)
	wantEvents(t, f, "a cancellation", eventOf(flashgate.EventCancelled, 4, gone))
}

// eventsSoldOut: each time that the last unit goes, and no more often.
func eventsSoldOut(t *testing.T, f EventsFixture) {
	sale := newSale(2, 1)
	f.Sale(t, sale)
	soldOut := func(seq uint64) flashgate.Event {
		return flashgate.Event{Kind: flashgate.EventSoldOut, Sale: sale.ID, Seq: seq}
	}
	rs := reservations(sale.ID, 5)
	decide(t, f.Database, sale.ID, unpaid, rs[0])
	wantEvents(t, f, "the last unit but one", eventOf(flashgate.EventPlaced, 1, rs[0]))
	decide(t, f.Database, sale.ID, unpaid, rs[1], rs[2])
	got := drain(t, f)
	var kinds []flashgate.EventKind
	for _, e := range got {
		kinds = append(kinds, e.Kind)
		if e.Kind == flashgate.EventSoldOut {
			if e.ID, e.At = 0, (time.Time{}); e != soldOut(2) {
				t.Errorf("the event is %+v, want %+v", e, soldOut(2))
			}
		}
	}
	slices.Sort(kinds)
	if want := []flashgate.EventKind{flashgate.EventPlaced, flashgate.EventRejected, flashgate.EventSoldOut}; !slices.Equal(kinds, want) {
		t.Errorf("the last unit leaves %v, want %v", kinds, want)
	}
	decide(t, f.Database, sale.ID, unpaid, rs[3])
	wantEvents(t, f, "one more when all are gone", eventOf(flashgate.EventRejected, 3, rs[3]))
	cancel(t, f.Database, rs[0])
	wantEvents(t, f, "a cancellation", eventOf(flashgate.EventCancelled, 4, rs[0]))
	decide(t, f.Database, sale.ID, unpaid, rs[4])
	wantEvents(t, f, "the last unit again", eventOf(flashgate.EventPlaced, 5, rs[4]), soldOut(5))
}

func eventsRestocked(t *testing.T, f EventsFixture) {
	sale := newSale(2, 1)
	f.Sale(t, sale)
	ends := now().Add(2 * time.Hour)
	change := func(c flashgate.SaleChange) {
		t.Helper()
		if _, err := f.Sales.ChangeSale(t.Context(), sale.ID, c); err != nil {
			t.Fatalf("ChangeSale: %v", err)
		}
	}
	restocked := func(units int64, seq uint64) flashgate.Event {
		return flashgate.Event{Kind: flashgate.EventRestocked, Sale: sale.ID, Units: units, Seq: seq}
	}
	change(flashgate.SaleChange{Restock: 5})
	wantEvents(t, f, "a restock", restocked(5, 1))
	change(flashgate.SaleChange{Ends: &ends})
	wantEvents(t, f, "another end")
	change(flashgate.SaleChange{})
	wantEvents(t, f, "no change")
	seq := readSale(t, f.Sales, sale.ID).Seq
	change(flashgate.SaleChange{Restock: 1})
	wantEvents(t, f, "another restock", restocked(1, seq+1))
}

// eventsDeadLetters: a dead letter is nothing that happened to an order.
func eventsDeadLetters(t *testing.T, f EventsFixture) {
	sale := newSale(10, 3)
	f.Sale(t, sale)
	rs := reservations(sale.ID, 3)
	place(t, f.Database, sale.ID, unpaid, rs[0])
	drain(t, f)
	mismatch := rs[0]
	mismatch.Units = 2
	decide(t, f.Database, sale.ID, unpaid, mismatch)
	drop(t, f.Database, mismatch.Order)
	deadLetter(t, f.Database, rs[1])
	deadLetter(t, f.Database, rs[2])
	wantEvents(t, f, "a dead letter")
	replay(t, f.Database, rs[1].Order)
	wantEvents(t, f, "a replay", eventOf(flashgate.EventPlaced, 2, rs[1]))
	drop(t, f.Database, rs[2].Order)
	wantEvents(t, f, "a drop", eventOf(flashgate.EventRejected, 3, rs[2]))
}

// eventsRepeats: what changes nothing leaves nothing.
func eventsRepeats(t *testing.T, f EventsFixture) {
	sale := newSale(3, 1)
	f.Sale(t, sale)
	rs := reservations(sale.ID, 3)
	over := reservation(sale.ID, rs[0].User, 1)
	decide(t, f.Database, sale.ID, unpaid, append(rs, over)...)
	pay(t, f.Database, rs[0])
	cancel(t, f.Database, rs[1])
	drain(t, f)
	decide(t, f.Database, sale.ID, unpaid, append(rs, over)...)
	pay(t, f.Database, rs[0])
	cancel(t, f.Database, rs[1])
	if _, err := f.Orders.Pay(t.Context(), rs[1].Order, rs[1].User); err == nil {
		t.Error("a cancelled order was paid")
	}
	if _, err := f.Orders.Cancel(t.Context(), rs[0].Order, rs[0].User); err == nil {
		t.Error("a paid order was cancelled")
	}
	if _, _, err := f.Ledger.Expire(t.Context(), 100); err != nil {
		t.Fatalf("Expire: %v", err)
	}
	wantEvents(t, f, "a round of repeats")
}
