package worker_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"
	"flashgate/orderworker/worker"
)

// A new sale has nothing on its way: it is opened at once and without a fence.
func TestOpensANewSale(t *testing.T) {
	t.Parallel()
	r := shared(t)
	w, other := r.work(nil), r.work(nil)
	id := r.newSale(7)
	v := r.opens(id, 2)
	if v.Epoch != 2 || v.Free != 7 || v.Held != 0 || v.PerUser != 1 {
		t.Errorf("the gate is %+v", v)
	}
	if n := r.fenced(id); n != 0 {
		t.Errorf("fence %d was recorded", n)
	}
	name := "flashgate_worker_reconciles_total"
	r.eventually("it is counted", func() bool {
		return w.metric(name, "outcome", "opened")+other.metric(name, "outcome", "opened") == 1
	})
	if s, o := r.audited(id, "reconcile_started"), r.audited(id, "reconcile_opened"); s != 1 || o != 1 {
		t.Errorf("%d times started and %d times opened in the audit", s, o)
	}
}

// A sale that ended yesterday is opened, so that late buyers hear that it has ended.
func TestOpensAnEndedSale(t *testing.T) {
	t.Parallel()
	r := shared(t)
	id := flashgate.SaleID("e" + flashgate.NewKey()[:12])
	err := r.database.CreateSale(t.Context(), flashgate.Sale{
		ID: id, Goods: "g", PerUser: 1, Seeded: 1, Starts: time.Now().Add(-50 * time.Hour), Ends: time.Now().Add(-26 * time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	r.work(nil)
	r.opens(id, 2)
	r.reserveAs(r.reservation(id, "ann"), flashgate.OutcomeEnded)
}

// crash is what a gate loses in a test.
type crash struct {
	name string
	lose func(t *testing.T, own *servers.Redis, copied string)
}

// Redis comes back without anything, with everything, or with what it had a while ago.
// Nobody's order is lost, none is there twice, and the sums hold.
func TestRedisLosesItsState(t *testing.T) {
	t.Parallel()
	for _, c := range []crash{
		{"empty", func(t *testing.T, own *servers.Redis, _ string) { wipe(t, own) }},
		{"restarted", func(t *testing.T, own *servers.Redis, _ string) {
			stopAnd(t, own, func() {})
		}},
		{"older copy", func(t *testing.T, own *servers.Redis, copied string) {
			stopAnd(t, own, func() {
				if err := own.Wipe(); err != nil {
					t.Fatal(err)
				}
				if err := os.CopyFS(own.Dir(), os.DirFS(copied)); err != nil && !os.IsExist(err) {
					t.Fatal(err)
				}
			})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			own := serverstest.OwnRedis(t, servers.RedisConfig{Args: []string{"--appendfsync", "always"}})
			r := newGateRig(t, own, serverstest.Database(t))
			id := r.newSale(20)
			w := r.work(nil)
			r.opens(id, 2)
			rs := []flashgate.Reservation{r.buy(id, "decided-before-the-copy")}
			r.turns(rs[0], "pending")
			r.quiet(id)
			w.stop()
			// Nobody decides now.
			rs = append(rs, r.buy(id, "held-in-the-copy"))
			copied := copyOf(t, own)
			late := r.buy(id, "queued-after-the-copy")
			lost := r.reserve(id, "unpublished")
			c.lose(t, own, copied)

			w = r.work(nil)
			r.opens(id, 3)
			rs = append(rs, late)
			for _, res := range rs {
				// At once: it was drained before it was opened.
				if got := r.state(res.Order); got != "pending" {
					t.Errorf("opened while the order of %s was %s", res.User, got)
				}
			}
			if c.name == "restarted" {
				r.turns(lost, "pending")
			}
			r.quiet(id)
			if r.fenced(id) == 0 {
				t.Error("opened without a fence")
			}
			// The buyer whose reservation was lost tries again with the same id.
			if c.name != "restarted" {
				r.reserveAs(lost, flashgate.OutcomePublish)
			}
			r.turns(lost, "pending")
			after := r.buy(id, "after")
			r.turns(after, "pending")
			r.quiet(id)
			if n := w.metric("flashgate_worker_decided_total", "status", "rejected"); n != 0 {
				t.Errorf("%v orders were rejected", n)
			}
		})
	}
}

// A gate that was lost is not opened before the queue is drained.
func TestDrainsBeforeItOpens(t *testing.T) {
	t.Parallel()
	own := serverstest.OwnRedis(t, servers.RedisConfig{})
	r := newGateRig(t, own, serverstest.Database(t))
	id := r.newSale(5)
	w, poison, lift := r.refuses(id, 256)
	wipe(t, own)
	r.eventually("fences are skipped", func() bool {
		return w.metric("flashgate_worker_fences_total", "result", "skipped") >= 2
	})
	if v := r.view(id); v.Open {
		t.Errorf("the gate is open: %+v", v)
	}
	lift()
	r.opens(id, 3)
	if got := r.state(poison.Order); got != "pending" {
		t.Errorf("opened while an order in the queue was %s", got)
	}
	r.quiet(id)
}

// Between a reserve and its publishing a gateway has D. The gate is lost in between.
func TestWaitsForGateways(t *testing.T) {
	t.Parallel()
	own := serverstest.OwnRedis(t, servers.RedisConfig{})
	r := newGateRig(t, own, serverstest.Database(t))
	r.work(func(c *worker.Config) { c.Gate.Window = time.Second })
	id := r.newSale(5)
	r.opens(id, 2)
	r.turns(r.buy(id, "bob"), "pending") // the publisher is connected
	res := r.reserve(id, "ann")
	wipe(t, own)
	published := make(chan error, 1)
	time.AfterFunc(500*time.Millisecond, func() {
		published <- r.publisher.Publish(context.Background(), flashgate.NewMessage(id, 2, res))
	})
	r.opens(id, 3)
	if got := r.state(res.Order); got != "pending" {
		t.Errorf("opened while an order that was published in time was %s", got)
	}
	if err := <-published; err != nil {
		t.Fatal(err)
	}
	r.quiet(id)
}

func stopAnd(t *testing.T, own *servers.Redis, do func()) {
	t.Helper()
	if err := own.Stop(); err != nil {
		t.Fatal(err)
	}
	do()
	if err := own.Start(); err != nil {
		t.Fatal(err)
	}
}

// copyOf copies the append-only file of a running Redis.
func copyOf(t *testing.T, own *servers.Redis) string {
	t.Helper()
	to := t.TempDir()
	name := "appendonlydir"
	if err := os.CopyFS(filepath.Join(to, name), os.DirFS(filepath.Join(own.Dir(), name))); err != nil {
		t.Fatal(err)
	}
	return to
}

// slowSnapshot stops a worker in the middle of a reconciliation.
type slowSnapshot struct {
	flashgate.Reconciliation
	reached chan struct{}
}

func (s *slowSnapshot) Snapshot(ctx context.Context, _ flashgate.SaleID) (flashgate.Snapshot, error) {
	select {
	case s.reached <- struct{}{}:
	default:
	}
	<-ctx.Done()
	return flashgate.Snapshot{}, ctx.Err()
}

// A worker that stops in the middle of a reconciliation leaves it to another one,
// which takes it up without raising the epoch once more.
func TestTakesUpAnUnfinishedReconciliation(t *testing.T) {
	t.Parallel()
	r := shared(t)
	slow := &slowSnapshot{r.database, make(chan struct{}, 1)}
	first := r.work(func(c *worker.Config) { c.Gate.Reconciliation = slow })
	id := r.newSale(5)
	<-slow.reached
	second := r.work(nil)
	first.stop()
	if v := r.opens(id, 2); v.Epoch != 2 {
		t.Errorf("open in epoch %d, want 2", v.Epoch)
	}
	if n := r.audited(id, "reconcile_joined"); n != 1 {
		t.Errorf("%d times taken up, want 1", n)
	}
	// It cannot know that nothing was on its way.
	if r.fenced(id) == 0 {
		t.Error("taken up without a fence")
	}
	r.eventually("the second worker has opened it", func() bool {
		return second.metric("flashgate_worker_reconciles_total", "outcome", "opened") == 1
	})
}

// Three workers and a Redis that is wiped again and again: they never chase each
// other, each loss raises the epoch once.
func TestManyReconcilers(t *testing.T) {
	t.Parallel()
	own := serverstest.OwnRedis(t, servers.RedisConfig{})
	r := newGateRig(t, own, serverstest.Database(t))
	for range 3 {
		r.work(nil)
	}
	id := r.newSale(10)
	r.opens(id, 2)
	for round := range uint64(3) {
		res := r.buy(id, "u"+flashgate.NewKey())
		wipe(t, own)
		if v := r.opens(id, 3+round); v.Epoch != 3+round {
			t.Errorf("round %d: open in epoch %d", round, v.Epoch)
		}
		r.turns(res, "pending")
		r.quiet(id)
	}
}

func TestReconcileCommand(t *testing.T) {
	t.Parallel()
	r := shared(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	id := r.newSale(5)
	cfg := r.config()
	report := func(dry bool, action string) worker.Report {
		t.Helper()
		got, err := worker.Reconcile(ctx, cfg, id, dry)
		if err != nil || got.DryRun != dry || !strings.Contains(got.Action, action) {
			t.Errorf("Reconcile(dry %v) = %+v, %v; want %q", dry, got, err, action)
		}
		return got
	}
	report(true, "would open the gate for the first time")
	if s, err := r.database.Sale(ctx, id); err != nil || s.Epoch != 1 || r.view(id).Open {
		t.Errorf("a dry run left %+v, %v", s, err)
	}
	if got := report(false, "opened the gate in epoch 2"); got.Opened == nil || got.Opened.Free != 5 {
		t.Errorf("opened %+v", got.Opened)
	}
	r.work(nil)
	r.turns(r.buy(id, "ann"), "pending")
	r.quiet(id)
	got := report(false, "none, the gate is open")
	if !got.Compared || got.Drift != 0 || got.Missing != 0 || got.Ahead || got.Orders != 1 || got.LiveUnits != 1 || got.Opened != nil {
		t.Errorf("the report of an open sale is %+v", got)
	}
	if _, err := worker.Reconcile(ctx, cfg, "nosuchsale", true); flashgate.ErrorCode(err) != flashgate.CodeNotFound {
		t.Errorf("an unknown sale: %v", err)
	}
	if _, err := worker.Reconcile(ctx, worker.Config{}, id, true); flashgate.ErrorCode(err) != flashgate.CodeInvalid {
		t.Errorf("without a gate: %v", err)
	}
}
