package worker_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/mysql"
	"flashgate/internal/rabbitmq"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"
	"flashgate/orderworker/worker"
)

// gauge reads one series; -1 when there is none.
func (w *running) gauge(name string, labels ...string) float64 {
	w.t.Helper()
	families, err := w.registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "flashgate_worker_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			found := 0
			for i, l := range m.GetLabel() {
				if 2*i+1 < len(labels) && l.GetName() == labels[2*i] && l.GetValue() == labels[2*i+1] {
					found++
				}
			}
			if found == len(labels)/2 && found == len(m.GetLabel()) {
				return m.GetGauge().GetValue()
			}
		}
	}
	return -1
}

// muted is a publisher that gets nothing through while it is on.
type muted struct {
	*rabbitmq.Publisher
	on atomic.Bool
}

func (m *muted) Publish(ctx context.Context, msg flashgate.Message) error {
	if m.on.Load() {
		return away
	}
	return m.Publisher.Publish(ctx, msg)
}

func (m *muted) PublishEvents(ctx context.Context, es []flashgate.Event) error {
	if m.on.Load() {
		return away
	}
	return m.Publisher.PublishEvents(ctx, es)
}

// stuck is a database that decides nothing while it is on.
type stuck struct {
	*mysql.Store
	on atomic.Bool
}

func (s *stuck) Decide(ctx context.Context, sale flashgate.SaleID, rs []flashgate.Reservation, ttl time.Duration) ([]flashgate.Decision, error) {
	if s.on.Load() {
		return nil, away
	}
	return s.Store.Decide(ctx, sale, rs, ttl)
}

// watched is two workers whose parts a test can stop.
type watched struct {
	*gateRig
	own     *servers.Redis
	muted   *muted
	stuck   *stuck
	workers [2]*running
}

func newWatched(t *testing.T) *watched {
	t.Helper()
	own := serverstest.OwnRedis(t, servers.RedisConfig{})
	r := newGateRig(t, own, serverstest.Database(t))
	w := &watched{gateRig: r, own: own, muted: &muted{Publisher: r.publisher}, stuck: &stuck{Store: r.database}}
	for i := range w.workers {
		w.workers[i] = r.work(func(c *worker.Config) { c.Gate.Publisher, c.Ledger = w.muted, w.stuck })
	}
	return w
}

// all waits until every worker says so of a gauge.
func (w *watched) all(what string, ok func(float64) bool, name string, labels ...string) {
	w.t.Helper()
	var got [2]float64
	defer func() {
		if w.t.Failed() {
			w.t.Logf("%s: %s%v is %v", what, name, labels, got)
		}
	}()
	w.eventually(what+": "+name, func() bool {
		for i, r := range w.workers {
			got[i] = r.gauge(name, labels...)
		}
		return ok(got[0]) && ok(got[1])
	})
}

// is waits until every worker has this value.
func (w *watched) is(want float64, when, name string, labels ...string) {
	w.t.Helper()
	w.all(when, func(v float64) bool { return v == want }, name, labels...)
}

func (w *watched) counted(name string, labels ...string) (n float64) {
	for _, r := range w.workers {
		n += r.metric("flashgate_worker_"+name, labels...)
	}
	return n
}

// aged is an age that has grown.
func aged(v float64) bool { return v > 0.5 && v < 60 }

// quietFigures waits until nothing waits any more.
func (w *watched) quietFigures(when string) {
	w.t.Helper()
	for _, name := range []string{"held_age_seconds", "held_units", "outbox_age_seconds", "outbox_reservations", "event_age_seconds",
		"dead_letters_waiting", "gate_drift_units", "gates_ahead", "closed_sales"} {
		w.is(0, when, name)
	}
	for _, queue := range []string{"orders.0", "orders.1", "dead"} {
		w.is(0, when, "queue_ready_messages", "queue", queue)
		w.is(0, when, "queue_unacked_messages", "queue", queue)
	}
}

// Every figure moves when what it is about happens, both workers say the same, and it
// goes back when it is over.
func TestFigures(t *testing.T) {
	t.Parallel()
	w := newWatched(t)
	id := w.newSale(10)
	w.opens(id, 2)
	w.quietFigures("at first")
	for _, source := range []string{"gate", "database", "queue"} {
		w.all("read", func(v float64) bool { return v > float64(time.Now().Unix()-60) }, "figures_timestamp_seconds", "source", source)
	}
	w.epochsAreCounted(id)
	w.eventually("the sums were compared", func() bool { return w.counted("gate_checks_total") >= 2 })

	w.muted.on.Store(true)
	ann := w.reserve(id, "ann")
	w.all("unpublished", aged, "outbox_age_seconds")
	w.all("unpublished", aged, "held_age_seconds")
	w.is(1, "unpublished", "outbox_reservations")
	w.is(1, "unpublished", "held_units")
	w.send(ann) // past the workers' publisher
	w.published(ann)
	w.turns(ann, "pending")
	w.all("its event is not delivered", aged, "event_age_seconds")
	w.muted.on.Store(false)
	w.quietFigures("published")

	w.stuck.on.Store(true)
	bob := w.buy(id, "bob")
	w.all("undecided", aged, "held_age_seconds")
	w.is(0, "undecided", "outbox_age_seconds")
	w.eventually("one worker has it in hand", func() bool {
		sum := 0.0
		for _, r := range w.workers {
			sum += r.gauge("queue_unacked_messages", "queue", "orders.0") + r.gauge("queue_unacked_messages", "queue", "orders.1")
		}
		return sum == 1
	})
	w.stuck.on.Store(false)
	w.turns(bob, "pending")
	w.quietFigures("decided")

	w.deadLetter(id)
	w.overAccepted(id)
}

// deadLetter: what waits for an operator does not count as stuck.
func (w *watched) deadLetter(id flashgate.SaleID) {
	w.t.Helper()
	dead := w.reserve(id, "carl")
	w.published(dead)
	letter := flashgate.DeadLetter{Order: dead.Order, Sale: id, Record: marshalled(w.t, dead), Reason: flashgate.ReasonFailed, Detail: "test"}
	if err := w.database.DeadLetter(w.t.Context(), letter); err != nil {
		w.t.Fatal(err)
	}
	w.is(1, "a dead letter", "dead_letters_waiting")
	w.is(1, "a dead letter", "held_units")
	w.is(0, "a dead letter", "held_age_seconds")
	if err := w.database.Drop(w.t.Context(), dead.Order); err != nil {
		w.t.Fatal(err)
	}
	w.quietFigures("dropped")
	w.is(0, "dropped by an operator", "over_accepted_orders", "cause", "bug")
}

func marshalled(t testing.TB, r flashgate.Reservation) []byte {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// overAccepted: a second order of a user who has one, which only a gate that has lost
// its state accepts, or one that is broken.
func (w *watched) overAccepted(id flashgate.SaleID) {
	w.t.Helper()
	again := w.reservation(id, "ann")
	w.send(again)
	w.turns(again, "rejected already_bought")
	w.is(1, "in a sale that lost nothing", "over_accepted_orders", "cause", "bug")
	w.is(0, "in a sale that lost nothing", "over_accepted_orders", "cause", "redis_loss")
	if n := w.counted("decided_total", "status", "rejected", "reason", "already_bought"); n != 1 {
		w.t.Errorf("%v rejected orders are counted", n)
	}
	lost := w.view(id).Epoch
	wipe(w.t, w.own)
	w.opens(id, lost+1)
	again = w.reservation(id, "ann")
	w.send(again)
	w.turns(again, "rejected already_bought")
	w.is(1, "after a loss", "over_accepted_orders", "cause", "redis_loss")
	w.is(1, "after a loss", "over_accepted_orders", "cause", "bug")
	w.epochsAreCounted(id)
}

// epochsAreCounted: the first and all others. On a busy machine an opening may take so long
// that it is begun again, in another epoch.
func (w *watched) epochsAreCounted(id flashgate.SaleID) {
	w.t.Helper()
	w.eventually("every epoch that was raised is counted", func() bool {
		again := float64(w.view(id).Epoch - 2)
		return w.counted("epochs_raised_total", "opening", "first") == 1 && w.counted("epochs_raised_total", "opening", "again") == again
	})
}

// While a server does not answer, its figures stay and their time stands still.
func TestFiguresOfAServerThatIsAway(t *testing.T) {
	t.Parallel()
	w := newWatched(t)
	id := w.newSale(10)
	w.opens(id, 2)
	w.stuck.on.Store(true)
	w.buy(id, "ann")
	w.is(1, "undecided", "held_units")
	if err := w.own.Kill(); err != nil {
		t.Fatal(err)
	}
	r := w.workers[0]
	before := 0.0
	w.eventually("the rounds fail", func() bool {
		before = r.gauge("figures_timestamp_seconds", "source", "gate")
		return r.metric("flashgate_worker_gate_failures_total", "op", "figures") >= 1
	})
	w.eventually("the database is read on", func() bool {
		return r.gauge("figures_timestamp_seconds", "source", "database") > before+3
	})
	if now := r.gauge("figures_timestamp_seconds", "source", "gate"); now != before {
		t.Errorf("the gate's figures were read at %v and %v, with the gate away since before", before, now)
	}
	if n := r.gauge("held_units"); n != 1 {
		t.Errorf("%v units held at the last look", n)
	}
}

// parts is a gate that shows what it holds in two parts.
type parts struct {
	worker.Gate
	empty atomic.Bool
	calls atomic.Int64
}

func (p *parts) Backlog(_ context.Context, _ flashgate.SaleID, cursor string, _ []flashgate.OrderID) (flashgate.Backlog, error) {
	now := time.Now()
	out := flashgate.Backlog{Now: now}
	ago := map[string]time.Duration{"": 3 * time.Hour, "rest": 5 * time.Hour}[cursor]
	if !p.empty.Load() {
		out.OldestHeld = now.Add(-ago)
	}
	if cursor == "" {
		out.Next = "rest"
	}
	p.calls.Add(1)
	return out, nil
}

// The oldest of what is held is known when all parts have been seen, and for as long as
// the next passage has not shown that it is gone.
func TestHeldAgeInParts(t *testing.T) {
	t.Parallel()
	r := shared(t)
	p := &parts{Gate: r.gate}
	ledger := &stuck{Store: r.database}
	ledger.on.Store(true)
	w := r.work(func(c *worker.Config) { c.Gate.Stock, c.Ledger = p, ledger })
	id := r.newSale(10)
	r.opens(id, 2)
	r.buy(id, "ann")
	hours := func(want float64) func() bool {
		return func() bool {
			return w.gauge("held_age_seconds") > 3600*want-60 && w.gauge("held_age_seconds") < 3600*want+60
		}
	}
	r.eventually("the first part is seen", hours(3))
	r.eventually("the second part is seen", hours(5))
	n := p.calls.Load()
	r.eventually("two more parts are seen", func() bool {
		if !hours(5)() {
			t.Fatalf("the oldest is forgotten: %v s", w.gauge("held_age_seconds"))
		}
		return p.calls.Load() >= n+2
	})
	p.empty.Store(true)
	r.eventually("nothing is held", hours(0))
	ledger.on.Store(false)
}

// A backend that cannot tell has no figure: a zero would say that all is well.
func TestNoFigureWithoutASource(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.start(func(c *worker.Config) {
		c.Consumer, c.Ledger = struct{ flashgate.Consumer }{r.store}, struct{ flashgate.Ledger }{r.store}
	})
	families, err := w.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if strings.Contains(f.GetHelp(), "Over several workers") {
			t.Errorf("%s is exported", f.GetName())
		}
	}
	w.stop()
}
