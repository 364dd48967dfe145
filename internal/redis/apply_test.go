package redis_test

import (
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"
)

// TestApplyManyEntries: more than one script and more than one round trip, on a server
// that has forgotten its scripts.
func TestApplyManyEntries(t *testing.T) {
	t.Parallel()
	const each, count = 700, 40
	url := serverstest.OwnRedis(t, servers.RedisConfig{}).URL()
	s, raw := newStore(t, url), rawClient(t, url)
	sale := newSale(each*count, 1)
	openSale(t, s, sale)
	rs := reservations(sale.ID, each*count)
	var es []flashgate.LogEntry
	for i := range count {
		mine := rs[i*each : (i+1)*each]
		if i%2 == 0 {
			wantOutcome(t, s, flashgate.OutcomePublish, "new", mine...)
		}
		es = append(es, entryOf(sale.ID, uint64(i)+1, flashgate.ChangePlaced, mine...))
	}
	if err := raw.ScriptFlush(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	// A gap in the middle: what lies behind it travels along and is not applied.
	gap := append(append([]flashgate.LogEntry{}, es[:17]...), es[18:]...)
	apply(t, s, sale.ID, 17, gap...)
	wantView(t, s, sale.ID, each*(count-17-11), each*11, "up to the gap")
	apply(t, s, sale.ID, count, es...)
	wantView(t, s, sale.ID, 0, 0, "all applied")
	wantOutcome(t, s, flashgate.OutcomeAccepted, "decided", rs...)
	wantOutbox(t, s, sale.ID, 0, "all applied")
}

// TestApplyALargeEntry: an entry is one step, however large.
func TestApplyALargeEntry(t *testing.T) {
	t.Parallel()
	const n = 9000
	s := newStore(t, serverstest.Redis(t).URL())
	sale := newSale(n, 1)
	openSale(t, s, sale)
	rs := reservations(sale.ID, n)
	apply(t, s, sale.ID, 3, entryOf(sale.ID, 1, flashgate.ChangePlaced, rs...), entryOf(sale.ID, 2, flashgate.ChangeCancelled, rs[:n/2]...), entryOf(sale.ID, 3, flashgate.ChangeRestock))
	wantView(t, s, sale.ID, n/2, 0, "applied")
	for _, r := range []flashgate.Reservation{rs[0], rs[n/2]} {
		wantOutcome(t, s, flashgate.OutcomeAccepted, "decided", r)
	}
	wantOutcome(t, s, flashgate.OutcomePublish, "its order was cancelled", reservation(sale.ID, rs[0].User, 1))
	wantOutcome(t, s, flashgate.OutcomeAlreadyBought, "its order lives", reservation(sale.ID, rs[n-1].User, 1))
}

// TestApplyALostReply: the seq makes the repetition harmless.
func TestApplyALostReply(t *testing.T) {
	t.Parallel()
	p := newProxy(t, serverstest.Redis(t).Addr())
	s := newStore(t, p.URL())
	sale := newSale(10, 1)
	openSale(t, s, sale)
	r := reservation(sale.ID, newUser(), 1)
	apply(t, s, sale.ID, 1, entryOf(sale.ID, 1, flashgate.ChangePlaced, r))
	p.CutReply("evalsha")
	apply(t, s, sale.ID, 2, entryOf(sale.ID, 1, flashgate.ChangePlaced, r), entryOf(sale.ID, 2, flashgate.ChangeCancelled, r))
	wantView(t, s, sale.ID, 10, 0, "after it")
}

// TestApplyAnotherPayload: the row is the database's word. What was held under its id
// with another payload goes back as a whole, so the sums hold.
func TestApplyAnotherPayload(t *testing.T) {
	t.Parallel()
	s := newStore(t, serverstest.Redis(t).URL())
	sale := newSale(10, 3)
	openSale(t, s, sale)
	held := reservation(sale.ID, newUser(), 1)
	row := held
	row.User, row.Units = newUser(), 3
	wantOutcome(t, s, flashgate.OutcomePublish, "new", held, reservation(sale.ID, held.User, 1))
	apply(t, s, sale.ID, 1, entryOf(sale.ID, 1, flashgate.ChangePlaced, row))
	wantView(t, s, sale.ID, 6, 1, "placed with another payload")
	wantOutcome(t, s, flashgate.OutcomeConflict, "what was held", held)
	wantOutcome(t, s, flashgate.OutcomeAccepted, "what is in the row", row)
	wantOutcome(t, s, flashgate.OutcomeAlreadyBought, "the row's user", reservation(sale.ID, row.User, 1))
	wantOutcome(t, s, flashgate.OutcomeAlreadyBought, "the user who holds another one", reservation(sale.ID, held.User, 3))
	wantOutcome(t, s, flashgate.OutcomePublish, "the user whose share went back", reservation(sale.ID, held.User, 2))
}

// TestApplyInvalid: what this program does not understand is not passed over.
func TestApplyInvalid(t *testing.T) {
	t.Parallel()
	s := newStore(t, serverstest.Redis(t).URL())
	sale := newSale(10, 1)
	openSale(t, s, sale)
	r := reservation(sale.ID, newUser(), 1)
	good := entryOf(sale.ID, 1, flashgate.ChangePlaced, r)
	foreign := entryOf("another", 2, flashgate.ChangePlaced, r)
	unknown := entryOf(sale.ID, 2, "moved", r)
	for name, bad := range map[string]flashgate.LogEntry{"another sale": foreign, "an unknown kind": unknown} {
		_, err := s.Apply(t.Context(), sale.ID, []flashgate.LogEntry{good, bad})
		wantCode(t, err, flashgate.CodeInvalid, name)
	}
	if v := wantView(t, s, sale.ID, 10, 0, "after them"); v.Applied != 0 {
		t.Errorf("%d is applied", v.Applied)
	}
}

// TestSettleADeadLetter: it was not decided by a seq, and stays held.
func TestSettleADeadLetter(t *testing.T) {
	t.Parallel()
	s := newStore(t, serverstest.Redis(t).URL())
	sale := newSale(10, 1)
	openSale(t, s, sale)
	r := reservation(sale.ID, newUser(), 1)
	wantOutcome(t, s, flashgate.OutcomePublish, "new", r)
	if err := s.Settle(t.Context(), sale.ID, 0, idsOf([]flashgate.Reservation{r})); err != nil {
		t.Fatal(err)
	}
	wantHeld(t, s, r, true, "a dead letter")
}

// TestDecidedIDsAreRemembered: rejected and settled ones too, held or not.
func TestDecidedIDsAreRemembered(t *testing.T) {
	t.Parallel()
	s := newStore(t, serverstest.Redis(t).URL())
	sale := newSale(10, 1)
	openSale(t, s, sale)
	rs := reservations(sale.ID, 3)
	rejected, unheld, settled := rs[0], rs[1], rs[2]
	wantOutcome(t, s, flashgate.OutcomePublish, "new", rejected, settled)
	apply(t, s, sale.ID, 1, entryOf(sale.ID, 1, flashgate.ChangeRejected, rejected, unheld))
	if err := s.Settle(t.Context(), sale.ID, 1, idsOf([]flashgate.Reservation{settled})); err != nil {
		t.Fatal(err)
	}
	wantOutcome(t, s, flashgate.OutcomeAccepted, "decided", rs...)
	for _, r := range rs {
		r.User = newUser()
		wantOutcome(t, s, flashgate.OutcomeConflict, "another payload", r)
	}
	wantView(t, s, sale.ID, 10, 0, "after the repeats")
}

// TestSettleKeepsTheOthers: of the user's share, what was settled goes back.
func TestSettleKeepsTheOthers(t *testing.T) {
	t.Parallel()
	s := newStore(t, serverstest.Redis(t).URL())
	sale := newSale(10, 3)
	openSale(t, s, sale)
	r := reservation(sale.ID, newUser(), 1)
	wantOutcome(t, s, flashgate.OutcomePublish, "new", r, reservation(sale.ID, r.User, 1))
	apply(t, s, sale.ID, 1, entryOf(sale.ID, 1, flashgate.ChangeRestock))
	if err := s.Settle(t.Context(), sale.ID, 1, idsOf([]flashgate.Reservation{r})); err != nil {
		t.Fatal(err)
	}
	wantView(t, s, sale.ID, 9, 1, "settled")
	wantOutcome(t, s, flashgate.OutcomeAlreadyBought, "1 held, 3 more of 3", reservation(sale.ID, r.User, 3))
	wantOutcome(t, s, flashgate.OutcomePublish, "1 held, 2 more of 3", reservation(sale.ID, r.User, 2))
}

// TestDecidedLeavesNothingBehind: not in held, nor in the outbox, leased or not.
func TestDecidedLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	url := serverstest.Redis(t).URL()
	s, raw := newStore(t, url), rawClient(t, url)
	sale := newSale(10, 1)
	openSale(t, s, sale)
	rs := reservations(sale.ID, 4)
	wantOutcome(t, s, flashgate.OutcomePublish, "new", rs[:2]...)
	if leased, err := s.Lease(t.Context(), sale.ID, 0, time.Hour, 2); err != nil || len(leased) != 2 {
		t.Fatalf("leased %v, %v", leased, err)
	}
	wantOutcome(t, s, flashgate.OutcomePublish, "new", rs[2:]...)
	apply(t, s, sale.ID, 1, entryOf(sale.ID, 1, flashgate.ChangePlaced, rs[0], rs[2]))
	if err := s.Settle(t.Context(), sale.ID, 1, idsOf(rs[1:2])); err != nil {
		t.Fatal(err)
	}
	apply(t, s, sale.ID, 2, entryOf(sale.ID, 2, flashgate.ChangeRejected, rs[3]))
	prefix := "flashgate:{" + string(sale.ID) + "}:"
	if n := raw.Exists(t.Context(), prefix+"held", prefix+"outbox", prefix+"leased").Val(); n != 0 {
		t.Errorf("%d of held, outbox and leased are not empty", n)
	}
	// The shares that went back are not kept as zeros.
	if n := raw.HLen(t.Context(), prefix+"buyers").Val(); n != 4+2 {
		t.Errorf("%d fields of buyers, want 4 orders and 2 users", n)
	}
}
