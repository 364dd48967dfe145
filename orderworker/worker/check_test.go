package worker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"flashgate"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"
	"flashgate/orderworker/worker"
)

// richer is a gate that gives one unit too many.
type richer struct{ worker.Gate }

func (g richer) View(ctx context.Context, id flashgate.SaleID) (flashgate.StockView, error) {
	v, err := g.Gate.View(ctx, id)
	v.Free++
	return v, err
}

func TestReportsDrift(t *testing.T) {
	t.Parallel()
	r := shared(t)
	w := r.work(func(c *worker.Config) { c.Gate.Stock = richer{c.Gate.Stock} })
	id := r.newSale(5)
	r.opens(id, 2)
	r.eventually("the worker finds the drift", func() bool {
		return w.metric("flashgate_worker_gate_drifts_total") > 0 && w.gauge("gate_drift_units") == 1
	})
	cfg := r.config()
	cfg.Gate.Stock = richer{cfg.Gate.Stock}
	got, err := worker.Reconcile(t.Context(), cfg, id, false)
	if err != nil || !got.Compared || got.Drift != 1 {
		t.Errorf("the report is %+v, %v; want a drift of 1", got, err)
	}
	if v := r.view(id); v.Epoch != 2 {
		t.Errorf("an open sale was touched: %+v", v)
	}
}

// further is a gate that knows a change which the database does not.
type further struct{ worker.Gate }

func (g further) View(ctx context.Context, id flashgate.SaleID) (flashgate.StockView, error) {
	v, err := g.Gate.View(ctx, id)
	v.Applied++
	return v, err
}

func TestReportsAGateThatIsAhead(t *testing.T) {
	t.Parallel()
	r := shared(t)
	w := r.work(func(c *worker.Config) { c.Gate.Stock = further{c.Gate.Stock} })
	r.opens(r.newSale(5), 2)
	r.opens(r.newSale(5), 2)
	r.eventually("the worker finds both", func() bool { return w.gauge("gates_ahead") == 2 })
	if n := w.metric("flashgate_worker_gate_checks_total"); n != 0 {
		t.Errorf("%v checks have compared what cannot be compared", n)
	}
}

// The states of all four backends, and how many sales are closed.
func TestReadinessWithAGate(t *testing.T) {
	t.Parallel()
	own := serverstest.OwnRedis(t, servers.RedisConfig{})
	r := newGateRig(t, own, serverstest.Database(t))
	id := r.newSale(5)
	w, _, lift := r.refuses(id, 256) // so that it stays closed
	ready := func(want string) func() bool {
		return func() bool {
			rec := httptest.NewRecorder()
			w.worker.Handler().ServeHTTP(rec, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/readyz", nil))
			var doc map[string]any
			if err := json.Unmarshal(rec.Body.Bytes(), &doc); err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(rec.Code, doc) == want
		}
	}
	r.eventually("ready", ready("200 map[backends:map[broker:ok database:ok gate:ok queue:ok] closed_sales:0 status:ready worker:running]"))
	if err := own.Kill(); err != nil {
		t.Fatal(err)
	}
	r.eventually("the gate is away", ready("503 map[backends:map[broker:ok database:ok gate:unavailable queue:ok] closed_sales:0 status:not_ready worker:running]"))
	if err := own.Start(); err != nil {
		t.Fatal(err)
	}
	r.eventually("the gate is closed", ready("200 map[backends:map[broker:ok database:ok gate:ok queue:ok] closed_sales:1 status:ready worker:running]"))
	lift()
	r.eventually("ready again", ready("200 map[backends:map[broker:ok database:ok gate:ok queue:ok] closed_sales:0 status:ready worker:running]"))
}
