package worker

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"flashgate"
)

// Defaults of Config.
const (
	DefaultOrderTTL     = 15 * time.Minute
	DefaultMaxBatch     = 1024
	DefaultDrainTimeout = 5 * time.Second
)

// Config is what a Worker needs. Consumer and Ledger are required.
type Config struct {
	Consumer flashgate.Consumer
	Ledger   flashgate.Ledger

	// Gate is for a gate apart from the database. Default: none, gate and database
	// share their transactions.
	Gate *GateConfig

	// Logger gets dead letters, retries and errors. Default: none.
	Logger *zap.Logger
	// Keys check that each order id was made for its user by a gateway that has them,
	// so that who reaches the queue cannot order for somebody else. Default: none, and
	// whatever is in the queue is decided.
	Keys flashgate.Keys
	// OrderTTL is how long an unpaid order keeps its units, counted by the
	// database's clock from the decision. At least one second; default 15 minutes.
	OrderTTL time.Duration
	// MaxBatch is the most messages that are decided together, 1 to 4096; default 1024.
	MaxBatch int
	// DrainTimeout bounds what still runs after Run's context has ended: the
	// transaction in hand, then acking and returning. Default 5 seconds.
	DrainTimeout time.Duration
	// Registry takes the metrics and is what /metrics shows. Default: one of its own.
	Registry *prometheus.Registry
}

// Worker consumes the order queue. Make it with New.
type Worker struct {
	cfg     Config
	log     *zap.Logger
	metrics *metrics
	health  *health
	figures *figures
	gate    *keeper // nil without Config.Gate
	started atomic.Bool
}

// New checks the configuration and registers the metrics; it touches no backend.
// CodeInvalid names the field that is wrong.
func New(cfg Config) (*Worker, error) {
	const op = "worker.New"
	if cfg.OrderTTL == 0 {
		cfg.OrderTTL = DefaultOrderTTL
	}
	if cfg.MaxBatch == 0 {
		cfg.MaxBatch = DefaultMaxBatch
	}
	if cfg.DrainTimeout == 0 {
		cfg.DrainTimeout = DefaultDrainTimeout
	}
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	if cfg.Registry == nil {
		cfg.Registry = prometheus.NewRegistry()
	}
	switch {
	case cfg.Consumer == nil:
		return nil, flashgate.Invalid(op, "consumer", "is required")
	case cfg.Ledger == nil:
		return nil, flashgate.Invalid(op, "ledger", "is required")
	case cfg.OrderTTL < time.Second:
		return nil, flashgate.Invalid(op, "order_ttl", "must be at least 1s, not %s", cfg.OrderTTL)
	case cfg.MaxBatch < 1 || cfg.MaxBatch > 4096:
		return nil, flashgate.Invalid(op, "max_batch", "must be 1 to 4096 messages, not %d", cfg.MaxBatch)
	case cfg.DrainTimeout < 0:
		return nil, flashgate.Invalid(op, "drain_timeout", "must not be negative")
	}
	var k *keeper
	if cfg.Gate != nil {
		gate, err := cfg.Gate.checked(op)
		if err != nil {
			return nil, err
		}
		k = newKeeper(gate, cfg.Logger)
	}
	m, err := newMetrics(cfg.Registry)
	if err == nil && k != nil {
		err = k.metrics.register(cfg.Registry)
	}
	var f *figures
	if err == nil {
		f, err = newFigures(cfg, k)
	}
	if err != nil {
		return nil, &flashgate.Error{Code: flashgate.CodeInvalid, Op: op, Field: "registry", Message: "already has a worker's metrics", Err: err}
	}
	return &Worker{cfg: cfg, log: cfg.Logger, metrics: m, health: newHealth(cfg, k), figures: f, gate: k}, nil
}

// Run works until ctx ends, then stops cleanly: the transaction in hand is
// finished, what it decided is acked, everything else is returned to the queue.
// It outlives ctx by DrainTimeout at most and then returns nil; a backend that is
// away is waited for, not an error. A Worker runs once: a second call is
// CodeInternal.
func (w *Worker) Run(ctx context.Context) error {
	if !w.started.CompareAndSwap(false, true) {
		return flashgate.Errorf(flashgate.CodeInternal, "worker.Run", "A worker runs once; make another.")
	}
	// Calls on the backends get a context that outlives ctx, so that a stop does not
	// turn a transaction in hand into an unknown one.
	calls, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		t := time.NewTimer(w.cfg.DrainTimeout)
		defer t.Stop()
		select {
		case <-t.C:
			cancel()
		case <-calls.Done():
		}
	})()

	w.health.setRunning(true)
	defer w.health.setRunning(false)
	defer context.AfterFunc(ctx, func() { w.health.setRunning(false) })()

	r := &run{Worker: w, stop: ctx, calls: calls, returned: returned{}}
	var wg sync.WaitGroup
	wg.Go(r.consume)
	wg.Go(r.expire)
	wg.Go(r.readFigures)
	if r.gate != nil {
		wg.Go(r.follow)
		wg.Go(r.look)
		wg.Go(r.relay)
		if r.gate.Events != nil {
			wg.Go(r.events)
		}
	}
	wg.Wait()
	return nil
}

// run is one life of a worker. stop ends when no new work is to be taken, calls
// when the patience for the work in hand is over.
type run struct {
	*Worker
	stop  context.Context
	calls context.Context

	returned returned    // deliveries that went back to the queue
	rush     atomic.Bool // large batches follow one another
}
