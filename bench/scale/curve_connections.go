package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"flashgate"
	"flashgate/bench/wrk"
)

// target is what one row of the curves at the gateways asks.
type target struct {
	name string
	url  string
	sale flashgate.SaleID
	code flashgate.Code
}

// measureConnections drives one gateway by wrk with few and with many connections: buyers
// whom Redis refuses, such as the gateway refuses by itself, and bare Caddy giving the
// same answer.
func measureConnections(ctx context.Context, s settings, c *curveResult) (err error) {
	t, err := openSite(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	if err := t.addGateways(ctx, 1); err != nil {
		return err
	}
	gateway := t.gateways[0]
	_, body, err := buy(ctx, gateway, soldSale)
	if err != nil {
		return err
	}
	bare, err := t.gateway(ctx, "", fmt.Sprintf(bareRoute, strings.TrimSpace(body)))
	if err != nil {
		return err
	}
	targets := []target{
		{"Caddy's respond", bare, soldSale, flashgate.CodeSoldOut},
		{"stock_gate, sold out", gateway, soldSale, flashgate.CodeSoldOut},
		{"stock_gate, already bought", gateway, boughtSale, flashgate.CodeAlreadyBought},
	}
	speed := c.figure("connections-speed", "Requests a second, by connections", "connections", "requests/s")
	median := c.figure("connections-p50", "Median of the latency, by connections", "connections", "p50, µs")
	tail := c.figure("connections-p99", "99th percentile of the latency, by connections", "connections", "p99, µs")
	for _, x := range targets { // warm
		if _, err := t.sample(ctx, x, 2, 64, settings{Seconds: 1}); err != nil {
			return fmt.Errorf("%s: %w", x.name, err)
		}
	}
	for round := range s.Rounds {
		for _, n := range s.upTo(64, 1, 4, 16, 64, 256, 1024, 4096) {
			for i := range targets {
				x := targets[(i+round)%len(targets)] // who comes first has no advantage
				l, err := t.patientSample(ctx, c, x, n, s)
				if err != nil {
					return fmt.Errorf("%s, %d connections: %w", x.name, n, err)
				}
				speed.add(x.name, n, l.PerSecond())
				median.add(x.name, n, float64(l.P50))
				tail.add(x.name, n, float64(l.P99))
			}
		}
	}
	return nil
}

// tries of a sample: on a machine that is busy with something else, thousands of
// connections wait for longer than a gateway lets them, and are answered something else.
const tries = 3

// patientSample tries again where answers were wrong, and notes each such try.
func (t *site) patientSample(ctx context.Context, c *curveResult, x target, connections int, s settings) (l wrk.Load, err error) {
	for range tries {
		if err := c.calm(ctx); err != nil {
			return l, err
		}
		if l, err = t.sample(ctx, x, min(2, connections), connections, s); err == nil || ctx.Err() != nil {
			return l, err
		}
		c.Notes = append(c.Notes, fmt.Sprintf("taken again: %s, %d connections: %v", x.name, connections, err))
	}
	return l, err
}

// sample asks a target for some time; all answers must be its.
func (t *site) sample(ctx context.Context, x target, threads, connections int, s settings) (wrk.Load, error) {
	size, err := ask(ctx, x.url, x.sale, x.code)
	if err != nil {
		return wrk.Load{}, err
	}
	l, err := runWrk(ctx, t.dir, x.url, x.sale, threads, connections, s.slice())
	if err != nil {
		return l, err
	}
	if _, err := ask(ctx, x.url, x.sale, x.code); err != nil {
		return l, err
	}
	return l, check(l, size)
}

// lookUpWrk fails early, before anything was started.
func lookUpWrk() error {
	if _, err := exec.LookPath("wrk"); err != nil {
		return fmt.Errorf("wrk is missing; on Debian, as root: apt-get install --no-install-recommends wrk")
	}
	return nil
}
