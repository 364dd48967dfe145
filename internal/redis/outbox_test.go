package redis_test

import (
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/servers/serverstest"
)

// TestLeaseKeepsTheAge: what comes back from a lease is as old as it was.
func TestLeaseKeepsTheAge(t *testing.T) {
	t.Parallel()
	url := serverstest.Redis(t).URL()
	s, raw := newStore(t, url), rawClient(t, url)
	sale := newSale(10, 1)
	openSale(t, s, sale)
	rs := reservations(sale.ID, 3)
	wantOutcome(t, s, flashgate.OutcomePublish, "new", rs...)
	now := time.Now()
	for i, r := range rs {
		entered(t, raw, r, now.Add(time.Duration(i-10)*time.Hour))
	}
	// Each lease ends at once, and the oldest comes again.
	for range 3 {
		leased, err := s.Lease(t.Context(), sale.ID, 9*time.Hour+time.Minute, time.Microsecond, 1)
		if err != nil || len(leased) != 1 || leased[0] != rs[0] {
			t.Errorf("leased %+v, %v; want the oldest", leased, err)
		}
	}
	leased, err := s.Lease(t.Context(), sale.ID, 8*time.Hour+time.Minute, time.Hour, 10)
	if err != nil || len(leased) != 2 || leased[0] != rs[0] || leased[1] != rs[1] {
		t.Errorf("leased %+v, %v; want the two oldest", leased, err)
	}
	wantOutbox(t, s, sale.ID, 1, "two are leased")
	for _, most := range []int{0, -1} {
		if leased, err := s.Lease(t.Context(), sale.ID, 0, time.Hour, most); err != nil || len(leased) != 0 {
			t.Errorf("at most %d: %d leased, %v", most, len(leased), err)
		}
	}
}

// TestRequeueBeginsAnew: the age counts from there, in the outbox and after it.
func TestRequeueBeginsAnew(t *testing.T) {
	t.Parallel()
	url := serverstest.Redis(t).URL()
	s, raw := newStore(t, url), rawClient(t, url)
	sale := newSale(10, 1)
	openSale(t, s, sale)
	r := reservation(sale.ID, newUser(), 1)
	wantOutcome(t, s, flashgate.OutcomePublish, "new", r)
	ids := idsOf([]flashgate.Reservation{r})
	if err := s.Published(t.Context(), sale.ID, ids); err != nil {
		t.Fatal(err)
	}
	entered(t, raw, r, time.Now().Add(-time.Hour))
	wantWaiting := func(n int, when string) {
		t.Helper()
		if rs, err := s.Waiting(t.Context(), sale.ID, 30*time.Minute, 10); err != nil || len(rs) != n {
			t.Errorf("%s: %+v waits for half an hour, %v; want %d", when, rs, err, n)
		}
	}
	wantWaiting(1, "an hour later")
	if err := s.Requeue(t.Context(), sale.ID, ids); err != nil {
		t.Fatal(err)
	}
	wantWaiting(0, "requeued")
	if rs, err := s.Lease(t.Context(), sale.ID, 30*time.Minute, time.Microsecond, 10); err != nil || len(rs) != 0 {
		t.Errorf("leased %+v, %v", rs, err)
	}
	wantOutbox(t, s, sale.ID, 1, "requeued")
	if rs, err := s.Lease(t.Context(), sale.ID, 30*time.Minute, time.Microsecond, 10); err != nil || len(rs) != 0 {
		t.Errorf("leased %+v, %v, back from a lease", rs, err)
	}
	if err := s.Published(t.Context(), sale.ID, ids); err != nil {
		t.Fatal(err)
	}
	wantWaiting(0, "published again")
}

// TestLeaseALostReply: the first lease is nobody's and ends by itself.
func TestLeaseALostReply(t *testing.T) {
	t.Parallel()
	p := newProxy(t, serverstest.Redis(t).Addr())
	s := newStore(t, p.URL())
	sale := newSale(10, 1)
	openSale(t, s, sale)
	wantOutbox(t, s, sale.ID, 0, "so that the server has the script")
	rs := reservations(sale.ID, 5)
	wantOutcome(t, s, flashgate.OutcomePublish, "new", rs...)
	p.CutReply("evalsha")
	const lease = 200 * time.Millisecond
	first, err := s.Lease(t.Context(), sale.ID, 0, lease, 3)
	if err != nil {
		t.Fatal(err)
	}
	got := map[flashgate.OrderID]bool{}
	for _, r := range first {
		got[r.Order] = true
	}
	eventually(t, "all are leased", func() bool {
		more, err := s.Lease(t.Context(), sale.ID, 0, time.Hour, 10)
		for _, r := range more {
			got[r.Order] = true
		}
		return err == nil && len(got) == len(rs)
	})
}
