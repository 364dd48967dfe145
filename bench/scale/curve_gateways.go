package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"flashgate"
	"flashgate/bench/wrk"
)

// crowdConnections are spread over the gateways.
const crowdConnections = 64

// measureGateways spreads the same load over one gateway or more, by one wrk each, all on
// one Redis, which is asked about every buyer.
func measureGateways(ctx context.Context, s settings, c *curveResult) (err error) {
	t, err := openSite(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	counts := []int{1, 2, 4}
	if err := t.addGateways(ctx, counts[len(counts)-1]); err != nil {
		return err
	}
	speed := c.figure("gateways-speed", "64 connections, spread over gateways on the same two cores", "gateways", "requests/s")
	size := c.figure("gateways-batch", "How many reservations travel together", "gateways", "reservations of a batch")
	cost := c.figure("gateways-redis", "What Redis spends on a reservation", "gateways", "Redis' CPU, µs a reservation")
	for range s.Rounds {
		for _, n := range counts {
			if err := c.calm(ctx); err != nil {
				return err
			}
			before, err := t.work(ctx)
			if err != nil {
				return err
			}
			rate, requests, err := t.spread(ctx, n, s)
			if err != nil {
				return fmt.Errorf("%d gateways: %w", n, err)
			}
			after, err := t.work(ctx)
			if err != nil {
				return err
			}
			done := after.since(before)
			const name = "stock_gate, already bought"
			speed.add(name, n, rate)
			size.add(name, n, float64(requests)/float64(done.scripts))
			cost.add(name, n, perUnit(done.cpu, requests))
		}
	}
	return nil
}

// spread asks n gateways at the same time.
func (t *site) spread(ctx context.Context, n int, s settings) (rate float64, requests int, err error) {
	loads, errs := make([]wrk.Load, n), make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			x := target{"", t.gateways[i], boughtSale, flashgate.CodeAlreadyBought}
			loads[i], errs[i] = t.sample(ctx, x, 1, crowdConnections/n, s)
		})
	}
	wg.Wait()
	for _, l := range loads {
		rate += l.PerSecond()
		requests += int(l.Requests)
	}
	return rate, requests, errors.Join(errs...)
}
