package stockgate_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"flashgate"
	"flashgate/caddymodule/app"
	"flashgate/caddymodule/gatewaytest"

	"github.com/caddyserver/caddy/v2"
)

func init() {
	caddy.RegisterModule(&faulty{})
	caddy.RegisterModule(&queue{})
}

// faulty is the SQLite stock behind a wire that fails as it is told.
type faulty struct {
	app.SQLite
	Fault string `json:"fault"`
}

func (*faulty) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "flashgate.stock.faulty", New: func() caddy.Module { return new(faulty) }}
}

func (f *faulty) StockKey(dir string) string { return f.Fault + " " + dir }

func (f *faulty) OpenStock(dir string) (app.StockBackend, error) {
	b, err := f.SQLite.OpenStock(dir)
	return &faultyStock{StockBackend: b, fault: f.Fault}, err
}

type faultyStock struct {
	app.StockBackend
	fault  string
	closed atomic.Bool
}

func (s *faultyStock) Destruct() error {
	s.closed.Store(true)
	return s.StockBackend.Destruct()
}

// entered and resume hold a call of the fault "held up".
var entered, resume = make(chan struct{}), make(chan struct{})

func (s *faultyStock) Reserve(ctx context.Context, sale flashgate.SaleID, rs []flashgate.Reservation) ([]flashgate.Reserved, error) {
	out := make([]flashgate.Reserved, len(rs))
	switch s.fault {
	case "reply lost":
		if _, err := s.StockBackend.Reserve(ctx, sale, rs); err != nil {
			return nil, err
		}
		return nil, errors.New("connection reset")
	case "slow":
		<-ctx.Done()
		return nil, ctx.Err()
	case "held up":
		entered <- struct{}{}
		<-resume
		if s.closed.Load() {
			return nil, errors.New("closed under a call")
		}
		return s.StockBackend.Reserve(ctx, sale, rs)
	case "reconciling":
		for i := range out {
			out[i].Outcome = flashgate.OutcomeClosed
		}
		return out, nil
	default: // to publish
		out, err := s.StockBackend.Reserve(ctx, sale, rs)
		for i := range out {
			if out[i].Outcome == flashgate.OutcomeAccepted {
				out[i] = flashgate.Reserved{Outcome: flashgate.OutcomePublish, Epoch: 1}
			}
		}
		return out, err
	}
}

// queue confirms, or does not.
type queue struct {
	Fault string `json:"fault"`
}

func (*queue) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "flashgate.queue.faulty", New: func() caddy.Module { return new(queue) }}
}

func (q *queue) QueueKey(dir string) string                 { return q.Fault + " " + dir }
func (q *queue) OpenQueue(string) (app.QueueBackend, error) { return q, nil }
func (q *queue) Destruct() error                            { return nil }
func (q *queue) Check(context.Context) error                { return nil }
func (q *queue) Publish(_ context.Context, m flashgate.Message) error {
	if q.Fault != "" {
		return errors.New(q.Fault)
	}
	return m.Validate()
}

// load runs the gate alone on a faulty backend. Only JSON can name guest backends.
func load(t *testing.T, stock, queue string) *gatewaytest.Gateway {
	t.Helper()
	g := gatewaytest.Run(t, alone)
	site, err := gatewaytest.Adapt(fmt.Sprintf("%s {\nsession_auth optional\nstock_gate POST /buy/{sale} {\ntimeout 500ms\nlocation /orders/\n}\n}", g.URL))
	if err != nil {
		t.Fatal(err)
	}
	err = g.LoadJSON(site, map[string]any{
		"data_dir": g.Dir, "stock": map[string]string{"backend": "faulty", "fault": stock}, "queue": map[string]string{"backend": "faulty", "fault": queue},
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestUnknownOutcome(t *testing.T) {
	for _, c := range []struct {
		stock, queue string
		held         bool
	}{
		{"reply lost", "", true},
		{"slow", "", false},
		{"to publish", "nack", true},
	} {
		t.Run(c.stock, func(t *testing.T) {
			g := load(t, c.stock, c.queue)
			g.Sale(t, "1", 3, 0)
			buyer := g.Login(t, "u1")
			a := buyer.Do("POST", "/buy/1")
			order := a.Member("order")
			if a.Status != 504 || a.Code() != flashgate.CodeUnknownOutcome || order == "" ||
				a.Header.Get("Location") != "/orders/"+order || a.Header.Get("Retry-After") != "2" || a.Header.Get("Cache-Control") != "no-store" {
				t.Fatalf("%+v", a)
			}
			if _, held, err := g.Store(t).Held(t.Context(), flashgate.OrderID(order)); err != nil || held != c.held {
				t.Errorf("held: %t, %v; want %t: nothing is released", held, err, c.held)
			}
			// With the backend well again the buyer repeats the id, and gets one unit.
			if err := g.Load(alone); err != nil {
				t.Fatal(err)
			}
			if again := buyer.Do("POST", "/buy/1", "Idempotency-Key", order); again.Status != 202 || again.Member("order") != order {
				t.Errorf("repeated: %+v", again)
			}
			if view, err := g.Store(t).View(t.Context(), "1"); err != nil || view.Free != 2 || view.Held != 1 {
				t.Errorf("the stock: %+v, %v; want one unit held", view, err)
			}
		})
	}
}

func TestPublished(t *testing.T) {
	g := load(t, "to publish", "")
	g.Sale(t, "1", 3, 0)
	if a := g.Login(t, "u1").Do("POST", "/buy/1"); a.Status != 202 {
		t.Errorf("%+v", a)
	}
}

func TestSaleClosed(t *testing.T) {
	g := load(t, "reconciling", "")
	g.Sale(t, "1", 3, 0)
	c := g.Login(t, "u1")
	if a := c.Do("POST", "/buy/1"); a.Status != 503 || a.Code() != flashgate.CodeSaleClosed || a.Header.Get("Retry-After") == "" {
		t.Errorf("a sale that reconciles: %+v", a)
	}
	if a := c.Do("POST", "/buy/none"); a.Code() != flashgate.CodeNotFound {
		t.Errorf("a sale that nobody knows: %+v", a)
	}
}

// A client that hangs up while its order is in flight harms nobody.
func TestAClientHangsUp(t *testing.T) {
	g := load(t, "slow", "")
	g.Sale(t, "1", 3, 0)
	c := g.Login(t, "u1")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if a, err := c.Try(ctx, "POST", "/buy/1"); err == nil {
		t.Fatalf("it was answered: %+v", a)
	}
	if a := g.Login(t, "u2").Do("POST", "/buy/1"); a.Status != 504 {
		t.Errorf("the next one: %+v", a)
	}
}

// A reload to another folder closes the old stock when its last call has ended.
func TestAReloadClosesNothingUnderACall(t *testing.T) {
	g := load(t, "held up", "")
	g.Sale(t, "1", 3, 0)
	c := g.Login(t, "u1")
	answer := make(chan gatewaytest.Answer)
	go func() {
		a, err := c.Try(t.Context(), "POST", "/buy/1")
		if err != nil {
			t.Error(err)
		}
		answer <- a
	}()
	<-entered
	err := g.Load("{\nadmin off\npersist_config off\nlog {\noutput discard\n}\nflashgate {\ndata_dir DATA/other\n}\n}\n" + alone)
	if err != nil {
		t.Fatal(err)
	}
	resume <- struct{}{}
	if a := <-answer; a.Status != 202 {
		t.Errorf("the request that was in flight: %+v", a)
	}
}
