package worker_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"flashgate"
	"flashgate/internal/mysql"
	"flashgate/internal/rabbitmq"
	"flashgate/internal/redis"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"
	"flashgate/orderworker/worker"
)

// window is the D of these tests.
const window = 300 * time.Millisecond

// gateRig is a sale's three servers: a database and a queue of its own on the shared
// ones, and a Redis, the shared one unless the test stops it.
type gateRig struct {
	*rig
	database  *mysql.Store
	gate      *redis.Store
	publisher *rabbitmq.Publisher
	amqp      rabbitmq.Config
	sold      atomic.Int64 // orders that its gateways have promised
}

func newGateRig(t testing.TB, gate *servers.Redis, dsn string) *gateRig {
	t.Helper()
	return newGateRigOn(t, gate, dsn, queueOfItsOwn(t))
}

func newGateRigOn(t testing.TB, gate *servers.Redis, dsn string, amqp rabbitmq.Config) *gateRig {
	t.Helper()
	r := &gateRig{rig: &rig{t: t, users: map[flashgate.SaleID][]flashgate.UserID{}}, amqp: amqp}
	var err error
	if r.database, err = mysql.Open(mysql.Config{DSN: dsn}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, r.database.Close()) })
	if err := r.database.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r.gate, err = redis.Open(redis.Config{URL: gate.URL()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, r.gate.Close()) })
	if r.publisher, err = rabbitmq.OpenPublisher(r.amqp); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, r.publisher.Close()) })
	return r
}

// shared is a rig on the shared servers.
func shared(t testing.TB) *gateRig {
	t.Helper()
	return newGateRig(t, serverstest.Redis(t), serverstest.Database(t))
}

func closed(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// config is the configuration of a worker of the rig, without its consumer.
func (r *gateRig) config() worker.Config {
	return worker.Config{Ledger: r.database, Gate: &worker.GateConfig{
		Stock: r.gate, Log: r.database, Fences: r.database, Sales: r.database, Orders: r.database, Reconciliation: r.database,
		Publisher: r.publisher, Events: r.database, Window: window,
	}}
}

// work starts a worker with a consumer of its own.
func (r *gateRig) work(change func(*worker.Config)) *running {
	r.t.Helper()
	consumer, err := rabbitmq.OpenConsumer(r.amqp)
	if err != nil {
		r.t.Fatal(err)
	}
	release := sync.OnceFunc(func() { closed(r.t, consumer.Close()) })
	r.t.Cleanup(release)
	cfg := r.config()
	cfg.Consumer, cfg.Registry = consumer, prometheus.NewRegistry()
	if change != nil {
		change(&cfg)
	}
	w, err := worker.New(cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	run := &running{t: r.t, worker: w, registry: cfg.Registry, cancel: cancel, done: make(chan error, 1), release: release}
	ended := make(chan struct{})
	go func() {
		run.done <- w.Run(ctx)
		close(ended)
	}()
	// Before the rig's stores are closed, and waited for: a worker that still runs
	// would fail on them.
	r.t.Cleanup(func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(patience):
			r.t.Error("the worker does not stop")
		}
	})
	return run
}

// newSale creates a sale with an id of its own.
func (r *gateRig) newSale(units int64) flashgate.SaleID {
	r.t.Helper()
	id := flashgate.SaleID("w" + flashgate.NewKey()[:12])
	err := r.database.CreateSale(r.t.Context(), flashgate.Sale{
		ID: id, Goods: "g", FlashPrice: 100, PerUser: 1, Seeded: units,
		Starts: time.Now().Add(-time.Hour), Ends: time.Now().Add(time.Hour),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

// view reads the gate; a sale that it does not have is a view that is not open.
func (r *gateRig) view(id flashgate.SaleID) flashgate.StockView {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	v, err := r.gate.View(ctx, id)
	if err != nil {
		return flashgate.StockView{}
	}
	return v
}

// opens waits until the gate is open in an epoch of at least min.
func (r *gateRig) opens(id flashgate.SaleID, min uint64) flashgate.StockView {
	r.t.Helper()
	var v flashgate.StockView
	r.eventually(fmt.Sprintf("the gate of %s is open in epoch %d", id, min), func() bool {
		v = r.view(id)
		return v.Open && v.Epoch >= min
	})
	return v
}

// reserve takes one unit for a user and stops there, as a gateway that died would.
func (r *gateRig) reserve(id flashgate.SaleID, user string) flashgate.Reservation {
	r.t.Helper()
	res := r.reservation(id, user)
	r.reserveAs(res, flashgate.OutcomePublish)
	return res
}

func (r *gateRig) reserveAs(res flashgate.Reservation, want flashgate.Outcome) {
	r.t.Helper()
	out, err := r.gate.Reserve(r.t.Context(), res.Order.Sale(), []flashgate.Reservation{res})
	if err != nil || out[0].Outcome != want {
		r.t.Fatalf("Reserve(%s) = %+v, %v; want outcome %d", res.Order, out, err, want)
	}
}

// send publishes reservations, again until it is confirmed: the broker is slow to greet
// many tests at once.
func (r *gateRig) send(rs ...flashgate.Reservation) {
	r.t.Helper()
	m := flashgate.NewMessage(rs[0].Order.Sale(), 2, rs...)
	r.eventually("the message is published", func() bool { return r.publisher.Publish(context.Background(), m) == nil })
}

// published takes reservations out of the outbox.
func (r *gateRig) published(rs ...flashgate.Reservation) {
	r.t.Helper()
	var ids []flashgate.OrderID
	for _, res := range rs {
		ids = append(ids, res.Order)
	}
	if err := r.gate.Published(r.t.Context(), rs[0].Order.Sale(), ids); err != nil {
		r.t.Fatal(err)
	}
}

// buy goes the buyer's whole way up to the 202.
func (r *gateRig) buy(id flashgate.SaleID, user string) flashgate.Reservation {
	r.t.Helper()
	res := r.reserve(id, user)
	r.send(res)
	r.published(res)
	return res
}

// state is "status reason" of an order, or "none".
func (r *gateRig) state(id flashgate.OrderID) string {
	r.t.Helper()
	o, err := r.database.Order(context.Background(), id)
	switch {
	case flashgate.ErrorCode(err) == flashgate.CodeNotFound:
		return "none"
	case err != nil:
		return "unknown: " + err.Error()
	}
	return strings.TrimSpace(fmt.Sprint(o.Status, " ", o.Reason))
}

// turns waits for the state of an order.
func (r *gateRig) turns(res flashgate.Reservation, want string) {
	r.t.Helper()
	var got string
	defer func() {
		if got != want {
			r.t.Logf("order %s is %s", res.Order, got)
		}
	}()
	r.eventually(fmt.Sprintf("order %s is %s", res.Order, want), func() bool { got = r.state(res.Order); return got == want })
}

// quiet waits until the gate holds nothing and has applied everything, and then checks
// P4 and P3: no unit lost, nobody over the limit.
func (r *gateRig) quiet(id flashgate.SaleID) {
	r.t.Helper()
	ctx := context.Background()
	var v flashgate.StockView
	var s flashgate.Sale
	defer func() {
		if r.t.Failed() {
			r.t.Logf("the gate has %+v, the database %+v", v, s)
		}
	}()
	r.eventually("the gate is quiet", func() bool {
		var err error
		v = r.view(id)
		if s, err = r.database.Sale(ctx, id); err != nil {
			return false
		}
		return v.Open && v.Held == 0 && v.Applied == s.Seq
	})
	if v.Free != s.StockLeft {
		r.t.Errorf("%d free at the gate, %d left in the database", v.Free, s.StockLeft)
	}
	var live int64
	seen := map[flashgate.UserID]bool{}
	for _, u := range r.users[id] {
		if seen[u] {
			continue
		}
		seen[u] = true
		orders, err := r.database.OrdersOf(ctx, u, 1000)
		if err != nil {
			r.t.Fatal(err)
		}
		mine := int64(0)
		for _, o := range orders {
			if o.Sale == id && o.Status.Live() {
				mine += int64(o.Units)
			}
		}
		if mine > int64(s.PerUser) {
			r.t.Errorf("user %s has %d units", u, mine)
		}
		live += mine
	}
	if s.Seeded != s.StockLeft+live {
		r.t.Errorf("seeded %d, but %d left + %d live", s.Seeded, s.StockLeft, live)
	}
}

// audited counts a sale's audit rows of an action.
func (r *gateRig) audited(id flashgate.SaleID, action string) (n int) {
	r.t.Helper()
	rows, err := r.database.Audits(r.t.Context(), id, 1000)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, a := range rows {
		if a.Action == action {
			n++
		}
	}
	return n
}

func (r *gateRig) drawFence(id flashgate.SaleID) uint64 {
	r.t.Helper()
	n, err := r.database.DrawFence(r.t.Context(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

func (r *gateRig) fenced(id flashgate.SaleID) uint64 {
	r.t.Helper()
	n, err := r.database.Fenced(context.Background(), id)
	if err != nil {
		return 0
	}
	return n
}

// queueOfItsOwn is a queue on the shared broker that no other test uses.
func queueOfItsOwn(t testing.TB) rabbitmq.Config {
	t.Helper()
	return rabbitmq.Config{URL: serverstest.RabbitMQ(t).URL(), Prefix: "w" + flashgate.NewKey()[:16], Queues: 2}
}
