package worker_test

import (
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"
	"flashgate/orderworker/worker"
)

// What is bought becomes a row, and the gate hears of it.
func TestBuysAreApplied(t *testing.T) {
	t.Parallel()
	r := shared(t)
	w := r.work(nil)
	id := r.newSale(3)
	r.opens(id, 2)
	a, b := r.buy(id, "ann"), r.buy(id, "bob")
	r.turns(a, "pending")
	r.turns(b, "pending")
	r.quiet(id)
	if v := r.view(id); v.Free != 1 {
		t.Errorf("%d free, want 1", v.Free)
	}
	if n := w.metric("flashgate_worker_applied_entries_total"); n < 1 {
		t.Errorf("%v entries applied", n)
	}
	// A repeat is known, and takes no second unit.
	r.reserveAs(a, flashgate.OutcomeAccepted)
	r.send(a)
	r.eventually("the repeat is a duplicate", func() bool { return w.metric("flashgate_worker_duplicates_total") == 1 })
	r.quiet(id)
	r.eventually("the events are delivered", func() bool { return w.metric("flashgate_worker_events_delivered_total") == 2 })
}

// The shop and the operators write to the database alone; the gate follows.
func TestFollowsTheShop(t *testing.T) {
	t.Parallel()
	r := shared(t)
	r.work(nil)
	id := r.newSale(1)
	r.opens(id, 2)
	a := r.buy(id, "ann")
	r.turns(a, "pending")
	r.quiet(id)
	ctx := t.Context()
	if _, err := r.database.Cancel(ctx, a.Order, "ann"); err != nil {
		t.Fatal(err)
	}
	r.eventually("the cancelled unit is free", func() bool { return r.view(id).Free == 1 })
	if _, err := r.database.ChangeSale(ctx, id, flashgate.SaleChange{Restock: 5}); err != nil {
		t.Fatal(err)
	}
	r.eventually("the restocked units are free", func() bool { return r.view(id).Free == 6 })
	r.turns(r.buy(id, "ann"), "pending") // her share is back, too
	r.quiet(id)
	if _, err := r.database.ChangeSale(ctx, id, flashgate.SaleChange{Close: true}); err != nil {
		t.Fatal(err)
	}
	r.eventually("the gate knows the end", func() bool { v := r.view(id); return !v.Ends.After(v.Now) })
	r.reserveAs(r.reservation(id, "bob"), flashgate.OutcomeEnded)
	r.quiet(id)
}

// A gate that does not answer holds no ack: the orders go on, and it is told later.
func TestGateAway(t *testing.T) {
	t.Parallel()
	own := serverstest.OwnRedis(t, servers.RedisConfig{})
	r := newGateRig(t, own, serverstest.Database(t))
	// One order at a time: if the gate held each ack for a second, this took long.
	w := r.work(func(c *worker.Config) { c.MaxBatch = 1 })
	id := r.newSale(100)
	r.opens(id, 2)
	var rs []flashgate.Reservation
	for range 30 {
		rs = append(rs, r.reserve(id, "u"+flashgate.NewKey()))
	}
	r.published(rs...)
	if err := own.Pause(); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	for _, res := range rs {
		r.send(res)
	}
	for _, res := range rs {
		r.turns(res, "pending")
	}
	if took := time.Since(begin); took > 15*time.Second {
		t.Errorf("30 orders took %s while the gate was away", took)
	}
	if err := own.Resume(); err != nil {
		t.Fatal(err)
	}
	r.quiet(id)
	if n := w.metric("flashgate_worker_reconciles_total"); n != 1 {
		t.Errorf("%v reconciliations, want the first opening alone", n)
	}
}

// The database stops and starts: nothing is lost, and nothing is decided twice.
func TestDatabaseStops(t *testing.T) {
	t.Parallel()
	own := serverstest.OwnMariaDB(t)
	if err := own.CreateDatabase(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	r := newGateRig(t, serverstest.Redis(t), own.DSN("shop"))
	r.work(nil)
	id := r.newSale(10)
	r.opens(id, 2)
	before := r.buy(id, "before")
	r.turns(before, "pending")
	if err := own.Kill(); err != nil {
		t.Fatal(err)
	}
	meanwhile := r.buy(id, "meanwhile")
	if err := own.Start(); err != nil {
		t.Fatal(err)
	}
	r.turns(meanwhile, "pending")
	after := r.buy(id, "after")
	r.turns(after, "pending")
	r.quiet(id)
}

// An order that was cancelled, and of which the gate has lost the trace, is reserved
// again under its id. Its unit comes back: when the duplicate is decided, also while
// the gate is away, and when the queue loses the message.
func TestSettlesDuplicates(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name string
		send func(t *testing.T, r *gateRig, w *running, own *servers.Redis, a flashgate.Reservation)
	}{
		{"at once", func(t *testing.T, r *gateRig, w *running, own *servers.Redis, a flashgate.Reservation) {
			r.send(a)
		}},
		{"when the gate is back", func(t *testing.T, r *gateRig, w *running, own *servers.Redis, a flashgate.Reservation) {
			if err := own.Pause(); err != nil {
				t.Fatal(err)
			}
			r.send(a)
			r.eventually("it is a duplicate, and the gate does not hear of it", func() bool {
				return w.metric("flashgate_worker_duplicates_total") == 1 && w.metric("flashgate_worker_gate_failures_total", "op", "apply") > 0
			})
			if err := own.Resume(); err != nil {
				t.Fatal(err)
			}
		}},
		{"by the rescue", func(*testing.T, *gateRig, *running, *servers.Redis, flashgate.Reservation) {}},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			own := serverstest.OwnRedis(t, servers.RedisConfig{})
			r := newGateRig(t, own, serverstest.Database(t))
			w := r.work(func(c *worker.Config) {
				if x.name != "by the rescue" {
					c.Gate.Window = 3 * time.Second // so that it would come too late
				}
			})
			id := r.newSale(5)
			r.opens(id, 2)
			a := r.buy(id, "ann")
			r.turns(a, "pending")
			if _, err := r.database.Cancel(t.Context(), a.Order, "ann"); err != nil {
				t.Fatal(err)
			}
			r.quiet(id)
			forget(t, own, a)
			r.reserveAs(a, flashgate.OutcomePublish)
			r.published(a)
			begin := time.Now()
			x.send(t, r, w, own, a)
			r.quiet(id)
			if took := time.Since(begin); took > 12*time.Second {
				t.Errorf("it took %s", took)
			}
			r.eventually("it is counted", func() bool { return w.metric("flashgate_worker_settled_total") > 0 })
			if v := r.view(id); v.Free != 5 {
				t.Errorf("%d free, want 5", v.Free)
			}
		})
	}
}

// forget makes a gate forget that an order was decided.
func forget(t *testing.T, own *servers.Redis, res flashgate.Reservation) {
	t.Helper()
	client := own.Client()
	defer client.Close()
	key := "flashgate:{" + string(res.Order.Sale()) + "}:buyers"
	if n, err := client.HDel(t.Context(), key, "o:"+string(res.Order)).Result(); err != nil || n != 1 {
		t.Fatalf("the gate did not know %s: %d, %v", res.Order, n, err)
	}
}

// wipe restarts a Redis without its data.
func wipe(t testing.TB, s *servers.Redis) {
	t.Helper()
	for _, step := range []func() error{s.Kill, s.Wipe, s.Start} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
}
