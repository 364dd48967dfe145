package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"flashgate"
	"flashgate/internal/memory"
	"flashgate/internal/sqlite"
	"flashgate/orderworker/worker"
	"flashgate/shopapp/shop"
	"flashgate/shopapp/web"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"go.uber.org/zap"
)

var _ caddyfile.Unmarshaler // the adapter is linked in

// run starts everything and returns when ctx has ended and everything is drained.
func run(ctx context.Context, s settings, out io.Writer) (err error) {
	log, err := zap.NewProduction(zap.IncreaseLevel(zap.WarnLevel))
	if err != nil {
		return err
	}
	// All addresses are taken before anything starts, so that a taken port is one
	// clear line and not a half-started demo. Caddy shares ports with other Caddys
	// (SO_REUSEPORT), so its two are tried and given back.
	for name, addr := range map[string]string{"FLASHGATE_ADDR": s.addr, "FLASHGATE_ADMIN": s.admin} {
		l, err := listen(name, addr)
		if err != nil {
			return err
		}
		l.Close()
	}
	shopListener, err := listen("SHOP_ADDR", s.shop)
	if err != nil {
		return err
	}
	defer shopListener.Close()
	workerListener, err := listen("WORKER_ADDR", s.worker)
	if err != nil {
		return err
	}
	defer workerListener.Close()

	b, err := openBackends(s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	password, err := b.seed(ctx, s)
	if err != nil {
		return err
	}

	site, err := b.shop(shopListener, log.Named("shop"))
	if err != nil {
		return err
	}
	orders, err := b.worker(s, workerListener, log.Named("worker"))
	if err != nil {
		return err
	}
	if err := startGateway(s, shopListener.Addr().String()); err != nil {
		return errors.Join(err, orders.stop(), site.stop())
	}
	fmt.Fprintf(out, "url: %s\n", siteURL(s.addr))
	fmt.Fprintf(out, "password: %s\n", password)

	select {
	case <-ctx.Done():
	case err = <-site.failed:
	case err = <-orders.failed:
	}
	// Upstream first: the event streams end themselves, then the gateway lets its
	// requests finish, then the worker empties its hands, then the shop goes.
	site.streams.Close()
	return errors.Join(err, caddy.Stop(), orders.stop(), site.stop())
}

func listen(setting, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s (%w): stop what holds it, or set %s to another address", addr, err, setting)
	}
	return l, nil
}

// siteURL is what a browser on this machine opens.
func siteURL(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host == "" || host == "0.0.0.0" || host == "::" {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// startGateway loads the Caddyfile. The shop's real address goes in by the setting
// that the Caddyfile reads.
func startGateway(s settings, shopAddr string) error {
	if err := os.Setenv("SHOP_ADDR", shopAddr); err != nil {
		return err
	}
	cfg, file, _, err := loadConfig(s.caddyfile)
	if err != nil {
		return fmt.Errorf("the Caddyfile: %w", err)
	}
	if err := caddy.Load(cfg, true); err != nil {
		return fmt.Errorf("the gateway (%s): %w", file, err)
	}
	return nil
}

func loadConfig(path string) ([]byte, string, string, error) {
	return caddycmd.LoadConfig(path, "caddyfile")
}

// backends are the ports, all on one file, and the shop's own counters.
type backends struct {
	store *sqlite.Store
	state *memory.Store
	keys  *flashgate.Keyring
}

func openBackends(s settings) (*backends, error) {
	store, err := sqlite.Open(s.file())
	if err != nil {
		return nil, err
	}
	keys, err := s.keyring()
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	state, err := memory.New(memory.Config{})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return &backends{store: store, state: state, keys: keys}, nil
}

func (b *backends) close() error { return errors.Join(b.state.Close(), b.store.Close()) }

// server is one of the parts behind the gateway.
type server struct {
	failed  chan error
	stop    func() error
	streams io.Closer // ends open event streams
}

// serve runs an HTTP server until it is stopped.
func serve(l net.Listener, h http.Handler, log *zap.Logger) (failed chan error, stop func() error) {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ErrorLog: zap.NewStdLog(log)}
	failed = make(chan error, 1)
	go func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			failed <- err
		}
	}()
	return failed, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		return srv.Shutdown(ctx)
	}
}

func (b *backends) worker(s settings, l net.Listener, log *zap.Logger) (*server, error) {
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
	failed, stop := serve(l, w.Handler(), log)
	return &server{failed: failed, stop: func() error {
		cancel()
		return errors.Join(<-done, stop())
	}}, nil
}

var _ = shop.Seed
var _ web.Config
