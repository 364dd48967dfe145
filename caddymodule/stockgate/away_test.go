package stockgate_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"flashgate"
	"flashgate/caddymodule/app"
	"flashgate/caddymodule/gatewaytest"
	"flashgate/internal/gate"

	"github.com/caddyserver/caddy/v2"
)

func init() { caddy.RegisterModule(&remoteQueue{}) }

var errAway = errors.New("the broker is away")

// broker is the server behind remoteQueue.
var broker struct {
	connected atomic.Bool
	answers   atomic.Bool
	published atomic.Int32
}

// remoteQueue is a queue on a server that can be away.
type remoteQueue struct{ circuit *gate.Circuit }

func (*remoteQueue) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "flashgate.queue.remote", New: func() caddy.Module { return new(remoteQueue) }}
}

func (q *remoteQueue) QueueKey(string) string { return "" }

func (q *remoteQueue) OpenQueue(string) (app.QueueBackend, error) {
	q.circuit = gate.NewCircuit(gate.CircuitConfig{Check: q.Check})
	return q, nil
}

func (q *remoteQueue) Circuit() *gate.Circuit { return q.circuit }

func (q *remoteQueue) Destruct() error {
	q.circuit.Close()
	return nil
}

func (q *remoteQueue) Ready() error {
	if !broker.connected.Load() {
		return errAway
	}
	return nil
}

// Check connects, if the broker answers.
func (q *remoteQueue) Check(context.Context) error {
	if !broker.answers.Load() {
		return errAway
	}
	broker.connected.Store(true)
	return nil
}

func (q *remoteQueue) Publish(_ context.Context, m flashgate.Message) error {
	if !broker.answers.Load() {
		return errAway
	}
	broker.published.Add(1)
	return m.Validate()
}

func loadRemote(t *testing.T) *gatewaytest.Gateway {
	t.Helper()
	g := gatewaytest.Run(t, alone)
	site, err := gatewaytest.Adapt(g.URL + " {\nsession_auth optional\nstock_gate POST /buy/{sale}\n}")
	if err != nil {
		t.Fatal(err)
	}
	err = g.LoadJSON(site, map[string]any{
		"data_dir": g.Dir, "stock": map[string]string{"backend": "faulty", "fault": "to publish"}, "queue": map[string]string{"backend": "remote"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// A queue that is away costs one order at most: 504, and it is held. Everybody else
// is refused before anything is reserved, until the queue answers.
func TestTheQueueIsAway(t *testing.T) {
	broker.connected.Store(false)
	broker.answers.Store(false)
	broker.published.Store(0)
	g := loadRemote(t)
	g.Sale(t, "1", 5, 0)
	held := func() int64 {
		t.Helper()
		view, err := g.Store(t).View(t.Context(), "1")
		if err != nil {
			t.Fatal(err)
		}
		return view.Held
	}
	refused := func(user flashgate.UserID) {
		t.Helper()
		before := held()
		if a := g.Login(t, user).Do("POST", "/buy/1"); a.Status != 503 || a.Code() != flashgate.CodeUnavailable || a.Header.Get("Retry-After") == "" {
			t.Errorf("%+v", a)
		}
		if now := held(); now != before {
			t.Errorf("a refusal has reserved: %d held, %d before", now, before)
		}
	}
	accepted := func(user flashgate.UserID) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); ; {
			a := g.Login(t, user).Do("POST", "/buy/1")
			if a.Status == 202 {
				return
			}
			if a.Status != 503 || time.Now().After(deadline) {
				t.Fatalf("while it comes back: %+v", a)
			}
		}
	}
	refused("early1")
	refused("early2")
	broker.answers.Store(true)
	accepted("u1")

	broker.answers.Store(false)
	a := g.Login(t, "u2").Do("POST", "/buy/1")
	if a.Status != 504 || a.Member("order") == "" {
		t.Errorf("held and not published: %+v", a)
	}
	if n := held(); n != 2 {
		t.Errorf("%d held, want 2", n)
	}
	refused("u3")
	broker.answers.Store(true)
	accepted("u3")
	if n := broker.published.Load(); n != 2 || held() != 3 {
		t.Errorf("%d published and %d held, want 2 and 3", n, held())
	}
}

// With a queue the worker counts on the window.
func TestALongTimeoutAndAQueue(t *testing.T) {
	g := loadRemote(t)
	site, err := gatewaytest.Adapt(g.URL + " {\nstock_gate POST /buy/{sale} {\nuser {http.request.header.X-User}\ntimeout 3s\n}\n}")
	if err != nil {
		t.Fatal(err)
	}
	servers := map[string]any{"data_dir": g.Dir, "stock": map[string]string{"backend": "faulty"}, "queue": map[string]string{"backend": "remote"}}
	if err := g.LoadJSON(site, servers); err == nil {
		t.Error("a timeout of 3s was accepted with a queue")
	}
	if err := g.LoadJSON(site, map[string]any{"data_dir": g.Dir}); err != nil {
		t.Errorf("without a queue: %v", err)
	}
}
