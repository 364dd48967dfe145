package stockmachine

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"testing"
	"time"

	"flashgate"

	"pgregory.net/rapid"
)

// Run drives systems through random histories, as many and as long as rapid's flags
// say, each on a new system or on one with room for another sale. It fails as well when
// something that the histories are about has never happened in all of them.
func Run(t *testing.T, open func() (System, error)) {
	t.Helper()
	counts := map[string]int{}
	apart := false
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{t: t, counts: counts}
		sys, err := open()
		if err != nil {
			t.Fatalf("the system does not start: %v", err)
		}
		apart = sys.Apart != nil
		m.sys = plant(sys)
		defer func() {
			if err := m.sys.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}()
		m.setUp()
		t.Repeat(m.actions())
		m.rest()
		m.count("histories")
	})
	t.Logf("%v", counts)
	for _, what := range happens(apart) {
		if counts["histories"] >= enough && counts[what] == 0 {
			t.Errorf("in %d histories there were no %s", counts["histories"], what)
		}
	}
}

// enough histories are those in which everything happens; a shorter run may lack some.
const enough = 30

// happens is what the histories are about, as far as it happens often enough for none
// of it to be missing by chance. The log says how often the rest of it did.
func happens(apart bool) []string {
	whats := []string{"purchases", "duplicates", "ends of every process", "changes: placed", "changes: cancelled", "changes: window"}
	if apart {
		whats = append(whats, "reservations to publish", "publishes without a confirm", "leases", "entries that were applied already",
			"incarnations", "openings", "reconcilers at the same time")
	}
	return whats
}

// machine is one history.
type machine struct {
	t      *rapid.T // of the action that runs
	sys    System
	counts map[string]int // what has happened, in all histories

	// The model.
	gate   gate
	tables *Tables
	queue  []*queued
	copied *head // what Backup has kept

	sale  flashgate.SaleID
	users []flashgate.UserID
	asked []flashgate.Reservation // in order, one for each id
	told  map[flashgate.OrderID]bool
	lost  bool // the gate has lost writes, or never had what the queue has

	log    []flashgate.LogEntry // as the database wrote it
	left   map[uint64]int64     // stock left, by the seq that led to it
	states map[flashgate.OrderID]flashgate.Status

	// What processes have in hand, or had: it may come late.
	intents   []flashgate.Reservation // to be published
	confirmed []flashgate.OrderID     // published, and not told to the gate yet
	inFlight  []*queued
	owed      []owed
	attempts  []*attempt
	opened    uint64 // the epoch of the last opening in the audit
	snapshots int
}

// queued is a message of the queue.
type queued struct {
	rs       []flashgate.Reservation
	delivery flashgate.Delivery // while it is in flight
	inFlight bool
	done     map[flashgate.OrderID]bool // decided or kept as a dead letter
}

// owed is what is to be settled: ids that were found to be decided at or before seq.
type owed struct {
	seq uint64
	ids []flashgate.OrderID
}

// keys mints all order ids.
var keys = sync.OnceValue(func() *flashgate.Keyring {
	k, err := flashgate.ParseKeyring(flashgate.NewKey())
	if err != nil {
		panic(err)
	}
	return k
})

func unique() string { return strings.ToLower(rand.Text()[:16]) }

func (m *machine) ctx() context.Context { return m.t.Context() }

func (m *machine) apart() bool { return m.sys.Apart != nil }

// must ends the history when a call failed that cannot.
func (m *machine) must(err error, what string) {
	if err != nil {
		m.t.Fatalf("%s: %v", what, err)
	}
}

func (m *machine) int(from, to int, what string) int { return rapid.IntRange(from, to).Draw(m.t, what) }

func (m *machine) bool(what string) bool { return rapid.Bool().Draw(m.t, what) }

// pick draws one of a list.
func pick[T any](m *machine, from []T, what string) T {
	return from[m.int(0, len(from)-1, what)]
}

// some draws a part of a list that is not empty.
func some[T any](m *machine, from []T, what string) []T {
	first := m.int(0, len(from)-1, what+" from")
	return from[first:m.int(first+1, len(from), what+" to")]
}

// unpaid is the time to live of an order that is not to expire; one without any is due
// at once.
const unpaid = time.Hour

func (m *machine) ttl() time.Duration {
	if m.int(0, 3, "ttl") == 3 {
		return 0
	}
	return unpaid
}

// current is the window that is open now.
func current() (starts, ends time.Time) {
	return instant().Add(-time.Hour), instant().Add(time.Hour)
}

func (m *machine) setUp() {
	starts, ends := current()
	sale := flashgate.Sale{
		ID: flashgate.SaleID("s" + unique()), Goods: "goods", FlashPrice: 1999, Starts: starts, Ends: ends,
		PerUser: 5 - m.int(1, 4, "units per user"), Seeded: int64(12 - m.int(0, 12, "units")),
	}
	m.sale, m.tables = sale.ID, NewTables()
	m.told, m.states, m.left = map[flashgate.OrderID]bool{}, map[flashgate.OrderID]flashgate.Status{}, map[uint64]int64{0: sale.Seeded}
	for range 4 {
		m.users = append(m.users, flashgate.UserID("u"+unique()))
	}
	m.must(m.tables.CreateSale(m.ctx(), sale), "the model's CreateSale")
	m.must(m.sys.Database.CreateSale(m.ctx(), sale), "CreateSale")
	if m.apart() {
		m.reconcile(true)
		return
	}
	m.gate.shared = true
	h := newHead()
	h.epoch, h.free, h.bound, h.starts, h.ends, h.perUser = 1, sale.Seeded, m.sys.Bound, starts, ends, sale.PerUser
	m.gate.head = h
}

// actions are the steps, by name; the more names an action has, the more often it is
// drawn. Those that have nothing to do pass.
func (m *machine) actions() map[string]func(*rapid.T) {
	actions := map[string]func(*rapid.T){"": m.with(m.check)}
	add := func(weight int, name string, action func()) {
		for i := range weight {
			actions[name+strings.Repeat("'", i)] = m.with(action)
		}
	}
	add(8, "Buy", m.buy)
	add(8, "Work", m.work)
	add(4, "Cancel", m.cancel)
	add(1, "Pay", m.pay)
	add(1, "Expire", m.expire)
	add(1, "Restock", m.restock)
	add(1, "Window", m.window)
	add(2, "DeadLetter", m.deadLetter)
	add(1, "Reopen", m.reopen)
	if m.apart() {
		add(1, "Stranger", m.stranger)
		add(2, "Relay", m.relay)
		add(3, "Publish late", m.publishLate)
		add(1, "Confirm late", m.confirmLate)
		add(2, "Follow", m.follow)
		add(2, "Apply late", m.applyLate)
		add(2, "Settle late", m.settleLate)
		add(1, "Rescue", m.rescue)
		add(6, "Reconcile", m.step)
		add(1, "Renew", m.renew)
		add(1, "Flush", m.flush)
		add(1, "Backup", m.backup)
		add(1, "Rewind", m.rewind)
	}
	return actions
}

// with lets an action draw from its own T.
func (m *machine) with(action func()) func(*rapid.T) {
	return func(t *rapid.T) {
		m.t = t
		action()
	}
}

// count notes that something has happened.
func (m *machine) count(what string) { m.counts[what]++ }

// pass ends an action that has nothing to do, before it has drawn anything.
func (m *machine) pass(when bool) {
	if when {
		m.t.SkipNow()
	}
}
