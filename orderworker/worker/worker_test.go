package worker_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"flashgate"
	"flashgate/orderworker/worker"
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	good := worker.Config{Consumer: r.store, Ledger: r.store}
	taken := prometheus.NewRegistry()
	first := good
	first.Registry = taken
	if _, err := worker.New(first); err != nil {
		t.Fatal(err)
	}
	for field, change := range map[string]func(*worker.Config){
		"consumer":      func(c *worker.Config) { c.Consumer = nil },
		"ledger":        func(c *worker.Config) { c.Ledger = nil },
		"order_ttl":     func(c *worker.Config) { c.OrderTTL = time.Millisecond },
		"max_batch":     func(c *worker.Config) { c.MaxBatch = 5000 },
		"drain_timeout": func(c *worker.Config) { c.DrainTimeout = -1 },
		"registry":      func(c *worker.Config) { c.Registry = taken },
	} {
		cfg := good
		change(&cfg)
		_, err := worker.New(cfg)
		if e, ok := err.(*flashgate.Error); !ok || e.Code != flashgate.CodeInvalid || e.Field != field {
			t.Errorf("New with a bad %s: %v", field, err)
		}
	}
}

func TestRunsOnce(t *testing.T) {
	t.Parallel()
	w := newRig(t).start(nil)
	w.stop()
	if err := w.worker.Run(t.Context()); flashgate.ErrorCode(err) != flashgate.CodeInternal {
		t.Errorf("a second Run: %v", err)
	}
}

// Every kind of decision, from the queue to the row.
func TestDecides(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.sale("1", 1)
	r.sale("2", 5)

	placed := r.reserve("1", "ann")
	soldOut := r.reservation("1", "bob") // past the gate: it had lost a write
	again := r.reservation("1", "ann")
	otherUser := placed
	otherUser.User = "eve"
	twoUnits := r.reservation("2", "dan")
	nobody := r.reservation("9", "ann")
	neighbour := r.reserve("2", "cid")

	r.publish("1", soldOut)
	r.publish("1", again)
	r.publish("1", placed) // once more
	r.publish("2", twoUnits)
	changed := twoUnits
	changed.Units = 2
	r.publish("2", changed)
	r.publish("9", nobody)

	w := r.start(nil)
	for id, want := range map[flashgate.OrderID]string{
		placed.Order:    "pending",
		soldOut.Order:   "rejected sold_out",
		again.Order:     "rejected already_bought",
		twoUnits.Order:  "pending",
		nobody.Order:    "dead_lettered unknown_sale",
		neighbour.Order: "pending",
	} {
		r.becomes(id, want)
	}
	r.publish("1", otherUser)
	r.eventually("both mismatches are kept", func() bool {
		return w.metric("flashgate_worker_dead_letters_total", "reason", "mismatch") == 2
	})
	for name, want := range map[string]float64{
		"flashgate_worker_duplicates_total": 1,
		"flashgate_worker_decided_total":    5,
	} {
		if got := w.metric(name); got != want {
			t.Errorf("%s = %v, want %v", name, got, want)
		}
	}
	if got := w.metric("flashgate_worker_decided_total", "status", "rejected", "reason", "sold_out"); got != 1 {
		t.Errorf("decided_total{rejected,sold_out} = %v, want 1", got)
	}
	w.stop()
	if n := r.queued(); n != 0 {
		t.Errorf("%d messages are left in the queue", n)
	}
	r.sums("1")
	r.sums("2")
}

// What cannot be read is kept, and takes nobody along.
func TestGarbageBecomesDeadLetters(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.sale("1", 10)
	before := r.reserve("1", "before")
	bodies := []string{"", "garbage\xff", `{"v":2,"sale":"1","epoch":1}`, `{"v":1,"sale":"1","epoch":1,"fence":true}`}
	for _, b := range bodies {
		r.raw([]byte(b))
	}
	good := r.reservation("1", "good")
	tooMany := r.reservation("1", "greedy")
	tooMany.Units = flashgate.MaxUnits + 1
	noID := flashgate.Reservation{Order: "nonsense", User: "ann", Units: 1}
	foreign := r.reservation("2", "lost")
	r.publish("1", tooMany, noID, good, foreign)
	after := r.reserve("1", "after")

	w := r.start(nil)
	for _, id := range []flashgate.OrderID{before.Order, good.Order, after.Order} {
		r.becomes(id, "pending")
	}
	w.stop()
	if n := r.queued(); n != 0 {
		t.Errorf("%d messages are left in the queue", n)
	}

	letters, err := r.store.DeadLetters(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	got := map[flashgate.OrderID]flashgate.DeadLetter{}
	for _, d := range letters {
		got[d.Order] = d
	}
	unreadable := func(s string) flashgate.OrderID {
		sum := sha256.Sum256([]byte(s))
		return flashgate.OrderID("unreadable." + hex.EncodeToString(sum[:]))
	}
	noIDRecord := `{"order":"nonsense","user":"ann","units":1,"at":0}`
	want := map[flashgate.OrderID]struct{ reason, record, sale string }{
		tooMany.Order:          {flashgate.ReasonInvalid, fmt.Sprintf(`{"order":"%s","user":"greedy","units":1001,"at":%d}`, tooMany.Order, tooMany.At), "1"},
		foreign.Order:          {flashgate.ReasonInvalid, fmt.Sprintf(`{"order":"%s","user":"lost","units":1,"at":%d}`, foreign.Order, foreign.At), "2"},
		unreadable(noIDRecord): {flashgate.ReasonInvalid, noIDRecord, "1"},
	}
	for _, b := range bodies {
		want[unreadable(b)] = struct{ reason, record, sale string }{flashgate.ReasonUnreadable, b, ""}
	}
	for id, x := range want {
		d, ok := got[id]
		if !ok {
			t.Errorf("%q is not kept", x.record)
			continue
		}
		if d.Reason != x.reason || string(d.Record) != x.record || string(d.Sale) != x.sale || d.Detail == "" {
			t.Errorf("%s is kept as %+v with record %q, want %+v and a detail", id, d, d.Record, x)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d dead letters, want %d", len(got), len(want))
	}
}

// One batch may hold more than a transaction takes, and an id twice.
func TestChunks(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const buyers = 1500
	r.sale("1", buyers)
	var rs []flashgate.Reservation
	for i := range buyers {
		rs = append(rs, r.reservation("1", fmt.Sprint("u", i)))
	}
	other := rs[0]
	other.User = "eve"
	r.publish("1", rs[:1000]...)
	r.publish("1", rs[1000:]...)
	r.publish("1", rs[500:1000]...) // again, in the same batch
	r.publish("1", other)
	f := &failing{Store: r.store, decide: func(rs []flashgate.Reservation) error {
		ids := map[flashgate.OrderID]bool{}
		for _, r := range rs {
			ids[r.Order] = true
		}
		if len(rs) > flashgate.MaxMessageReservations || len(ids) != len(rs) {
			t.Errorf("Decide got %d reservations with %d ids at once", len(rs), len(ids))
		}
		return nil
	}}
	w := r.start(f.use)
	r.becomes(rs[buyers-1].Order, "pending")
	r.eventually("the mismatch is kept", func() bool { return w.metric("flashgate_worker_dead_letters_total") == 1 })
	w.stop()
	if n := w.metric("flashgate_worker_decided_total", "status", "pending"); n != buyers {
		t.Errorf("%v orders decided, want %d", n, buyers)
	}
	if n := w.metric("flashgate_worker_duplicates_total"); n != 500 {
		t.Errorf("%v duplicates, want 500", n)
	}
	r.sums("1")
}

func TestExpiryGivesBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.sale("1", 1)
	w := r.start(func(c *worker.Config) { c.OrderTTL = time.Second })
	defer w.stop()
	first := r.reserve("1", "ann")
	r.becomes(first.Order, "cancelled expired")
	r.sums("1")
	// The unit is free again, and so is her share.
	second := r.reserve("1", "ann")
	r.becomes(second.Order, "pending")
	if _, err := r.store.Pay(t.Context(), second.Order, "ann"); err != nil {
		t.Fatal(err)
	}
	if got := w.metric("flashgate_worker_expired_total"); got != 1 {
		t.Errorf("expired_total = %v, want 1", got)
	}
}

func TestHandler(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.sale("1", 1)
	down := &failing{Store: r.store}
	w := r.start(func(c *worker.Config) { c.Ledger = down })
	get := func(path string) (int, string) {
		rec := httptest.NewRecorder()
		w.worker.Handler().ServeHTTP(rec, httptest.NewRequestWithContext(context.Background(), http.MethodGet, path, nil))
		return rec.Code, rec.Body.String()
	}
	ready := func(want string) func() bool {
		return func() bool {
			status, body := get("/readyz")
			var doc map[string]any
			if err := json.Unmarshal([]byte(body), &doc); err != nil {
				t.Fatal(err)
			}
			return strings.HasPrefix(fmt.Sprint(status, doc), want)
		}
	}
	r.eventually("ready", ready("200 map[backends:map[database:ok queue:ok] status:ready worker:running]"))
	down.check(true)
	r.eventually("not ready", ready("503 map[backends:map[database:unavailable queue:ok] status:not_ready"))
	down.check(false)
	r.eventually("ready again", ready("200"))
	r.becomes(r.reserve("1", "ann").Order, "pending")
	// The row is there a moment before it is counted.
	r.eventually("/metrics shows it", func() bool {
		status, body := get("/metrics")
		return status == 200 && strings.Contains(body, `flashgate_worker_decided_total{reason="",status="pending"} 1`)
	})
	w.stop()
	if status, _ := get("/readyz"); status != 503 {
		t.Errorf("/readyz of a stopped worker: %d", status)
	}
	if status, body := get("/healthz"); status != 200 || body != "{\"status\":\"ok\"}\n" {
		t.Errorf("/healthz: %d %s", status, body)
	}
}
