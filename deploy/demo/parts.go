package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"flashgate"
	"flashgate/internal/memory"
	"flashgate/internal/sqlite"
	"flashgate/orderworker/worker"
	"flashgate/shopapp/backend"
	"flashgate/shopapp/shop"
	"flashgate/shopapp/web"

	"go.uber.org/zap"
)

// backends are the ports, all on one file, and the shop's own counters.
type backends struct {
	store   *sqlite.Store
	state   *memory.Store
	service *shop.Service
}

func openBackends(s settings) (_ *backends, err error) {
	store, err := sqlite.Open(s.file())
	if err != nil {
		return nil, err
	}
	b := &backends{store: store}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	keys, err := s.signing()
	if err != nil {
		return nil, err
	}
	if b.state, err = memory.New(memory.Config{}); err != nil {
		return nil, err
	}
	direct, err := backend.Direct(s.env, store)
	if err != nil {
		return nil, err
	}
	b.service, err = shop.New(shop.Config{
		Users: store, Sessions: store, Goods: store, Sales: store, Orders: store, Stock: store, Limiter: b.state, Keys: keys, Direct: direct,
	})
	return b, err
}

func (b *backends) close() error {
	var err error
	if b.state != nil {
		err = b.state.Close()
	}
	return errors.Join(err, b.store.Close())
}

// part is one of the two behind the gateway.
type part struct {
	failed     chan error // when it ends by itself
	stop       func() error
	endStreams func() error // of the shop
}

// serve runs an HTTP server until it is stopped.
func serve(l net.Listener, h http.Handler, log *zap.Logger) *part {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ErrorLog: zap.NewStdLog(log)}
	failed := make(chan error, 1)
	go func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			failed <- err
		}
	}()
	return &part{failed: failed, stop: func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		return srv.Shutdown(ctx)
	}}
}

// shop trusts the gateway only when nobody else reaches it.
func (b *backends) shop(l net.Listener, log *zap.Logger) (*part, error) {
	addr, ok := l.Addr().(*net.TCPAddr)
	s, err := web.New(web.Config{
		Shop: b.service, Logger: log, TrustGateway: ok && addr.IP.IsLoopback(),
		Checks: map[string]flashgate.Checker{"database": b.store},
	})
	if err != nil {
		return nil, err
	}
	p := serve(l, s.Handler(), log)
	p.endStreams = s.Close
	return p, nil
}

func (b *backends) worker(s settings, l net.Listener, log *zap.Logger) (*part, error) {
	ttl, err := time.ParseDuration(s.orderTTL)
	if err != nil {
		return nil, fmt.Errorf("ORDER_TTL: %w (write a duration such as 15m)", err)
	}
	w, err := worker.New(worker.Config{Consumer: b.store, Ledger: b.store, Logger: log, OrderTTL: ttl})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	p := serve(l, w.Handler(), log)
	stop := p.stop
	p.stop = func() error {
		cancel()
		return errors.Join(<-done, stop())
	}
	return p, nil
}
