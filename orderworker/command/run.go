package command

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"flashgate"
	"flashgate/orderworker/worker"
)

// run is the worker's process: it decides orders and serves health and metrics until
// ctx ends, then drains.
func (c *cli) run(ctx context.Context, _ []string) (err error) {
	const op = "command.run"
	ttl, err := c.orderTTL()
	if err != nil {
		return err
	}
	b, err := c.open(ctx, useQueue)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()

	log := c.logger()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	cfg := b.worker
	if cfg.Keys, err = c.keys(log); err != nil {
		return err
	}
	cfg.Logger, cfg.OrderTTL, cfg.Registry = log, ttl, registry
	w, err := worker.New(cfg)
	if err != nil {
		return err
	}
	if err := b.migrate(ctx, log); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", c.addr())
	if err != nil {
		return &flashgate.Error{Code: flashgate.CodeUnavailable, Op: op, Err: err,
			Message: "Cannot listen for health and metrics; choose another address with WORKER_ADDR"}
	}
	server := &http.Server{Handler: w.Handler(), ReadHeaderTimeout: 5 * time.Second, ErrorLog: zap.NewStdLog(log)}
	log.Info("worker started", zap.String("address", listener.Addr().String()), zap.Stringer("order_ttl", ttl), zap.String("version", buildVersion()))

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() {
		err := server.Serve(listener)
		cancel() // a worker that nobody can watch stops
		served <- err
	}()
	err = w.Run(ctx)

	// Health is served until the last order is written, so that a supervisor sees
	// the worker draining.
	closing, done := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer done()
	if serr := server.Shutdown(closing); serr != nil {
		err = errors.Join(err, server.Close())
	}
	if serr := <-served; !errors.Is(serr, http.ErrServerClosed) {
		err = errors.Join(err, &flashgate.Error{Code: flashgate.CodeUnavailable, Op: op, Message: "Health and metrics cannot be served", Err: serr})
	}
	log.Info("worker stopped")
	return err
}

// logger writes one JSON object a line to Stderr.
func (c *cli) logger() *zap.Logger {
	cfg := zap.NewProductionEncoderConfig()
	cfg.EncodeTime = zapcore.RFC3339TimeEncoder
	return zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(cfg), zapcore.Lock(zapcore.AddSync(c.Stderr)), zapcore.InfoLevel))
}
