package conformance

import (
	"testing"
	"time"

	"flashgate"
)

func waiting(t testing.TB, f GateFixture, sale flashgate.SaleID, age time.Duration, n int) map[flashgate.OrderID]flashgate.Reservation {
	t.Helper()
	rs, err := f.Opener.Waiting(t.Context(), sale, age, n)
	if err != nil {
		t.Fatalf("Waiting: %v", err)
	}
	out := map[flashgate.OrderID]flashgate.Reservation{}
	for _, r := range rs {
		out[r.Order] = r
	}
	if len(out) != len(rs) || len(rs) > n {
		t.Fatalf("Waiting of at most %d gave %d, %d different ones", n, len(rs), len(out))
	}
	return out
}

func requeue(t testing.TB, f GateFixture, sale flashgate.SaleID, rs ...flashgate.Reservation) {
	t.Helper()
	if err := f.Opener.Requeue(t.Context(), sale, ids(rs)); err != nil {
		t.Fatalf("Requeue: %v", err)
	}
}

// openerWaiting: what is held and neither in the outbox nor decided.
func openerWaiting(t *testing.T, f GateFixture) {
	sale := openGate(t, f, 10, 1)
	rs := reservations(sale.ID, 4)
	hold(t, f.Stock, sale.ID, rs[0])
	leaseAll(t, f, sale.ID, time.Hour, 1)
	hold(t, f.Stock, sale.ID, rs[1:]...)
	elapse(t, 10*time.Millisecond)
	if got := waiting(t, f, sale.ID, 0, 10); len(got) != 0 {
		t.Errorf("%d wait, and all are in the outbox or leased", len(got))
	}
	published(t, f, sale.ID, rs[1], rs[2])
	if got := waiting(t, f, sale.ID, time.Hour, 10); len(got) != 0 {
		t.Errorf("%d have waited for more than an hour", len(got))
	}
	if got := waiting(t, f, sale.ID, time.Millisecond, 10); len(got) != 2 || got[rs[1].Order] != rs[1] || got[rs[2].Order] != rs[2] {
		t.Errorf("%d wait, want the two that were published: %+v", len(got), got)
	}
	if got := waiting(t, f, sale.ID, time.Millisecond, 1); len(got) != 1 {
		t.Errorf("at most one gave %d", len(got))
	}
	apply(t, f, sale.ID, 1, entry(sale.ID, 1, changeOf(flashgate.ChangePlaced, rs[1])))
	if got := waiting(t, f, sale.ID, time.Millisecond, 10); len(got) != 1 || got[rs[2].Order] != rs[2] {
		t.Errorf("%d wait, want the one that is not decided", len(got))
	}
}

func openerWaitingMany(t *testing.T, f GateFixture) {
	const n = 3000
	sale := openGate(t, f, n, 1)
	rs := reservations(sale.ID, n)
	hold(t, f.Stock, sale.ID, rs...)
	published(t, f, sale.ID, rs[:n-100]...)
	elapse(t, 5*time.Millisecond)
	got := waiting(t, f, sale.ID, time.Millisecond, n)
	if len(got) != n-100 {
		t.Errorf("%d wait, want %d", len(got), n-100)
	}
	for _, r := range rs[:n-100] {
		if got[r.Order] != r {
			t.Fatalf("%+v does not wait", r)
		}
	}
	if got := waiting(t, f, sale.ID, time.Millisecond, 700); len(got) != 700 {
		t.Errorf("at most 700 gave %d", len(got))
	}
}

func openerRequeue(t *testing.T, f GateFixture) {
	sale := openGate(t, f, 10, 1)
	rs := reservations(sale.ID, 3)
	unknown := reservation(sale.ID, newUser(), 1)
	hold(t, f.Stock, sale.ID, rs[0])
	leaseAll(t, f, sale.ID, time.Hour, 1)
	hold(t, f.Stock, sale.ID, rs[1:]...)
	published(t, f, sale.ID, rs[1:]...)
	const age = 300 * time.Millisecond
	elapse(t, age)
	begun := time.Now()
	for range 2 {
		requeue(t, f, sale.ID, rs[0], rs[1], unknown, rs[1]) // what is leased stays so
		wantView(t, f.Stock, sale.ID, 7, 3, "requeued")
		refuse(t, f.Stock, flashgate.OutcomePublish, rs[1], "requeued")
		refuse(t, f.Stock, flashgate.OutcomeAccepted, rs[2], "not requeued")
	}
	if got := waiting(t, f, sale.ID, time.Millisecond, 10); len(got) != 1 || got[rs[2].Order] != rs[2] {
		t.Errorf("%d wait, want the one that was not requeued", len(got))
	}
	wantHeld(t, f.Stock, rs[1], true, "requeued")
	wantHeld(t, f.Stock, unknown, false, "never reserved")
	// It has entered the outbox anew.
	var got []flashgate.Reservation
	eventually(t, "what was requeued is leased", func() bool {
		more, err := f.Outbox.Lease(t.Context(), sale.ID, age, time.Minute, 10)
		if err != nil {
			t.Fatalf("Lease: %v", err)
		}
		got = append(got, more...)
		return len(got) > 0
	})
	if since := time.Since(begun); since < age-50*time.Millisecond {
		t.Errorf("leased %v after it was requeued, with an age of %v", since, age)
	}
	if len(got) != 1 || got[0] != rs[1] {
		t.Errorf("leased %+v, want the one that was requeued", got)
	}
}

// openerRestartCloses: in another life of the server the sale is closed for every
// verb, until it is opened.
func openerRestartCloses(t *testing.T, f GateFixture) {
	sale := newSale(10, 1)
	reopen(t, f, snapshotOf(sale, 2, 0, 10), flashgate.Opened{Free: 10})
	rs := reservations(sale.ID, 2)
	hold(t, f.Stock, sale.ID, rs...)
	published(t, f, sale.ID, rs[0])
	before := incarnation(t, f, sale.ID)
	f.Restart(t)
	now := incarnation(t, f, sale.ID)
	if now == before {
		t.Fatal("the incarnation is the same after a restart")
	}
	wantClosed(t, f, sale.ID, rs[0], "after the restart")
	if v := view(t, f.Stock, sale.ID); v.Open || v.Epoch != 2 {
		t.Errorf("after the restart the view is %+v, want it closed in epoch 2", v)
	}
	wantHeld(t, f.Stock, rs[0], true, "after the restart")
	for name, c := range map[string]struct {
		epoch       uint64
		incarnation string
	}{"the old incarnation": {3, before}, "the old epoch": {2, now}} {
		_, err := f.Opener.Open(t.Context(), c.incarnation, snapshotOf(sale, c.epoch, 0, 10))
		wantCode(t, err, flashgate.CodeWrongState, name)
		wantClosed(t, f, sale.ID, rs[0], name)
	}
	s := snapshotOf(sale, 3, 1, 9)
	s.Orders = []flashgate.SnapshotOrder{rowOf(rs[0], true)}
	reopen(t, f, s, flashgate.Opened{Free: 8, Held: 1, Requeued: 1})
	refuse(t, f.Stock, flashgate.OutcomeAccepted, rs[0], "decided meanwhile")
	refuse(t, f.Stock, flashgate.OutcomePublish, rs[1], "not decided")
	hold(t, f.Stock, sale.ID, reservation(sale.ID, newUser(), 1))
}

// openerRestartDuringOpening: what was read before the restart opens nothing after it.
func openerRestartDuringOpening(t *testing.T, f GateFixture) {
	sale := newSale(10, 1)
	before := incarnation(t, f, sale.ID)
	f.Restart(t)
	_, err := f.Opener.Open(t.Context(), before, snapshotOf(sale, 2, 0, 10))
	wantCode(t, err, flashgate.CodeWrongState, "the incarnation before the restart")
	_, err = f.Stock.View(t.Context(), sale.ID)
	wantCode(t, err, flashgate.CodeNotFound, "View after it")
	reopen(t, f, snapshotOf(sale, 2, 0, 10), flashgate.Opened{Free: 10})
}

// openerRestartKeepsHeld: several restarts in a row, before anybody opens the sale,
// neither lose nor double what is held.
func openerRestartKeepsHeld(t *testing.T, f GateFixture) {
	sale := newSale(10, 3)
	reopen(t, f, snapshotOf(sale, 2, 0, 10), flashgate.Opened{Free: 10})
	r := reservation(sale.ID, newUser(), 2)
	hold(t, f.Stock, sale.ID, r)
	for range 2 {
		f.Restart(t)
	}
	for epoch := uint64(3); epoch < 5; epoch++ {
		reopen(t, f, snapshotOf(sale, epoch, 0, 10), flashgate.Opened{Free: 8, Held: 2, Requeued: 1})
	}
	out := reserve(t, f.Stock, sale.ID, reservation(sale.ID, r.User, 2), reservation(sale.ID, r.User, 1))
	if out[0].Outcome != flashgate.OutcomeAlreadyBought || out[0].Prior != r.Order || !held(out[1].Outcome) {
		t.Errorf("the share after the restarts: %+v", out)
	}
}
