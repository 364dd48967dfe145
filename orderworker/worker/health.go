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
)

// checkTimeout bounds the checks of one readiness probe.
const checkTimeout = 2 * time.Second

// health knows whether the worker runs and which backend failed it last.
type health struct {
	checkers map[string]flashgate.Checker

	mu      sync.Mutex
	running bool
	failed  map[string]error
}

func newHealth(c flashgate.Consumer, l flashgate.Ledger) *health {
	h := &health{checkers: map[string]flashgate.Checker{}, failed: map[string]error{}}
	if k, ok := c.(flashgate.Checker); ok {
		h.checkers[backendQueue] = k
	}
	if k, ok := l.(flashgate.Checker); ok {
		h.checkers[backendDatabase] = k
	}
	return h
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
}

func (h *health) readiness(ctx context.Context) (readiness, bool) {
	h.mu.Lock()
	out := readiness{Status: "ready", Worker: "running", Backends: map[string]string{}}
	ready := h.running
	if !ready {
		out.Worker = "stopped"
	}
	failed := map[string]error{backendQueue: h.failed[backendQueue], backendDatabase: h.failed[backendDatabase]}
	h.mu.Unlock()

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
