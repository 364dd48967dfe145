package redis_test

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/redis"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"
)

func incarnationOf(t testing.TB, s *redis.Store, sale flashgate.SaleID) string {
	t.Helper()
	name, err := s.Incarnation(t.Context(), sale)
	if err != nil || len(name) != 81 {
		t.Fatalf("Incarnation %q: %v", name, err)
	}
	return name
}

// TestFlushCloses: the server is the same, and has lost all.
func TestFlushCloses(t *testing.T) {
	t.Parallel()
	url := serverstest.OwnRedis(t, servers.RedisConfig{}).URL()
	s, raw := newStore(t, url), rawClient(t, url)
	sale := newSale(10, 1)
	open(t, s, snapshotOf(sale, 2, 0, 10))
	rs := reservations(sale.ID, 2)
	wantOutcome(t, s, flashgate.OutcomePublish, "new", rs...)
	if err := raw.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	wantClosed(t, s, rs[0], "flushed")
	_, err := s.View(t.Context(), sale.ID)
	wantCode(t, err, flashgate.CodeNotFound, "flushed")
	snapshot := snapshotOf(sale, 3, 1, 9)
	snapshot.Orders = []flashgate.SnapshotOrder{rowOf(rs[0], true)}
	if got, want := open(t, s, snapshot), (flashgate.Opened{Free: 9}); got != want {
		t.Errorf("opened %+v, want %+v", got, want)
	}
	wantOutcome(t, s, flashgate.OutcomeAccepted, "decided", rs[0])
	wantOutcome(t, s, flashgate.OutcomePublish, "lost, and nothing was told", rs[1])
}

// TestFailoverCloses: behind Sentinel the sale is closed on the new primary, which has
// what was replicated.
func TestFailoverCloses(t *testing.T) {
	t.Parallel()
	trio := serverstest.OwnSentinel(t)
	s := newStore(t, trio.URL())
	sale := newSale(10, 1)
	open(t, s, snapshotOf(sale, 2, 0, 10))
	before, term := incarnationOf(t, s, sale.ID), hears(t, s, 0)
	rs := reservations(sale.ID, 2)
	wantOutcome(t, s, flashgate.OutcomePublish, "new", rs...)
	for _, node := range trio.Nodes() {
		replicated(t, node, rs[1])
	}
	if err := trio.Failover(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the Store finds the new primary", func() bool {
		name, err := s.Incarnation(t.Context(), sale.ID)
		return err == nil && name != before
	})
	eventually(t, "it is the primary", func() bool {
		_, err := s.Reserve(t.Context(), sale.ID, rs)
		return err == nil
	})
	wantClosed(t, s, rs[0], "after the fail-over")
	wantHeld(t, s, rs[0], true, "after the fail-over")
	_, err := s.Open(t.Context(), before, snapshotOf(sale, 3, 0, 10))
	wantCode(t, err, flashgate.CodeWrongState, "the incarnation before the fail-over")
	if got, want := open(t, s, snapshotOf(sale, 3, 0, 10)), (flashgate.Opened{Free: 8, Held: 2, Requeued: 2}); got != want {
		t.Errorf("opened %+v, want %+v", got, want)
	}
	wantOutcome(t, s, flashgate.OutcomePublish, "opened", rs...)
	// It listens to the new primary by now.
	hears(t, s, term)
	seq := uint64(0)
	eventually(t, "a restock is heard", func() bool {
		seq++
		apply(t, s, sale.ID, seq, entryOf(sale.ID, seq, flashgate.ChangeRestock, flashgate.Reservation{Units: 1}))
		return s.Freed(t.Context(), sale.ID).Since.Applied > 0
	})
}

// TestThereAndBackCloses: a server that was replaced and is the primary again has not
// seen what happened in between, and its run id is the same.
func TestThereAndBackCloses(t *testing.T) {
	t.Parallel()
	a, b := serverstest.OwnRedis(t, servers.RedisConfig{}), serverstest.OwnRedis(t, servers.RedisConfig{})
	follow(t, b, a)
	s := newStore(t, a.URL())
	sale := newSale(10, 1)
	open(t, s, snapshotOf(sale, 2, 0, 10))
	first := incarnationOf(t, s, sale.ID)
	r := reservation(sale.ID, newUser(), 1)
	wantOutcome(t, s, flashgate.OutcomePublish, "new", r)
	replicated(t, b, r)
	lead(t, b)
	follow(t, a, b)
	wantClosed(t, s, r, "it is a replica now")
	lead(t, a)
	wantClosed(t, s, r, "it is the primary again")
	wantHeld(t, s, r, true, "it is the primary again")
	if again := incarnationOf(t, s, sale.ID); again == first || again[:40] != first[:40] {
		t.Errorf("the incarnation was %s and is %s: want the same server in another one", first, again)
	}
	open(t, s, snapshotOf(sale, 3, 0, 10))
	wantOutcome(t, s, flashgate.OutcomePublish, "opened", r)
}

// follow makes one the replica of another and waits until it is in step.
func follow(t testing.TB, one, of *servers.Redis) {
	t.Helper()
	host, port, err := net.SplitHostPort(of.Addr())
	if err != nil {
		t.Fatal(err)
	}
	c := one.Client()
	defer c.Close()
	if err := c.ReplicaOf(t.Context(), host, port).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the replica is in step", func() bool {
		role, err := c.Do(t.Context(), "ROLE").Slice()
		return err == nil && len(role) > 3 && role[3] == "connected"
	})
}

// replicated waits until a server has what is held.
func replicated(t testing.TB, one *servers.Redis, r flashgate.Reservation) {
	t.Helper()
	c := one.Client()
	defer c.Close()
	eventually(t, "it is replicated", func() bool {
		ok, err := c.HExists(t.Context(), "flashgate:{"+string(r.Order.Sale())+"}:held", string(r.Order)).Result()
		return err == nil && ok
	})
}

func lead(t testing.TB, one *servers.Redis) {
	t.Helper()
	c := one.Client()
	defer c.Close()
	if err := c.ReplicaOf(t.Context(), "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
}

// TestAnOlderFile: a server comes back with the state of some time ago, as from a
// backup. What it has lost since is either in the database, or was lost by the buyer
// too, who asks again.
func TestAnOlderFile(t *testing.T) {
	t.Parallel()
	server := serverstest.OwnRedis(t, servers.RedisConfig{Appendonly: "always"})
	s := newStore(t, server.URL())
	sale := newSale(20, 2)
	open(t, s, snapshotOf(sale, 2, 0, 20))
	rs := reservations(sale.ID, 6)
	placed, dropped, dead, waiting, lost, lostAndPlaced := rs[0], rs[1], rs[2], rs[3], rs[4], rs[5]
	wantOutcome(t, s, flashgate.OutcomePublish, "new", placed, dropped, dead, waiting)
	if err := s.Published(t.Context(), sale.ID, idsOf(rs[:3])); err != nil {
		t.Fatal(err)
	}
	stop(t, server)
	file, backup := filepath.Join(server.Dir(), "appendonlydir"), t.TempDir()
	if err := os.CopyFS(backup, os.DirFS(file)); err != nil {
		t.Fatal(err)
	}
	start(t, server)
	open(t, s, snapshotOf(sale, 3, 0, 20))
	wantOutcome(t, s, flashgate.OutcomePublish, "new", lost, lostAndPlaced)
	apply(t, s, sale.ID, 1, entryOf(sale.ID, 1, flashgate.ChangePlaced, placed, lostAndPlaced))

	stop(t, server)
	if err := os.RemoveAll(file); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(file, os.DirFS(backup)); err != nil {
		t.Fatal(err)
	}
	start(t, server)
	for _, r := range rs {
		wantClosed(t, s, r, "with the older file")
	}
	wantHeld(t, s, placed, true, "with the older file")
	wantHeld(t, s, lost, false, "with the older file")
	snapshot := snapshotOf(sale, 4, 2, 18)
	snapshot.Orders = []flashgate.SnapshotOrder{rowOf(placed, true), rowOf(lostAndPlaced, true), rowOf(dropped, false)}
	snapshot.Dead = []flashgate.OrderID{dead.Order}
	if got, want := open(t, s, snapshot), (flashgate.Opened{Free: 16, Held: 2, Requeued: 1}); got != want {
		t.Errorf("opened %+v, want %+v", got, want)
	}
	wantOutcome(t, s, flashgate.OutcomeAccepted, "decided or dead", placed, dropped, lostAndPlaced, dead)
	wantOutcome(t, s, flashgate.OutcomePublish, "undecided", waiting)
	wantHeld(t, s, placed, false, "opened")
	leased, err := s.Lease(t.Context(), sale.ID, 0, time.Minute, 10)
	if err != nil || len(leased) != 1 || leased[0] != waiting {
		t.Errorf("leased %+v, %v; want what is undecided", leased, err)
	}
	wantOutcome(t, s, flashgate.OutcomePublish, "asked for again", lost)
	wantView(t, s, sale.ID, 15, 3, "in the end")
}

// TestAClockThatWasAhead: what entered the outbox by the clock of another server does
// not wait until this one's has caught up.
func TestAClockThatWasAhead(t *testing.T) {
	t.Parallel()
	url := serverstest.Redis(t).URL()
	s, raw := newStore(t, url), rawClient(t, url)
	sale := newSale(10, 1)
	open(t, s, snapshotOf(sale, 2, 0, 10))
	r := reservation(sale.ID, newUser(), 1)
	wantOutcome(t, s, flashgate.OutcomePublish, "new", r)
	entered(t, raw, r, time.Now().Add(time.Hour))
	open(t, s, snapshotOf(sale, 3, 0, 10))
	wantHeld(t, s, r, true, "opened")
	eventually(t, "it is leased", func() bool {
		rs, err := s.Lease(t.Context(), sale.ID, time.Millisecond, time.Microsecond, 1)
		return err == nil && len(rs) == 1
	})
	if err := s.Published(t.Context(), sale.ID, idsOf([]flashgate.Reservation{r})); err != nil {
		t.Fatal(err)
	}
	if rs, err := s.Waiting(t.Context(), sale.ID, 0, 1); err != nil || len(rs) != 1 {
		t.Errorf("waiting: %v, %v", rs, err)
	}
}

func stop(t testing.TB, server *servers.Redis) {
	t.Helper()
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
}

func start(t testing.TB, server *servers.Redis) {
	t.Helper()
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
}
