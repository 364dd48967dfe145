package redis_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/redis"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"

	goredis "github.com/redis/go-redis/v9"
)

const freedChannel = "flashgate:freed:0"

// news listens to what is told of one sale.
type news struct {
	sub *goredis.PubSub
	raw goredis.UniversalClient
}

func listen(t testing.TB, url string) *news {
	t.Helper()
	raw := rawClient(t, url)
	sub := raw.Subscribe(t.Context(), freedChannel)
	t.Cleanup(func() { _ = sub.Close() })
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &news{sub, raw}
}

// of returns what was told of a sale until now, without its name.
func (n *news) of(t testing.TB, sale flashgate.SaleID) (told []string) {
	t.Helper()
	mark := "0 0 mark" + unique()
	if err := n.raw.Publish(t.Context(), freedChannel, mark).Err(); err != nil {
		t.Fatal(err)
	}
	for {
		m, err := n.sub.ReceiveMessage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if m.Payload == mark {
			return told
		}
		if at, mine := strings.CutSuffix(m.Payload, " "+string(sale)); mine {
			told = append(told, at)
		}
	}
}

// TestWhatIsTold: every verb that frees units tells it, in the step that frees them, and
// no other one does.
func TestWhatIsTold(t *testing.T) {
	t.Parallel()
	url := serverstest.Redis(t).URL()
	s, n := newStore(t, url), listen(t, url)
	sale := newSale(9, 3)
	id := sale.ID
	tells := func(what string, want ...string) {
		t.Helper()
		if told := n.of(t, id); !slices.Equal(told, want) {
			t.Errorf("%s tells %q, want %q", what, told, want)
		}
	}
	seq := uint64(0)
	entry := func(kind flashgate.ChangeKind, rs ...flashgate.Reservation) flashgate.LogEntry {
		seq++
		return entryOf(id, seq, kind, rs...)
	}
	restock := func(units int) flashgate.LogEntry {
		return entry(flashgate.ChangeRestock, flashgate.Reservation{Units: units})
	}

	openSale(t, s, sale)
	tells("opening", "1 0", "1 0")
	rs := reservations(id, 5)
	wantOutcome(t, s, flashgate.OutcomePublish, "new", rs...)
	wantOutcome(t, s, flashgate.OutcomePublish, "repeated", rs...)
	if _, err := s.Lease(t.Context(), id, 0, time.Hour, 1); err != nil {
		t.Fatal(err)
	}
	if err := s.Published(t.Context(), id, idsOf(rs[:4])); err != nil {
		t.Fatal(err)
	}
	if err := s.Requeue(t.Context(), id, idsOf(rs[:4])); err != nil {
		t.Fatal(err)
	}
	tells("reserving and publishing")
	apply(t, s, id, 1, entry(flashgate.ChangePlaced, rs[0]))
	tells("placing")
	apply(t, s, id, 2, entry(flashgate.ChangePlaced, reservations(id, 1)...))
	tells("placing what was not held")
	apply(t, s, id, 3, entry(flashgate.ChangeRejected, reservations(id, 1)...))
	tells("rejecting what was not held")
	apply(t, s, id, 4, entry(flashgate.ChangeRejected, rs[1]))
	tells("rejecting", "1 4")
	cancelled := entry(flashgate.ChangeCancelled, rs[0])
	apply(t, s, id, 5, cancelled)
	tells("cancelling", "1 5")
	apply(t, s, id, 5, cancelled)
	tells("cancelling again")
	apply(t, s, id, 6, restock(2))
	tells("restocking", "1 6")
	apply(t, s, id, 7, restock(0))
	tells("restocking nothing")
	apply(t, s, id, 9, entry(flashgate.ChangePlaced, reservations(id, 2)...), restock(2))
	tells("as much given as taken")
	apply(t, s, id, 11, restock(1), entry(flashgate.ChangePlaced, rs[2]))
	tells("two entries", "1 11")
	window := entry(flashgate.ChangeWindow)
	window.Starts, window.Ends = sale.Starts, sale.Ends.Add(time.Hour)
	window.Changes = []flashgate.Change{{Kind: flashgate.ChangeWindow}}
	apply(t, s, id, 12, window)
	tells("moving the window", "1 12")
	larger := rs[3]
	larger.Units = 3
	wantOutcome(t, s, flashgate.OutcomePublish, "three units", reservation(id, newUser(), 3))
	apply(t, s, id, 13, entry(flashgate.ChangePlaced, larger))
	tells("placing more than was held")
	three := reservation(id, newUser(), 3)
	apply(t, s, id, 14, restock(3))
	wantOutcome(t, s, flashgate.OutcomePublish, "three units", three)
	three.Units = 1
	apply(t, s, id, 15, entry(flashgate.ChangePlaced, three))
	tells("placing less than was held", "1 14", "1 15")

	settle := func(seq uint64, r flashgate.Reservation) {
		t.Helper()
		if err := s.Settle(t.Context(), id, seq, idsOf([]flashgate.Reservation{r})); err != nil {
			t.Fatal(err)
		}
	}
	settle(16, rs[4])
	tells("settling by a seq that is not applied")
	settle(15, rs[4])
	tells("settling", "1 16")
	settle(15, rs[4])
	settle(15, rs[0])
	tells("settling what is not held")

	snapshot := snapshotOf(sale, 2, 15, 9)
	if _, err := s.Open(t.Context(), "another", snapshot); err == nil {
		t.Error("opened in another incarnation")
	}
	tells("an opening that is refused")
	staging := stage(t, s, snapshot)
	tells("closing", "2 0")
	if _, err := staging.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	tells("opening again", "2 15")
}

// hears waits until a Store is in a term, other than the one given.
func hears(t testing.TB, s *redis.Store, other uint64) (term uint64) {
	t.Helper()
	eventually(t, "it hears", func() bool {
		term = s.Freed(t.Context(), "any").Term
		return term != 0 && term != other
	})
	return term
}

func freedAt(t testing.TB, s *redis.Store, sale flashgate.SaleID, want flashgate.Position, what string) {
	t.Helper()
	eventually(t, what, func() bool { return s.Freed(t.Context(), sale).Since == want })
}

// TestFreedEverywhere: two gateways hear of what a worker applies.
func TestFreedEverywhere(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, url string) {
		worker, gateways := newStore(t, url), twoStores(t, url)
		for _, s := range gateways {
			hears(t, s, 0)
		}
		for range 5 { // in a Cluster on several servers
			sale := newSale(0, 1)
			openSale(t, worker, sale)
			apply(t, worker, sale.ID, 1, entryOf(sale.ID, 1, flashgate.ChangeRestock, flashgate.Reservation{Units: 1}))
			for i, s := range gateways {
				freedAt(t, s, sale.ID, flashgate.Position{Epoch: 1, Applied: 1}, fmt.Sprint("gateway ", i, " hears of the restock"))
			}
		}
		if f := worker.Freed(t.Context(), "any"); f.Term != 0 {
			t.Error("the worker listened before it was asked to")
		}
	})
}

// TestFreedAfterALostConnection: what was told meanwhile is missed, so it is another
// term; until then it is none.
func TestFreedAfterALostConnection(t *testing.T) {
	t.Parallel()
	worker := newStore(t, serverstest.Redis(t).URL())
	for name, c := range map[string]struct{ lose, find func(*proxy) }{
		"broken": {(*proxy).Break, func(*proxy) {}},
		"frozen": {(*proxy).Freeze, func(p *proxy) { p.Break(); p.Thaw() }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProxy(t, serverstest.Redis(t).Addr())
			s := newStore(t, p.URL())
			term := hears(t, s, 0)
			sale := newSale(0, 1)
			openSale(t, worker, sale)
			freedAt(t, s, sale.ID, flashgate.Position{Epoch: 1}, "the opening is heard")
			c.lose(p)
			if name == "frozen" {
				eventually(t, "it is noticed", func() bool { return s.Freed(t.Context(), sale.ID).Term == 0 })
			} else {
				eventually(t, "it is noticed", func() bool { return s.Freed(t.Context(), sale.ID).Term != term })
			}
			c.find(p)
			if later := hears(t, s, term); later < term {
				t.Errorf("the term after the loss is %d, before it was %d", later, term)
			}
			if f := s.Freed(t.Context(), sale.ID); f.Since != (flashgate.Position{}) {
				t.Errorf("after the loss it knows of %+v", f.Since)
			}
		})
	}
}

// TestFreedHoldsForEver: a connection on which nothing is told is not given up.
func TestFreedHoldsForEver(t *testing.T) {
	t.Parallel()
	s := newStore(t, serverstest.Redis(t).URL())
	term := hears(t, s, 0)
	over := time.NewTimer(4 * time.Second) // longer than it would wait for a sign of life
	defer over.Stop()
	<-over.C
	if f := s.Freed(t.Context(), "any"); f.Term != term {
		t.Errorf("the term is %d, was %d", f.Term, term)
	}
}

// TestFreedUnreadable: what nobody understands, and more than can be kept, begins
// another term.
func TestFreedUnreadable(t *testing.T) {
	t.Parallel()
	url := serverstest.OwnRedis(t, servers.RedisConfig{}).URL()
	s, raw := newStore(t, url), rawClient(t, url)
	tell := func(messages ...string) {
		t.Helper()
		p := raw.Pipeline()
		for _, m := range messages {
			p.Publish(t.Context(), freedChannel, m)
		}
		if _, err := p.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	term := hears(t, s, 0)
	tell("1 2 sale", "1 1 sale", "1 3 other")
	freedAt(t, s, "other", flashgate.Position{Epoch: 1, Applied: 3}, "the last one is heard")
	if f := s.Freed(t.Context(), "sale"); f.Term != term || f.Since != (flashgate.Position{Epoch: 1, Applied: 2}) {
		t.Errorf("%+v, want the higher one, in the term %d", f, term)
	}
	for _, bad := range []string{"", "1 2", "1 2 sale more", "x 2 sale", "1 -2 sale"} {
		tell(bad)
		term = hears(t, s, term)
		if f := s.Freed(t.Context(), "sale"); f.Since != (flashgate.Position{}) {
			t.Errorf("after %q: %+v", bad, f)
		}
	}
	many := make([]string, redis.MaxFreed)
	for i := range many {
		many[i] = fmt.Sprint("1 1 s", i)
	}
	tell(many...)
	freedAt(t, s, flashgate.SaleID(fmt.Sprint("s", redis.MaxFreed-1)), flashgate.Position{Epoch: 1, Applied: 1}, "the last one is heard")
	if f := s.Freed(t.Context(), "s0"); f.Term != term || f.Since.Epoch == 0 {
		t.Errorf("with as many as can be kept: %+v, want the term %d", f, term)
	}
	tell("1 1 one-more")
	hears(t, s, term)
}

// TestFreedByDatabase: a sale of the same name in another database is another one.
func TestFreedByDatabase(t *testing.T) {
	t.Parallel()
	url := serverstest.Redis(t).URL()
	url, _ = strings.CutSuffix(url, "/0")
	zero, one := newStore(t, url+"/0"), newStore(t, url+"/1")
	hears(t, zero, 0)
	hears(t, one, 0)
	sale := newSale(0, 1)
	openSale(t, one, sale)
	freedAt(t, one, sale.ID, flashgate.Position{Epoch: 1}, "its own database's")
	if f := zero.Freed(t.Context(), sale.ID); f.Since.Epoch != 0 {
		t.Errorf("another database's: %+v", f)
	}
}

// TestFreedByUsers: the access list of the documentation is enough; without channels
// every verb still works, and nothing is heard.
func TestFreedByUsers(t *testing.T) {
	t.Parallel()
	r := serverstest.OwnRedis(t, servers.RedisConfig{Args: []string{
		"--user", "app", "on", ">app", "~flashgate:*", "&flashgate:*", "+@all", "-@dangerous", "+info",
		"--user", "mute", "on", ">mute", "~flashgate:*", "resetchannels", "+@all", "-@dangerous", "+info",
	}})
	app, mute := newStore(t, "redis://app:app@"+r.Addr()), newStore(t, "redis://mute:mute@"+r.Addr())
	hears(t, app, 0)
	for name, s := range map[string]*redis.Store{"app": app, "mute": mute} {
		sale := newSale(1, 1)
		openSale(t, s, sale)
		held := reservation(sale.ID, newUser(), 1)
		wantOutcome(t, s, flashgate.OutcomePublish, name, held)
		apply(t, s, sale.ID, 1, entryOf(sale.ID, 1, flashgate.ChangeRestock, flashgate.Reservation{Units: 1}))
		if err := s.Settle(t.Context(), sale.ID, 1, idsOf([]flashgate.Reservation{held})); err != nil {
			t.Errorf("%s: Settle: %v", name, err)
		}
		wantView(t, s, sale.ID, 2, 0, name)
		if name == "app" {
			freedAt(t, app, sale.ID, flashgate.Position{Epoch: 1, Applied: 2}, "it is heard")
		}
	}
	if f := mute.Freed(t.Context(), "any"); f.Term != 0 {
		t.Errorf("without channels: %+v", f)
	}
}
