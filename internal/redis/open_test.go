package redis_test

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/redis"
	"flashgate/internal/servers"
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
	snapshot.Sale.Epoch = 3
	staging := stage(t, s, snapshot)
	for _, key := range staging.Keys() {
		if ttl := raw.PTTL(t.Context(), key).Val(); ttl <= 0 || ttl > time.Hour {
			t.Errorf("%s, of an opening that is not finished, lives for %v", strings.TrimPrefix(key, prefix), ttl)
		}
	}
	if _, err := staging.Finish(t.Context()); err != nil {
		t.Errorf("Finish: %v", err)
	}
	want = []string{prefix + "buyers", prefix + "head", prefix + "held", prefix + "outbox"}
	if keys = raw.Keys(t.Context(), prefix+"*").Val(); len(keys) != len(want) {
		t.Errorf("after it the keys are %v, want %v", keys, want)
	}
	for _, key := range want {
		if ttl := raw.PTTL(t.Context(), key).Val(); ttl != -1 {
			t.Errorf("%s has an end of life: %v", strings.TrimPrefix(key, prefix), ttl)
		}
	}
}

// stage takes all steps of an opening but the last. A sale that is open is shut first.
func stage(t testing.TB, s *redis.Store, snapshot flashgate.Snapshot) *redis.Staging {
	t.Helper()
	shut(t, s, snapshot.Sale.ID)
	incarnation, err := s.Incarnation(t.Context(), snapshot.Sale.ID)
	if err != nil {
		t.Fatal(err)
	}
	staging, err := s.Stage(t.Context(), incarnation, snapshot)
	if err != nil {
		t.Fatal(err)
	}
	return staging
}

// TestOpenNeedsAllThatWasStaged: buyers with a part missing would sell to them again,
// and what was held would be forgotten.
func TestOpenNeedsAllThatWasStaged(t *testing.T) {
	t.Parallel()
	url := serverstest.Redis(t).URL()
	s, raw := newStore(t, url), rawClient(t, url)
	sale := newSale(20, 1)
	openSale(t, s, sale)
	rs := reservations(sale.ID, 2)
	wantOutcome(t, s, flashgate.OutcomePublish, "new", rs...)
	snapshot := snapshotOf(sale, 2, 1, 19)
	snapshot.Orders = []flashgate.SnapshotOrder{rowOf(rs[0], true)}
	for i := range 3 {
		staging := stage(t, s, snapshot)
		key := staging.Keys()[i]
		if n := raw.Del(t.Context(), key).Val(); n != 1 {
			t.Fatalf("%s was not there", key)
		}
		if opened, err := staging.Finish(t.Context()); err == nil {
			t.Errorf("opened without %s: %+v", key, opened)
		}
		wantClosed(t, s, rs[0], "without "+key)
		wantHeld(t, s, rs[1], true, "without "+key)
	}
	staging := stage(t, s, snapshot)
	raw.HDel(t.Context(), staging.Keys()[0], "o:"+string(rs[0].Order))
	if opened, err := staging.Finish(t.Context()); err == nil {
		t.Errorf("opened without a row: %+v", opened)
	}
	if got, want := open(t, s, snapshot), (flashgate.Opened{Free: 18, Held: 1, Requeued: 1}); got != want {
		t.Errorf("opened %+v, want %+v", got, want)
	}
	wantOutcome(t, s, flashgate.OutcomeAccepted, "opened from all", rs[0])
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
	snapshot := snapshotOf(sale, 2, 1, 19)
	snapshot.Orders = []flashgate.SnapshotOrder{rowOf(rs[0], true)}
	staging := stage(t, s, snapshot)
	p.CutReply("evalsha")
	opened, err := staging.Finish(t.Context())
	if want := (flashgate.Opened{Free: 17, Held: 2, Requeued: 2}); err != nil || opened != want {
		t.Errorf("opened %+v, %v; want %+v", opened, err, want)
	}
	wantView(t, s, sale.ID, 17, 2, "opened")
	_, err = s.Open(t.Context(), incarnationOf(t, s, sale.ID), snapshot)
	wantCode(t, err, flashgate.CodeWrongState, "another opening in the same epoch")
}

// TestOpenOnlyOneFinishes: what was staged by an opening that another one has overtaken
// cannot take its place.
func TestOpenOnlyOneFinishes(t *testing.T) {
	t.Parallel()
	s := newStore(t, serverstest.Redis(t).URL())
	sale := newSale(20, 1)
	openSale(t, s, sale)
	r := reservation(sale.ID, newUser(), 1)
	wantOutcome(t, s, flashgate.OutcomePublish, "new", r)
	first := stage(t, s, snapshotOf(sale, 3, 1, 10))
	wantClosed(t, s, r, "one has begun")
	wantHeld(t, s, r, true, "one has begun")
	_, err := s.Open(t.Context(), incarnationOf(t, s, sale.ID), snapshotOf(sale, 2, 1, 11))
	wantCode(t, err, flashgate.CodeWrongState, "one of a later epoch has begun")
	second := stage(t, s, snapshotOf(sale, 3, 2, 12))
	_, err = first.Finish(t.Context())
	wantCode(t, err, flashgate.CodeWrongState, "another one has begun")
	wantClosed(t, s, r, "neither has finished")
	if got, err := second.Finish(t.Context()); err != nil || got.Free != 11 {
		t.Errorf("opened %+v, %v", got, err)
	}
	wantOutcome(t, s, flashgate.OutcomePublish, "open", r)
	_, err = first.Finish(t.Context())
	wantCode(t, err, flashgate.CodeWrongState, "too late")
	late := stage(t, s, snapshotOf(sale, 4, 3, 13))
	open(t, s, snapshotOf(sale, 5, 4, 14))
	_, err = late.Finish(t.Context())
	wantCode(t, err, flashgate.CodeWrongState, "a later epoch is open")
	wantView(t, s, sale.ID, 13, 1, "in the end")
}

// TestOpenWhileItIsOpen: a second reconciliation, which has read its snapshot before the
// gate sold what it has sold since. Refused, it leaves nothing behind, and does not stand in
// the way of the next one.
func TestOpenWhileItIsOpen(t *testing.T) {
	t.Parallel()
	url := serverstest.Redis(t).URL()
	s, raw := newStore(t, url), rawClient(t, url)
	sale := newSale(20, 1)
	openSale(t, s, sale)
	rs := reservations(sale.ID, 2)
	wantOutcome(t, s, flashgate.OutcomePublish, "new", rs...)
	key := "flashgate:{" + string(sale.ID) + "}:"
	before := raw.HGetAll(t.Context(), key+"head").Val()
	_, err := s.Open(t.Context(), incarnationOf(t, s, sale.ID), snapshotOf(sale, 9, 0, 20))
	wantCode(t, err, flashgate.CodeWrongState, "a later epoch of a sale that is open")
	if after := raw.HGetAll(t.Context(), key+"head").Val(); !maps.Equal(before, after) {
		t.Errorf("refused, and the head went from %v to %v", before, after)
	}
	if keys := raw.Keys(t.Context(), key+"*").Val(); len(keys) != 4 {
		t.Errorf("refused, and the keys are %v, want head, held, outbox and buyers", keys)
	}
	wantOutcome(t, s, flashgate.OutcomePublish, "held", rs...)
}

// TestOpenAgain: the snapshot's window, limit and seq replace those of the gate.
func TestOpenAgain(t *testing.T) {
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

// TestOpenAllDecided: nothing of what was held stays.
func TestOpenAllDecided(t *testing.T) {
	t.Parallel()
	s := newStore(t, serverstest.Redis(t).URL())
	sale := newSale(20, 1)
	openSale(t, s, sale)
	rs := reservations(sale.ID, 2)
	wantOutcome(t, s, flashgate.OutcomePublish, "new", rs...)
	snapshot := snapshotOf(sale, 2, 1, 19)
	snapshot.Orders = []flashgate.SnapshotOrder{rowOf(rs[0], true), rowOf(rs[1], false)}
	if got, want := open(t, s, snapshot), (flashgate.Opened{Free: 19}); got != want {
		t.Errorf("opened %+v, want %+v", got, want)
	}
	wantHeld(t, s, rs[0], false, "decided")
	wantOutbox(t, s, sale.ID, 0, "decided")
	wantOutcome(t, s, flashgate.OutcomeAccepted, "decided", rs...)
}

// TestOpenManySurvivors are read in more than one page.
func TestOpenManySurvivors(t *testing.T) {
	t.Parallel()
	const n = 3500
	everywhere(t, func(t *testing.T, url string) {
		s := newStore(t, url)
		sale := newSale(n, 1)
		openSale(t, s, sale)
		rs := reservations(sale.ID, n)
		wantOutcome(t, s, flashgate.OutcomePublish, "new", rs...)
		snapshot := snapshotOf(sale, 2, 1, n-100)
		for _, r := range rs[:100] {
			snapshot.Orders = append(snapshot.Orders, rowOf(r, true))
		}
		if got, want := open(t, s, snapshot), (flashgate.Opened{Held: n - 100, Requeued: n - 100}); got != want {
			t.Errorf("opened %+v, want %+v", got, want)
		}
		wantOutcome(t, s, flashgate.OutcomeAccepted, "decided", rs[:100]...)
		wantOutcome(t, s, flashgate.OutcomePublish, "undecided", rs[100:]...)
		wantOutbox(t, s, sale.ID, n-100, "undecided")
	})
}

// TestOpenAtTheSameTime: whoever wins, nothing of the others is left.
func TestOpenAtTheSameTime(t *testing.T) {
	t.Parallel()
	url := serverstest.Redis(t).URL()
	s, raw := newStore(t, url), rawClient(t, url)
	sale := newSale(5000, 1)
	snapshot := snapshotOf(sale, 2, 1, 3000)
	for _, r := range reservations(sale.ID, 2000) {
		snapshot.Orders = append(snapshot.Orders, rowOf(r, true))
	}
	incarnation := incarnationOf(t, s, sale.ID)
	var won atomic.Int64
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			if _, err := s.Open(t.Context(), incarnation, snapshot); err == nil {
				won.Add(1)
			} else {
				wantCode(t, err, flashgate.CodeWrongState, "an opening that lost")
			}
		})
	}
	wg.Wait()
	keys := raw.Keys(t.Context(), "flashgate:{"+string(sale.ID)+"}:*").Val()
	if won.Load() != 1 || len(keys) != 2 {
		t.Errorf("%d won and the keys are %v, want one and head and buyers", won.Load(), keys)
	}
}

// TestOpenAcrossARestart: the server comes back between two steps, with all that was
// staged.
func TestOpenAcrossARestart(t *testing.T) {
	t.Parallel()
	server := serverstest.OwnRedis(t, servers.RedisConfig{Appendonly: "always"})
	s := newStore(t, server.URL())
	sale := newSale(20, 1)
	snapshot := snapshotOf(sale, 2, 1, 19)
	snapshot.Orders = []flashgate.SnapshotOrder{rowOf(reservation(sale.ID, newUser(), 1), true)}
	staging := stage(t, s, snapshot)
	restart(t, server)
	_, err := staging.Finish(t.Context())
	wantCode(t, err, flashgate.CodeWrongState, "after the restart")
	wantClosed(t, s, reservation(sale.ID, newUser(), 1), "after the restart")
	open(t, s, snapshot)
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
