package redis_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/servers/serverstest"
)

// TestNoKeyOfASaleHasAnEnd: they are kept for as long as the sale is; what is staged
// is not.
func TestNoKeyOfASaleHasAnEnd(t *testing.T) {
	t.Parallel()
	url := serverstest.Redis(t).URL()
	s, raw := newStore(t, url), rawClient(t, url)
	sale := newSale(20, 1)
	rs := reservations(sale.ID, 4)
	snapshot := snapshotOf(sale, 2, 1, 19)
	snapshot.Orders = []flashgate.SnapshotOrder{rowOf(rs[0], true)}
	open(t, s, snapshot)
	wantOutcome(t, s, flashgate.OutcomePublish, "new", rs[1])
	wantOutbox(t, s, sale.ID, 1, "before the others")
	if _, err := s.Lease(t.Context(), sale.ID, 0, time.Hour, 1); err != nil {
		t.Fatal(err)
	}
	wantOutcome(t, s, flashgate.OutcomePublish, "new", rs[2:]...)
	_, err := s.Open(t.Context(), "another", snapshotOf(sale, 3, 1, 19))
	wantCode(t, err, flashgate.CodeWrongState, "another incarnation")

	prefix := "flashgate:{" + string(sale.ID) + "}:"
	keys := raw.Keys(t.Context(), prefix+"*").Val()
	slices.Sort(keys)
	want := []string{prefix + "buyers", prefix + "head", prefix + "held", prefix + "leased", prefix + "outbox"}
	if !slices.Equal(keys, want) {
		t.Errorf("the keys are %v, want %v", keys, want)
	}
	for _, key := range keys {
		if ttl := raw.PTTL(t.Context(), key).Val(); ttl != -1 {
			t.Errorf("%s has an end of life: %v", strings.TrimPrefix(key, prefix), ttl)
		}
	}
	staged := prefix + "staged:4:x"
	if fields, err := s.Stage(t.Context(), staged, snapshot.Orders); err != nil || fields != 2 {
		t.Errorf("%d fields staged, %v", fields, err)
	}
	if ttl := raw.PTTL(t.Context(), staged).Val(); ttl <= 0 || ttl > time.Hour {
		t.Errorf("what is staged lives for %v", ttl)
	}
}

// TestOpenNeedsAllThatWasStaged: buyers with a part missing would sell to them again.
func TestOpenNeedsAllThatWasStaged(t *testing.T) {
	t.Parallel()
	url := serverstest.Redis(t).URL()
	s, raw := newStore(t, url), rawClient(t, url)
	sale := newSale(20, 1)
	snapshot := snapshotOf(sale, 2, 1, 19)
	r := reservation(sale.ID, newUser(), 1)
	snapshot.Orders = []flashgate.SnapshotOrder{rowOf(r, true)}
	incarnation, err := s.Incarnation(t.Context(), sale.ID)
	if err != nil {
		t.Fatal(err)
	}
	staged := "flashgate:{" + string(sale.ID) + "}:staged:2:x"
	fields, err := s.Stage(t.Context(), staged, snapshot.Orders)
	if err != nil {
		t.Fatal(err)
	}
	for what, lose := range map[string]func(context.Context) error{
		"a field": func(ctx context.Context) error { return raw.HDel(ctx, staged, "o:"+string(r.Order)).Err() },
		"all":     func(ctx context.Context) error { return raw.Del(ctx, staged).Err() },
	} {
		if err := lose(t.Context()); err != nil {
			t.Fatal(err)
		}
		if opened, err := s.OpenStaged(t.Context(), incarnation, staged, fields, snapshot); err == nil {
			t.Errorf("opened without %s: %+v", what, opened)
		}
		wantClosed(t, s, r, "without "+what)
	}
	open(t, s, snapshot)
	wantOutcome(t, s, flashgate.OutcomeAccepted, "opened from all", r)
}

// TestOpenALostReply: go-redis repeats the last step, and that finds its own work.
func TestOpenALostReply(t *testing.T) {
	t.Parallel()
	server := serverstest.Redis(t)
	p := newProxy(t, server.Addr())
	s, direct := newStore(t, p.URL()), newStore(t, server.URL())
	open(t, s, snapshotOf(newSale(1, 1), 2, 0, 1)) // so that the server has the scripts
	sale := newSale(20, 1)
	rs := reservations(sale.ID, 3)
	openSale(t, direct, sale)
	wantOutcome(t, direct, flashgate.OutcomePublish, "new", rs...)
	incarnation, err := direct.Incarnation(t.Context(), sale.ID)
	if err != nil {
		t.Fatal(err)
	}
	snapshot := snapshotOf(sale, 2, 1, 19)
	snapshot.Orders = []flashgate.SnapshotOrder{rowOf(rs[0], true)}
	staged := "flashgate:{" + string(sale.ID) + "}:staged:2:x"
	fields, err := s.Stage(t.Context(), staged, snapshot.Orders)
	if err != nil {
		t.Fatal(err)
	}
	p.CutReply()
	opened, err := s.OpenStaged(t.Context(), incarnation, staged, fields, snapshot)
	if want := (flashgate.Opened{Free: 17, Held: 2, Requeued: 2}); err != nil || opened != want {
		t.Errorf("opened %+v, %v; want %+v", opened, err, want)
	}
	wantView(t, s, sale.ID, 17, 2, "opened")
	_, err = s.Open(t.Context(), incarnation, snapshot)
	wantCode(t, err, flashgate.CodeWrongState, "another opening in the same epoch")
}

// TestOpenWhileItIsOpen: a second reconciliation, ordered by an operator.
func TestOpenWhileItIsOpen(t *testing.T) {
	t.Parallel()
	s := newStore(t, serverstest.Redis(t).URL())
	sale := newSale(20, 1)
	openSale(t, s, sale)
	rs := reservations(sale.ID, 2)
	wantOutcome(t, s, flashgate.OutcomePublish, "new", rs...)
	sale.Ends, sale.PerUser = sale.Ends.Add(time.Hour), 2
	snapshot := snapshotOf(sale, 2, 5, 30)
	snapshot.Bound = 0 // the default
	if got, want := open(t, s, snapshot), (flashgate.Opened{Free: 28, Held: 2, Requeued: 2}); got != want {
		t.Errorf("opened %+v, want %+v", got, want)
	}
	v := wantView(t, s, sale.ID, 28, 2, "opened again")
	if !v.Ends.Equal(sale.Ends) || v.PerUser != 2 || v.Applied != 5 || v.Epoch != 2 {
		t.Errorf("the view is %+v", v)
	}
	wantOutcome(t, s, flashgate.OutcomePublish, "the same users once more", reservation(sale.ID, rs[0].User, 1))
}

// TestOpenFromNothing: what the gate knew of buyers and decided ids does not stay.
func TestOpenFromNothing(t *testing.T) {
	t.Parallel()
	s := newStore(t, serverstest.Redis(t).URL())
	sale := newSale(20, 1)
	openSale(t, s, sale)
	r := reservation(sale.ID, newUser(), 1)
	apply(t, s, sale.ID, 1, entryOf(sale.ID, 1, flashgate.ChangePlaced, r))
	wantOutcome(t, s, flashgate.OutcomeAlreadyBought, "a second order", reservation(sale.ID, r.User, 1))
	if got, want := open(t, s, snapshotOf(sale, 2, 0, 20)), (flashgate.Opened{Free: 20}); got != want {
		t.Errorf("opened %+v, want %+v", got, want)
	}
	wantOutcome(t, s, flashgate.OutcomePublish, "as if it were new", r)
}

// TestOpenInvalid: a sale id that could leave its keys.
func TestOpenInvalid(t *testing.T) {
	t.Parallel()
	s := newStore(t, serverstest.Redis(t).URL())
	sale := newSale(20, 1)
	sale.ID = "a}b"
	_, err := s.Open(t.Context(), "", snapshotOf(sale, 2, 0, 20))
	wantCode(t, err, flashgate.CodeInvalid, "a sale id with a brace")
}
