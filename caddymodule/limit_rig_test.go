package caddymodule_test

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"flashgate/caddymodule/gatewaytest"
	"flashgate/internal/servers"
)

// limited is a site of access limits whose counters are in Redis.
const limited = `{
	admin off
	persist_config off
	grace_period 2s
	log {
		output discard
	}
	flashgate {
		state redis {env.FLASHGATE_TEST_REDIS}
	}
}
SITE {
`

// limitGateways runs gateways with these directives on one Redis: the first in this
// process, one more for each clock, which says how far its wall clock is ahead.
func limitGateways(t *testing.T, r *servers.Redis, directives string, clocks ...string) []*gatewaytest.Client {
	t.Helper()
	t.Setenv("FLASHGATE_TEST_REDIS", r.URL())
	text := limited + directives + "\n\trespond origin\n}\n"
	all := []*gatewaytest.Client{keepAlive(gatewaytest.Run(t, text).Client(t))}
	for _, clock := range clocks {
		t.Setenv("FLASHGATE_TEST_CLOCK", clock)
		all = append(all, keepAlive(secondOf(t, text).Client(t)))
	}
	return all
}

func keepAlive(c *gatewaytest.Client) *gatewaytest.Client {
	t := c.HTTP.Transport.(*http.Transport)
	t.DisableKeepAlives, t.MaxIdleConnsPerHost = false, 64
	return c
}

// storm sends requests from workers until each worker's next says no, and hands every
// answer to told.
func storm(t *testing.T, gateways []*gatewaytest.Client, workers int, next func(i, gateway int) (path, key string, ok bool), told func(gateway int, path, key string, a gatewaytest.Answer)) {
	t.Helper()
	var n atomic.Int64
	var wg sync.WaitGroup
	for worker := range workers {
		g := worker % len(gateways)
		wg.Go(func() {
			for {
				path, key, ok := next(int(n.Add(1))-1, g)
				if !ok {
					return
				}
				a, err := gateways[g].Try(t.Context(), "GET", path, "X-Key", key)
				if err != nil {
					t.Error(err)
					return
				}
				told(g, path, key, a)
			}
		})
	}
	wg.Wait()
}

// tally counts by name, from any goroutine.
type tally struct {
	mu sync.Mutex
	of map[string]int
}

func (c *tally) add(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[string]int{}
	}
	c.of[name]++
}

func (c *tally) get(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of[name]
}

// during calls f again and again, a tick apart, for a time.
func during(d, every time.Duration, f func(since time.Duration)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for begin := time.Now(); time.Since(begin) < d; <-tick.C {
		f(time.Since(begin))
	}
}
