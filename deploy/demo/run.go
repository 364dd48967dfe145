package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"go.uber.org/zap"
)

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
	password, err := b.service.Seed(ctx, s.passwordFile())
	if err != nil {
		return err
	}

	site, err := b.shop(shopListener, log.Named("shop"))
	if err != nil {
		return err
	}
	orders, err := b.worker(s, workerListener, log.Named("worker"))
	if err != nil {
		return errors.Join(err, site.stop())
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
	return errors.Join(err, site.endStreams(), caddy.Stop(), orders.stop(), site.stop())
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
	cfg, file, _, err := caddycmd.LoadConfig(s.caddyfile, "caddyfile")
	if err != nil {
		return fmt.Errorf("the Caddyfile: %w", err)
	}
	if err := caddy.Load(cfg, true); err != nil {
		return fmt.Errorf("the gateway (%s): %w", file, err)
	}
	return nil
}
