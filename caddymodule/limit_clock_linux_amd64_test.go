package caddymodule_test

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"flashgate/caddymodule/gatewaytest"
	"flashgate/internal/servers/serverstest"
)

var clockNames = []string{"right", "5 s ahead", "5 s behind"}

const clockSite = `
	access_limit /fixed_window/day 20 24h by header X-Key {
		algorithm fixed_window
	}
	access_limit /sliding_window/day 20 24h by header X-Key
	access_limit /token_bucket/day 20 24h by header X-Key {
		algorithm token_bucket
	}
	access_limit /fixed_window/second 10 1s by header X-Key {
		algorithm fixed_window
	}
	access_limit /sliding_window/second 10 1s by header X-Key
	access_limit /token_bucket/second 10 1s by header X-Key {
		algorithm token_bucket
	}
	access_limit /leased 100 1s by header X-Key {
		algorithm fixed_window
		lease 10
	}
	access_limit /banned 500 1s by header X-Key {
		cost {http.request.header.X-Cost}
		ban 4s after 3 in 1m
	}`

// OWASP OAT-005, scalping: a bot goes to the gateway whose clock is wrong. Three processes
// on one Redis, one with the right time, one 5 s ahead, one 5 s behind (see wrongClock):
// no more pass than with one clock, and nobody is refused for longer.
func TestOneGatewaysClockIsOff(t *testing.T) {
	gateways := limitGateways(t, serverstest.Redis(t), clockSite, "5s", "-5s")
	id := fmt.Sprint(time.Now().UnixNano())
	t.Run("a long window", func(t *testing.T) { longWindow(t, gateways, id) })
	t.Run("windows that come and go", func(t *testing.T) { shortWindows(t, gateways, id) })
	t.Run("bans", func(t *testing.T) { bansOfWrongClocks(t, gateways, id) })
}

func longWindow(t *testing.T, gateways []*gatewaytest.Client, id string) {
	var passed tally
	storm(t, gateways, 9, func(i, _ int) (string, string, bool) {
		return "/" + []string{"fixed_window", "sliding_window", "token_bucket"}[i%3] + "/day", id, i < 360
	}, func(_ int, path, _ string, a gatewaytest.Answer) {
		passed.add(fmt.Sprint(path, " ", a.Status))
		if wait, _ := strconv.Atoi(a.Header.Get("Retry-After")); a.Status == 429 && (wait < 1 || wait > 24*3600) {
			t.Errorf("%s: Retry-After %d s", path, wait)
		}
	})
	for _, path := range []string{"/fixed_window/day", "/sliding_window/day", "/token_bucket/day"} {
		if n := passed.get(path + " 200"); n != 20 {
			t.Errorf("%s: %d of 120 pass, want 20", path, n)
		}
	}
}

// shortWindows asks each gateway for a key of its own, and all of them for a shared one,
// as often as it can.
func shortWindows(t *testing.T, gateways []*gatewaytest.Client, id string) {
	paths := []string{"/fixed_window/second", "/sliding_window/second", "/token_bucket/second", "/leased"}
	keys := append(clockNames, "shared")
	var passed tally
	begin := time.Now()
	storm(t, gateways, 12, func(i, g int) (string, string, bool) {
		key := keys[g]
		if i/len(gateways)%2 == 1 {
			key = "shared"
		}
		return paths[i/7%len(paths)], key + id, time.Since(begin) < 5*time.Second
	}, func(_ int, path, key string, a gatewaytest.Answer) {
		passed.add(fmt.Sprint(path, " ", key, " ", a.Status))
	})
	seconds := time.Since(begin).Seconds()
	for _, path := range paths {
		limit, over := 10.0, 0.0
		if path == "/leased" {
			limit, over = 100, 3*9*(seconds+1)
		}
		for _, key := range keys {
			n := float64(passed.get(path + " " + key + id + " 200"))
			if n > limit*(seconds+1)+over || n < limit*(seconds-2)*0.9-over {
				t.Errorf("%s, %s: %.0f pass in %.1f s", path, key, n, seconds)
			}
		}
	}
}

// A ban of 4 s, written by any of them, holds on all of them, and then is over.
func bansOfWrongClocks(t *testing.T, gateways []*gatewaytest.Client, id string) {
	key := func(by int) string { return fmt.Sprint("banned by the one that is ", clockNames[by], id) }
	status := func(g, by int, cost string) gatewaytest.Answer {
		return gateways[g].Do("GET", "/banned", "X-Key", key(by), "X-Cost", cost)
	}
	for by := range gateways {
		for range 3 {
			if a := status(by, by, "501"); a.Status != http.StatusTooManyRequests {
				t.Fatalf("%+v", a)
			}
		}
	}
	ended := map[[2]int]time.Duration{}
	during(9*time.Second, 200*time.Millisecond, func(since time.Duration) {
		for g := range gateways {
			for by := range gateways {
				a := status(g, by, "1")
				wait, _ := strconv.Atoi(a.Header.Get("Retry-After"))
				switch {
				case a.Status == 200 && since > 2*time.Second && ended[[2]int{g, by}] == 0:
					ended[[2]int{g, by}] = since
				case a.Status == 200 && since > 2*time.Second:
				case a.Status == 200 && since > 1500*time.Millisecond:
					t.Errorf("%s passes the one that is %s after %v", key(by), clockNames[g], since)
				case a.Status == 429 && wait > 6:
					t.Errorf("%s is told to wait %d s by the one that is %s", key(by), wait, clockNames[g])
				}
			}
		}
	})
	for g := range gateways {
		for by := range gateways {
			// A clock that is read over the net is good for a second.
			if at := ended[[2]int{g, by}]; at < 2500*time.Millisecond || at > 6500*time.Millisecond {
				t.Errorf("%s: over after %v at the one that is %s", key(by), at, clockNames[g])
			}
		}
	}
}
