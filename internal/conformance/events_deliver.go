package conformance

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"flashgate"
)

func eventsDeliverAtMost(t *testing.T, f EventsFixture) {
	if n, err := f.Events.Deliver(t.Context(), 3, func(context.Context, []flashgate.Event) error {
		t.Error("send was called without events")
		return nil
	}); n != 0 || err != nil {
		t.Errorf("Deliver of nothing: %d, %v", n, err)
	}
	sale := newSale(100, 1)
	f.Sale(t, sale)
	rs := reservations(sale.ID, 7)
	place(t, f.Database, sale.ID, unpaid, rs[:4]...)
	for _, r := range rs[4:] {
		place(t, f.Database, sale.ID, unpaid, r)
	}
	var last uint64
	var got []flashgate.OrderID
	for _, n := range []int{3, 3, 1, 0} {
		es := deliver(t, f, 3)
		if len(es) != n {
			t.Fatalf("Deliver gives %d, want %d", len(es), n)
		}
		for _, e := range es {
			if e.ID <= last {
				t.Errorf("event %d comes after event %d", e.ID, last)
			}
			last = e.ID
			got = append(got, e.Order)
		}
	}
	if !slices.Equal(got, ids(rs)) {
		t.Errorf("the events are of %v, want %v", got, ids(rs))
	}
}

// eventsSendFails: they stay, with the numbers that they have.
func eventsSendFails(t *testing.T, f EventsFixture) {
	sale := newSale(100, 1)
	f.Sale(t, sale)
	place(t, f.Database, sale.ID, unpaid, reservations(sale.ID, 5)...)
	away := errors.New("the broker is away")
	var first []flashgate.Event
	for range 3 {
		var got []flashgate.Event
		n, err := f.Events.Deliver(t.Context(), 3, func(_ context.Context, es []flashgate.Event) error {
			got = append(got, es...)
			return away
		})
		if n != 0 || err == nil {
			t.Errorf("Deliver says %d, %v after a send that failed", n, err)
		}
		if first == nil {
			first = got
		}
		if len(got) != 3 || !slices.Equal(got, first) {
			t.Errorf("the events are %+v, and were %+v", got, first)
		}
	}
	got := drain(t, f)
	if len(got) != 5 || !slices.Equal(got[:3], first) {
		t.Errorf("in the end the events are %+v, want 5 that begin with %+v", got, first)
	}
}

// eventsWhileSending: what one caller is sending no other is given, and orders are
// decided meanwhile.
func eventsWhileSending(t *testing.T, f EventsFixture) {
	sale := newSale(100, 1)
	f.Sale(t, sale)
	place(t, f.Database, sale.ID, unpaid, reservations(sale.ID, 10)...)
	more := reservations(sale.ID, 2)
	var mu sync.Mutex
	times := map[uint64]int{}
	note := func(es []flashgate.Event) {
		mu.Lock()
		defer mu.Unlock()
		for _, e := range es {
			times[e.ID]++
		}
	}
	var others sync.WaitGroup
	n, err := f.Events.Deliver(t.Context(), 4, func(ctx context.Context, es []flashgate.Event) error {
		note(es)
		place(t, f.Database, sale.ID, unpaid, more...)
		for range 3 {
			others.Go(func() {
				// A backend may let them wait for the first one, so nobody waits for them
				// in here.
				if _, err := f.Events.Deliver(t.Context(), 4, func(_ context.Context, es []flashgate.Event) error { note(es); return nil }); err != nil {
					t.Errorf("Deliver: %v", err)
				}
			})
		}
		elapse(t, 200*time.Millisecond)
		return nil
	})
	if n != 4 || err != nil {
		t.Errorf("Deliver: %d, %v", n, err)
	}
	others.Wait()
	note(drain(t, f))
	if len(times) != 12 {
		t.Errorf("%d events were sent, want 12", len(times))
	}
	for id, n := range times {
		if n != 1 {
			t.Errorf("event %d was sent %d times", id, n)
		}
	}
}

// eventsConcurrent: many writers, many callers, each event once.
func eventsConcurrent(t *testing.T, f EventsFixture) {
	const n = 60
	sale := newSale(n, 1)
	f.Sale(t, sale)
	rs := reservations(sale.ID, n)
	place(t, f.Database, sale.ID, unpaid, rs[:n/2]...)
	var mu sync.Mutex
	times := map[flashgate.OrderID]int{}
	note := func(_ context.Context, es []flashgate.Event) error {
		mu.Lock()
		defer mu.Unlock()
		for _, e := range es {
			if e.Kind == flashgate.EventPlaced {
				times[e.Order]++
			}
		}
		return nil
	}
	concurrently(10, func(i int) {
		if i >= 6 {
			for r := range slices.Chunk(rs[n/2:], 2) {
				if _, err := f.Ledger.Decide(t.Context(), sale.ID, r, unpaid); err != nil {
					t.Errorf("Decide: %v", err)
				}
			}
			return
		}
		for range n / 5 {
			if _, err := f.Events.Deliver(t.Context(), 3, note); err != nil {
				t.Errorf("Deliver: %v", err)
			}
		}
	})
	_ = note(t.Context(), drain(t, f))
	for _, r := range rs {
		if times[r.Order] != 1 {
			t.Errorf("the event of an order was sent %d times", times[r.Order])
		}
	}
}

// eventsCancelledContext: no row without its event, and no event without its row.
func eventsCancelledContext(t *testing.T, f EventsFixture) {
	sale := newSale(10, 1)
	f.Sale(t, sale)
	rs := reservations(sale.ID, 3)
	_, err := f.Ledger.Decide(cancelled(t), sale.ID, rs, unpaid)
	wantCode(t, err, flashgate.CodeUnavailable, "Decide with a context that has ended")
	_, err = f.Events.Deliver(cancelled(t), 10, func(context.Context, []flashgate.Event) error { return nil })
	wantCode(t, err, flashgate.CodeUnavailable, "Deliver with a context that has ended")
	place := len(drain(t, f))
	if live := wantDatabaseSum(t, f.Database, sale.ID, rs); live != place {
		t.Errorf("%d live orders and %d events", live, place)
	}
}

// eventsCrash: what was delivered stays away, what was not comes, and no number comes
// again.
func eventsCrash(t *testing.T, f EventsFixture) {
	sale := newSale(10, 1)
	f.Sale(t, sale)
	rs := reservations(sale.ID, 4)
	place(t, f.Database, sale.ID, unpaid, rs[:3]...)
	sent := deliver(t, f, 2)
	f = f.Reopen(t)
	left := drain(t, f)
	if len(left) != 1 || left[0].Order != rs[2].Order || left[0].ID <= sent[1].ID {
		t.Errorf("after the crash the events are %+v, want that of %s", left, rs[2].Order)
	}
	f = f.Reopen(t)
	place(t, f.Database, sale.ID, unpaid, rs[3])
	if got := drain(t, f); len(got) != 1 || len(left) == 1 && got[0].ID <= left[0].ID {
		t.Errorf("the next events are %+v, after %+v", got, left)
	}
}
