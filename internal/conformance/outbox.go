package conformance

import (
	"slices"
	"testing"
	"time"

	"flashgate"
)

// GateFixture is what Outbox, Applier and Opener run on: a gate alone, that follows a
// log.
type GateFixture struct {
	Stock   flashgate.Stock
	Outbox  flashgate.Outbox
	Applier flashgate.Applier
	Opener  flashgate.Opener // for the suite Opener alone

	// Open seeds the sale's gate: epoch 1, nothing applied, all units free.
	Open func(t testing.TB, s flashgate.Sale)

	// Close makes an open gate one that was opened in another life of its server, with
	// all that is in it. It does nothing to a sale without a gate.
	Close func(t testing.TB, sale flashgate.SaleID)

	// Reopen ends the adapter as a crash would and opens the same gate again; nil
	// when the fixture's gate does not outlive one.
	Reopen func(t testing.TB) GateFixture

	// Restart begins another life of the gate's server, which keeps its state as far
	// as it was durable; nil when the fixture's server cannot be restarted.
	Restart func(t testing.TB)
}

// Outbox is the suite of flashgate.Outbox.
func Outbox(t *testing.T, open func(t *testing.T) GateFixture) {
	run(t, open, []testCase[GateFixture]{
		{name: "Publish", run: outboxPublish},
		{name: "Published", run: outboxPublished},
		{name: "RefusedStaysOut", run: outboxRefusedStaysOut},
		{name: "LeaseAge", run: outboxLeaseAge},
		{name: "LeaseOrder", run: outboxLeaseOrder},
		{name: "LeaseEnds", run: outboxLeaseEnds},
		{name: "ConcurrentLease", run: outboxConcurrentLease},
		{name: "SalesApart", run: outboxSalesApart},
		{name: "Crash", run: outboxCrash, needs: func(f GateFixture) bool { return f.Reopen != nil }},
	})
}

// openGate opens a gate with units for n users of one unit each.
func openGate(t testing.TB, f GateFixture, units int64, perUser int) flashgate.Sale {
	t.Helper()
	sale := newSale(units, perUser)
	f.Open(t, sale)
	return sale
}

func published(t testing.TB, f GateFixture, sale flashgate.SaleID, rs ...flashgate.Reservation) {
	t.Helper()
	if err := f.Outbox.Published(t.Context(), sale, ids(rs)); err != nil {
		t.Fatalf("Published: %v", err)
	}
}

// lease leases what is older than a millisecond, at most n.
func lease(t testing.TB, f GateFixture, sale flashgate.SaleID, d time.Duration, n int) []flashgate.Reservation {
	t.Helper()
	rs, err := f.Outbox.Lease(t.Context(), sale, time.Millisecond, d, n)
	if err != nil {
		t.Fatalf("Lease: %v", err)
	}
	if len(rs) > n {
		t.Fatalf("Lease of at most %d gave %d", n, len(rs))
	}
	return rs
}

// leaseAll leases until there are n.
func leaseAll(t testing.TB, f GateFixture, sale flashgate.SaleID, d time.Duration, n int) []flashgate.Reservation {
	t.Helper()
	var all []flashgate.Reservation
	eventually(t, "what is in the outbox may be leased", func() bool {
		all = append(all, lease(t, f, sale, d, 100)...)
		return len(all) >= n
	})
	if len(all) != n {
		t.Errorf("%d were leased, want %d", len(all), n)
	}
	return all
}

func outboxPublish(t *testing.T, f GateFixture) {
	sale := openGate(t, f, 10, 1)
	r := reservation(sale.ID, newUser(), 1)
	for _, what := range []string{"new", "again, while it is in the outbox"} {
		refuse(t, f.Stock, flashgate.OutcomePublish, r, what)
		wantView(t, f.Stock, sale.ID, 9, 1, what)
	}
	both := reserve(t, f.Stock, sale.ID, reservation(sale.ID, newUser(), 1), r)
	if both[0].Outcome != flashgate.OutcomePublish || both[1].Outcome != flashgate.OutcomePublish {
		t.Errorf("a new one and a repeat: %+v", both)
	}
}

func outboxPublished(t *testing.T, f GateFixture) {
	sale := openGate(t, f, 10, 1)
	r, other := reservation(sale.ID, newUser(), 1), reservation(sale.ID, newUser(), 1)
	hold(t, f.Stock, sale.ID, r, other)
	unknown := reservation(sale.ID, newUser(), 1)
	for range 2 {
		published(t, f, sale.ID, r, unknown)
		refuse(t, f.Stock, flashgate.OutcomeAccepted, r, "published")
		refuse(t, f.Stock, flashgate.OutcomePublish, other, "not published")
		wantHeld(t, f.Stock, r, true, "published")
		wantHeld(t, f.Stock, unknown, false, "never reserved")
		wantView(t, f.Stock, sale.ID, 8, 2, "published")
	}
	if got := leaseAll(t, f, sale.ID, time.Minute, 1); len(got) == 1 && got[0] != other {
		t.Errorf("leased %+v, want the one that was not published", got[0])
	}
	// Publishing what is unknown does not make it known.
	refuse(t, f.Stock, flashgate.OutcomePublish, unknown, "new")
}

func outboxRefusedStaysOut(t *testing.T, f GateFixture) {
	sale := openGate(t, f, 1, 1)
	r := reservation(sale.ID, newUser(), 1)
	again, late := reservation(sale.ID, r.User, 1), reservation(sale.ID, newUser(), 1)
	out := reserve(t, f.Stock, sale.ID, r, again, late)
	if out[1].Outcome != flashgate.OutcomeAlreadyBought || out[2].Outcome != flashgate.OutcomeSoldOut {
		t.Fatalf("outcomes %+v", out)
	}
	if got := leaseAll(t, f, sale.ID, time.Minute, 1); len(got) == 1 && got[0] != r {
		t.Errorf("leased %+v, want %+v", got[0], r)
	}
}

// outboxLeaseAge: only what has been there for longer than age.
func outboxLeaseAge(t *testing.T, f GateFixture) {
	sale := openGate(t, f, 10, 1)
	hold(t, f.Stock, sale.ID, reservations(sale.ID, 3)...)
	begun := time.Now()
	const age = 300 * time.Millisecond
	n := 0
	eventually(t, "what is old enough is leased", func() bool {
		if rs, err := f.Outbox.Lease(t.Context(), sale.ID, time.Hour, time.Minute, 100); err != nil || len(rs) != 0 {
			t.Fatalf("Lease of what is older than an hour gave %d, error %v", len(rs), err)
		}
		rs, err := f.Outbox.Lease(t.Context(), sale.ID, age, time.Minute, 100)
		if err != nil {
			t.Fatalf("Lease: %v", err)
		}
		n += len(rs)
		return n == 3
	})
	if since := time.Since(begun); since < age-50*time.Millisecond {
		t.Errorf("leased after %v, with an age of %v", since, age)
	}
}

func outboxLeaseOrder(t *testing.T, f GateFixture) {
	sale := openGate(t, f, 100, 1)
	var want []flashgate.Reservation
	for range 3 {
		r := reservation(sale.ID, newUser(), 1)
		hold(t, f.Stock, sale.ID, r)
		want = append(want, r)
		elapse(t, 10*time.Millisecond) // so that each has another time
	}
	first := lease(t, f, sale.ID, time.Minute, 2)
	second := lease(t, f, sale.ID, time.Minute, 2)
	if !slices.Equal(first, want[:2]) || !slices.Equal(second, want[2:]) {
		t.Errorf("leased %d and %d, want the two oldest and then the third", len(first), len(second))
	}
	if third := lease(t, f, sale.ID, time.Minute, 2); len(third) != 0 {
		t.Errorf("%d were leased twice", len(third))
	}
	wantView(t, f.Stock, sale.ID, 97, 3, "leased")
	refuse(t, f.Stock, flashgate.OutcomePublish, want[0], "leased, not published")
}

// outboxLeaseEnds: what was not published within its lease is leased again.
func outboxLeaseEnds(t *testing.T, f GateFixture) {
	sale := openGate(t, f, 10, 1)
	rs := reservations(sale.ID, 2)
	hold(t, f.Stock, sale.ID, rs...)
	const d = 300 * time.Millisecond
	begun := time.Now()
	leaseAll(t, f, sale.ID, d, 2)
	published(t, f, sale.ID, rs[0])
	again := leaseAll(t, f, sale.ID, time.Minute, 1)
	if since := time.Since(begun); since < d-50*time.Millisecond {
		t.Errorf("leased again after %v, with a lease of %v", since, d)
	}
	if len(again) == 1 && again[0] != rs[1] {
		t.Error("what was published was leased again")
	}
	published(t, f, sale.ID, rs[1]) // also while it is leased
	refuse(t, f.Stock, flashgate.OutcomeAccepted, rs[1], "published under its lease")
}

func outboxConcurrentLease(t *testing.T, f GateFixture) {
	sale := openGate(t, f, 100, 1)
	rs := reservations(sale.ID, 60)
	hold(t, f.Stock, sale.ID, rs...)
	elapse(t, 10*time.Millisecond)
	var got [20][]flashgate.Reservation
	concurrently(len(got), func(i int) {
		var err error
		if got[i], err = f.Outbox.Lease(t.Context(), sale.ID, time.Millisecond, time.Minute, 10); err != nil {
			t.Errorf("Lease: %v", err)
		}
	})
	times := map[flashgate.OrderID]int{}
	for _, leased := range got {
		for _, r := range leased {
			times[r.Order]++
		}
	}
	for _, r := range rs {
		if times[r.Order] != 1 {
			t.Errorf("a reservation was leased %d times by concurrent calls, want once", times[r.Order])
		}
	}
}

func outboxSalesApart(t *testing.T, f GateFixture) {
	a, b := openGate(t, f, 10, 1), openGate(t, f, 10, 1)
	r := reservation(a.ID, newUser(), 1)
	hold(t, f.Stock, a.ID, r)
	elapse(t, 10*time.Millisecond)
	if rs := lease(t, f, b.ID, time.Minute, 10); len(rs) != 0 {
		t.Errorf("another sale's outbox gave %d", len(rs))
	}
	leaseAll(t, f, a.ID, time.Minute, 1)
}

// outboxCrash: what was not published is there to be leased.
func outboxCrash(t *testing.T, f GateFixture) {
	sale := openGate(t, f, 10, 1)
	rs := reservations(sale.ID, 3)
	hold(t, f.Stock, sale.ID, rs...)
	published(t, f, sale.ID, rs[1])
	f = f.Reopen(t)
	got := leaseAll(t, f, sale.ID, time.Minute, 2)
	for _, r := range got {
		if r != rs[0] && r != rs[2] {
			t.Errorf("leased %+v", r)
		}
	}
	refuse(t, f.Stock, flashgate.OutcomeAccepted, rs[1], "published before the crash")
	refuse(t, f.Stock, flashgate.OutcomePublish, rs[0], "not published before the crash")
	wantView(t, f.Stock, sale.ID, 7, 3, "after the crash")
}
