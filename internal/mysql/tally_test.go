package mysql_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/mysql"
	"flashgate/internal/servers/serverstest"
)

func tally(t *testing.T, s *mysql.Store) flashgate.Tally {
	t.Helper()
	got, err := s.Tally(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestTally(t *testing.T) {
	t.Parallel()
	dsn := serverstest.Database(t)
	s, db := openStore(t, dsn), plain(t, dsn)
	if got := tally(t, s); got.DeadLetters != 0 || got.Dead != nil || got.OverAccepted != 0 || got.AfterLoss != 0 || got.EventAge != 0 {
		t.Errorf("of nothing: %+v", got)
	}

	// One unit for two users, and a second order of the first: two are too many.
	sale := createSale(t, s, 2, 1)
	rs := reservations(sale, 4)
	rs[1].User = rs[0].User
	decide := func(rs ...flashgate.Reservation) {
		t.Helper()
		if _, err := s.Decide(t.Context(), sale, rs, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	decide(rs...)
	if got := tally(t, s); got.OverAccepted != 2 || got.AfterLoss != 0 {
		t.Errorf("in a sale that never lost its gate: %+v", got)
	}
	exec(t, db, "UPDATE sale SET epoch = 2 WHERE id = ?", sale) // its first opening
	decide(reservations(sale, 1)...)
	if got := tally(t, s); got.OverAccepted != 3 || got.AfterLoss != 0 {
		t.Errorf("in a sale that was opened: %+v", got)
	}
	exec(t, db, "UPDATE sale SET epoch = 3 WHERE id = ?", sale)
	decide(reservations(sale, 5)...)
	if got := tally(t, s); got.OverAccepted != 3 || got.AfterLoss != 5 {
		t.Errorf("in a sale that was opened again: %+v", got)
	}
	exec(t, db, "UPDATE orders SET expires = expires - ? WHERE status = 'rejected' AND id = ?", flashgate.TallySince.Milliseconds(), rs[1].Order)
	if got := tally(t, s); got.OverAccepted != 2 || got.AfterLoss != 5 {
		t.Errorf("one is of yesterday: %+v", got)
	}

	unknown := reservations("nowhere", 3)
	if _, err := s.Decide(t.Context(), "nowhere", unknown, time.Hour); err != nil {
		t.Fatal(err)
	}
	exec(t, db, "UPDATE dead_letter SET created = created - 1000 WHERE id = ?", unknown[1].Order)
	if got := tally(t, s); got.DeadLetters != 3 || len(got.Dead) != 3 || got.Dead[0] != unknown[1].Order {
		t.Errorf("with dead letters: %+v", got)
	}
	// Dropped by an operator: no over-acceptance.
	if err := s.Drop(t.Context(), unknown[0].Order); err != nil {
		t.Fatal(err)
	}
	if got := tally(t, s); got.DeadLetters != 2 || got.OverAccepted != 2 || got.AfterLoss != 5 {
		t.Errorf("after a drop: %+v", got)
	}
}

// The age of events is that of the oldest one, also while somebody is sending it.
func TestTallyOfEvents(t *testing.T) {
	t.Parallel()
	dsn := serverstest.Database(t)
	s, db := openStore(t, dsn), plain(t, dsn)
	sale := createSale(t, s, 10, 1)
	if _, err := s.Decide(t.Context(), sale, reservations(sale, 3), time.Hour); err != nil {
		t.Fatal(err)
	}
	if age := tally(t, s).EventAge; age <= 0 || age > time.Minute {
		t.Errorf("new events are %v old", age)
	}
	exec(t, db, "UPDATE event SET at = at - 7200000 ORDER BY id LIMIT 1")
	refused := errors.New("refused")
	_, err := s.Deliver(t.Context(), 10, func(context.Context, []flashgate.Event) error {
		if age := tally(t, s).EventAge.Round(time.Minute); age != 2*time.Hour {
			t.Errorf("the oldest event is %v old, want 2 h", age)
		}
		return refused
	})
	if !errors.Is(err, refused) {
		t.Fatal(err)
	}
	if _, err := s.Deliver(t.Context(), 10, func(context.Context, []flashgate.Event) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if age := tally(t, s).EventAge; age != 0 {
		t.Errorf("without events the oldest is %v old", age)
	}
}

// A worker tallies every other second: none of it may read a table from end to end.
func TestTallyByKey(t *testing.T) {
	t.Parallel()
	dsn := serverstest.Database(t)
	s, db := openStore(t, dsn), plain(t, dsn)
	sale := createSale(t, s, 400, 1)
	if _, err := s.Decide(t.Context(), sale, reservations(sale, 500), time.Hour); err != nil {
		t.Fatal(err)
	}
	exec(t, db, "ANALYZE TABLE orders, event, stock_log, dead_letter")
	for name, c := range map[string]struct {
		values []string
		want   string
	}{
		"tally_dead_ids":      {[]string{"10"}, "dead_letter index dead_letter_by_age"},
		"tally_event":         {nil, "event index PRIMARY"},
		"tally_over_accepted": {[]string{"86400000", "10000"}, "l eq_ref PRIMARY, orders range orders_unpaid"},
	} {
		if got := strings.Join(plan(t, db, statement(t, name, c.values...)), ", "); got != c.want {
			t.Errorf("%s reads %s, want %s", name, got, c.want)
		}
	}
}
