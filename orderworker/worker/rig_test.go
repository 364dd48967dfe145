package worker_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"flashgate"
	"flashgate/internal/servers/serverstest"
	"flashgate/internal/sqlite"
	"flashgate/orderworker/worker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(serverstest.Closing(m)) }

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

var keys = func() *flashgate.Keyring {
	k, err := flashgate.ParseKeyring(flashgate.NewKey())
	if err != nil {
		panic(err)
	}
	return k
}()

// rig is a data file with sales and, when started, a worker on it.
type rig struct {
	t     testing.TB
	path  string
	store *sqlite.Store
	users map[flashgate.SaleID][]flashgate.UserID
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{t: t, path: filepath.Join(t.TempDir(), "flashgate.db"), users: map[flashgate.SaleID][]flashgate.UserID{}}
	r.open()
	t.Cleanup(r.close)
	return r
}

func (r *rig) open() {
	r.t.Helper()
	s, err := sqlite.Open(r.path)
	if err != nil {
		r.t.Fatal(err)
	}
	r.store = s
}

func (r *rig) close() {
	if err := r.store.Close(); err != nil {
		r.t.Error(err)
	}
}

// restart opens the file anew, as another process would.
func (r *rig) restart() {
	r.close()
	r.open()
}

func (r *rig) sale(id flashgate.SaleID, units int64) {
	r.t.Helper()
	err := r.store.CreateSale(r.t.Context(), flashgate.Sale{
		ID: id, Goods: "g", FlashPrice: 100, PerUser: 1, Seeded: units,
		Starts: time.Now().Add(-time.Hour), Ends: time.Now().Add(time.Hour),
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// reservation mints an order of a user.
func (r *rig) reservation(sale flashgate.SaleID, user string) flashgate.Reservation {
	_, id := keys.Mint(flashgate.Claim{Sale: string(sale), User: user}, time.Now().Add(time.Minute))
	r.users[sale] = append(r.users[sale], flashgate.UserID(user))
	return flashgate.Reservation{Order: id, User: flashgate.UserID(user), Units: 1, At: time.Now().UnixMilli()}
}

// reserve goes the buyer's way, through the gate, which must accept.
func (r *rig) reserve(sale flashgate.SaleID, user string) flashgate.Reservation {
	r.t.Helper()
	res := r.reservation(sale, user)
	out, err := r.store.Reserve(r.t.Context(), sale, []flashgate.Reservation{res})
	if err != nil || out[0].Outcome != flashgate.OutcomeAccepted {
		r.t.Fatalf("Reserve(%s, %s) = %v, %v", sale, user, out, err)
	}
	return res
}

// publish puts reservations into the queue past the gate, as a gate that has lost
// its state, or a broken sender, would.
func (r *rig) publish(sale flashgate.SaleID, rs ...flashgate.Reservation) {
	r.t.Helper()
	body, err := json.Marshal(flashgate.NewMessage(sale, 1, rs...))
	if err != nil {
		r.t.Fatal(err)
	}
	r.raw(body)
}

func (r *rig) raw(body []byte) {
	r.t.Helper()
	if err := r.store.PublishRaw(r.t.Context(), body); err != nil {
		r.t.Fatal(err)
	}
}

// running is a worker that runs.
type running struct {
	t        testing.TB
	worker   *worker.Worker
	registry *prometheus.Registry
	cancel   context.CancelFunc
	done     chan error
	release  func() // gives back what it consumed from; nil for nothing
}

// start runs a worker on the rig's store, or on the ports that change puts in.
func (r *rig) start(change func(*worker.Config)) *running {
	r.t.Helper()
	cfg := worker.Config{Consumer: r.store, Ledger: r.store, Registry: prometheus.NewRegistry()}
	if change != nil {
		change(&cfg)
	}
	w, err := worker.New(cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	run := &running{t: r.t, worker: w, registry: cfg.Registry, cancel: cancel, done: make(chan error, 1)}
	go func() { run.done <- w.Run(ctx) }()
	r.t.Cleanup(func() { cancel() })
	return run
}

// stop ends the worker and waits for it.
func (w *running) stop() {
	w.t.Helper()
	w.cancel()
	w.wait()
}

func (w *running) wait() {
	w.t.Helper()
	select {
	case err := <-w.done:
		if err != nil {
			w.t.Errorf("Run: %v", err)
		}
		if w.release != nil {
			w.release()
		}
	case <-time.After(patience):
		w.t.Fatal("the worker does not stop")
	}
}

// metric sums a counter over its labels, or over those that match.
func (w *running) metric(name string, labels ...string) float64 {
	w.t.Helper()
	families, err := w.registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	metrics:
		for _, m := range f.GetMetric() {
			for i := 0; i < len(labels); i += 2 {
				found := false
				for _, l := range m.GetLabel() {
					found = found || l.GetName() == labels[i] && l.GetValue() == labels[i+1]
				}
				if !found {
					continue metrics
				}
			}
			sum += m.GetCounter().GetValue()
		}
	}
	return sum
}

// eventually polls until ok, and fails with what it still waits for.
func (r *rig) eventually(what string, ok func() bool) {
	r.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			r.t.Fatalf("it never happened: %s", what)
		}
	}
}

// order is "status reason" of an order, or "none".
func (r *rig) order(id flashgate.OrderID) string {
	r.t.Helper()
	o, err := r.store.Order(context.Background(), id)
	switch {
	case flashgate.ErrorCode(err) == flashgate.CodeNotFound:
		return "none"
	case err != nil:
		r.t.Fatal(err)
	case o.Reason != "":
		return fmt.Sprint(o.Status, " ", o.Reason)
	}
	return string(o.Status)
}

// becomes waits for the state of an order.
func (r *rig) becomes(id flashgate.OrderID, want string) {
	r.t.Helper()
	var got string
	r.eventually(fmt.Sprintf("order %s is %s", id, want), func() bool { got = r.order(id); return got == want })
}

// queued is how many messages are in the queue, whoever has them in hand.
func (r *rig) queued() (n int) {
	r.t.Helper()
	db, err := sql.Open("sqlite", "file:"+r.path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow("SELECT count(*) FROM queue").Scan(&n); err != nil {
		r.t.Fatal(err)
	}
	return n
}

// sums checks P4 and P3 of a sale that is quiet: no unit lost, none held.
func (r *rig) sums(id flashgate.SaleID) {
	r.t.Helper()
	ctx := context.Background()
	s, err := r.store.Sale(ctx, id)
	if err != nil {
		r.t.Fatal(err)
	}
	gate, err := r.store.View(ctx, id)
	if err != nil {
		r.t.Fatal(err)
	}
	var live int64
	seen := map[flashgate.UserID]bool{}
	for _, u := range r.users[id] {
		if seen[u] {
			continue
		}
		seen[u] = true
		orders, err := r.store.OrdersOf(ctx, u, 1000)
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
			r.t.Errorf("user %s has %d units of sale %s, %d are allowed", u, mine, id, s.PerUser)
		}
		live += mine
	}
	if s.Seeded != s.StockLeft+live {
		r.t.Errorf("sale %s: seeded %d, but %d left + %d live", id, s.Seeded, s.StockLeft, live)
	}
	if gate.Held != 0 || gate.Free != s.StockLeft {
		r.t.Errorf("sale %s: the gate has %d free and %d held, the database %d left", id, gate.Free, gate.Held, s.StockLeft)
	}
}
