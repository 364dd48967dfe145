package redis_test

import (
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/redis"
	"flashgate/internal/servers/serverstest"
)

// wantBacklog compares the ages with hours, 0 for none, which the tests have set.
func wantBacklog(t *testing.T, got flashgate.Backlog, outbox int, oldestOutbox, oldestHeld float64, when string) {
	t.Helper()
	hours := func(at time.Time) float64 {
		if at.IsZero() {
			return 0
		}
		return got.Now.Sub(at).Round(time.Hour / 10).Hours()
	}
	if got.Outbox != outbox || hours(got.OldestOutbox) != oldestOutbox || hours(got.OldestHeld) != oldestHeld {
		t.Errorf("%s: %d in the outbox, the oldest for %v h, the oldest held for %v h; want %d, %v, %v",
			when, got.Outbox, hours(got.OldestOutbox), hours(got.OldestHeld), outbox, oldestOutbox, oldestHeld)
	}
}

// all follows the cursor to the end and returns what the oldest held one is.
func all(t *testing.T, s *redis.Store, sale flashgate.SaleID, except ...flashgate.OrderID) (first flashgate.Backlog, calls int) {
	t.Helper()
	cursor := ""
	for {
		b, err := s.Backlog(t.Context(), sale, cursor, except)
		if err != nil {
			t.Fatal(err)
		}
		if calls++; calls == 1 {
			first = b
		}
		if first.OldestHeld.IsZero() || !b.OldestHeld.IsZero() && b.OldestHeld.Before(first.OldestHeld) {
			first.OldestHeld = b.OldestHeld
		}
		if cursor = b.Next; cursor == "" {
			return first, calls
		}
	}
}

func TestBacklog(t *testing.T) {
	t.Parallel()
	url := serverstest.Redis(t).URL()
	s, raw := newStore(t, url), rawClient(t, url)
	sale := newSale(10, 1)
	if _, err := s.Backlog(t.Context(), sale.ID, "", nil); flashgate.ErrorCode(err) != flashgate.CodeSaleClosed {
		t.Errorf("of a closed sale: %v", err)
	}
	openSale(t, s, sale)
	got, _ := all(t, s, sale.ID)
	wantBacklog(t, got, 0, 0, 0, "empty")
	if d := time.Since(got.Now); d.Abs() > time.Minute {
		t.Errorf("the server's clock is %v away", d)
	}

	rs := reservations(sale.ID, 4)
	wantOutcome(t, s, flashgate.OutcomePublish, "new", rs...)
	now := time.Now()
	for i, r := range rs {
		entered(t, raw, r, now.Add(time.Duration(i-4)*time.Hour)) // 4, 3, 2 and 1 hours ago
	}
	got, _ = all(t, s, sale.ID)
	wantBacklog(t, got, 4, 4, 4, "all in the outbox")

	if leased, err := s.Lease(t.Context(), sale.ID, time.Minute, time.Hour, 2); err != nil || len(leased) != 2 {
		t.Fatal(leased, err)
	}
	got, _ = all(t, s, sale.ID)
	wantBacklog(t, got, 4, 4, 4, "two of them leased")

	ids := idsOf(rs)
	if err := s.Published(t.Context(), sale.ID, ids[:1]); err != nil {
		t.Fatal(err)
	}
	got, _ = all(t, s, sale.ID)
	wantBacklog(t, got, 3, 3, 4, "the oldest is published")
	got, _ = all(t, s, sale.ID, ids[0], ids[1])
	wantBacklog(t, got, 3, 3, 2, "the two oldest are dead letters")
	got, _ = all(t, s, sale.ID, ids...)
	wantBacklog(t, got, 3, 3, 0, "all are dead letters")

	if _, err := s.Backlog(t.Context(), sale.ID, "x", nil); flashgate.ErrorCode(err) != flashgate.CodeInvalid {
		t.Errorf("with a cursor that is none: %v", err)
	}
}

// A call looks at a part of what is held; the following ones find what it did not.
func TestBacklogInParts(t *testing.T) {
	t.Parallel()
	url := serverstest.Redis(t).URL()
	s, raw := newStore(t, url), rawClient(t, url)
	const units = 10_000
	sale := newSale(units, 1)
	openSale(t, s, sale)
	var held []flashgate.Reservation
	for range units / 1000 {
		rs := reservations(sale.ID, 1000)
		wantOutcome(t, s, flashgate.OutcomePublish, "new", rs...)
		held = append(held, rs...)
	}
	entered(t, raw, held[units/2], time.Now().Add(-3*time.Hour))
	begin := time.Now()
	got, calls := all(t, s, sale.ID)
	t.Logf("%d held: %d calls, %v", units, calls, time.Since(begin))
	wantBacklog(t, got, units, 3, 3, "many")
	if calls < 2 || calls > 4 {
		t.Errorf("%d calls for %d held", calls, units)
	}
}
