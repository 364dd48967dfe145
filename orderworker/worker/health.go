package worker

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"flashgate"
)

// The backends as readiness names them.
const (
	backendQueue    = "queue"
	backendDatabase = "database"
	backendGate     = "gate"   // with Config.Gate
	backendBroker   = "broker" // with Config.Gate
)

// checkTimeout bounds the checks of one readiness probe.
const checkTimeout = 2 * time.Second

// health knows whether the worker runs and which backend failed it last.
type health struct {
	backends []string // that readiness shows
	checkers map[string]flashgate.Checker
	closed   func() int // counts the closed sales; nil without a gate of its own

	mu      sync.Mutex
	running bool
	failed  map[string]error
}

func newHealth(cfg Config, k *keeper) *health {
	h := &health{checkers: map[string]flashgate.Checker{}, failed: map[string]error{}}
	h.add(backendQueue, cfg.Consumer)
	h.add(backendDatabase, cfg.Ledger)
	if k != nil {
		h.add(backendGate, k.Stock)
		h.add(backendBroker, k.Publisher)
		h.closed = k.watch.closedCount
	}
	return h
}

func (h *health) add(name string, backend any) {
	h.backends = append(h.backends, name)
	if c, ok := backend.(flashgate.Checker); ok {
		h.checkers[name] = c
	}
}

func (h *health) setRunning(on bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running = on
}

// report notes how the last call on a backend went.
func (h *health) report(backend string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failed[backend] = err
}

// readiness is the body of /readyz.
type readiness struct {
	Status   string            `json:"status"`   // ready or not_ready
	Worker   string            `json:"worker"`   // running or stopped
	Backends map[string]string `json:"backends"` // ok or the code of the last error
	// ClosedSales counts those whose gate waits to be reconciled; absent where gate
	// and database share their transactions.
	ClosedSales *int `json:"closed_sales,omitempty"`
}

func (h *health) readiness(ctx context.Context) (readiness, bool) {
	h.mu.Lock()
	out := readiness{Status: "ready", Worker: "running", Backends: map[string]string{}}
	ready := h.running
	if !ready {
		out.Worker = "stopped"
	}
	failed := map[string]error{}
	for _, name := range h.backends {
		failed[name] = h.failed[name]
	}
	h.mu.Unlock()
	if h.closed != nil {
		n := h.closed()
		out.ClosedSales = &n
	}

	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	for name, err := range failed {
		if c := h.checkers[name]; c != nil && err == nil {
			err = c.Check(ctx)
		}
		out.Backends[name] = "ok"
		if err != nil {
			ready = false
			out.Backends[name] = string(flashgate.ErrorCode(err))
		}
	}
	if !ready {
		out.Status = "not_ready"
	}
	return out, ready
}

// Handler serves GET /healthz (200 while the process answers), GET /readyz (200
// while the worker runs and its backends answer, else 503; both with the state of
// each as JSON) and GET /metrics. It is for a private address.
func (w *Worker) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(rw http.ResponseWriter, _ *http.Request) {
		writeJSON(rw, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", func(rw http.ResponseWriter, req *http.Request) {
		body, ready := w.health.readiness(req.Context())
		status := http.StatusOK
		if !ready {
			status = http.StatusServiceUnavailable
		}
		writeJSON(rw, status, body)
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(w.cfg.Registry, promhttp.HandlerOpts{}))
	return mux
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a probe that went away needs no answer
}
