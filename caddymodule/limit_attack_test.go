package caddymodule_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"flashgate/caddymodule/gatewaytest"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"
)

// OWASP OAT-005, scalping: the first requests of a key come all at once, to two gateways,
// and go on over the edges of its windows. Never do more pass than the windows that there
// were allow.
func TestScalpersAtAWindowsEdge(t *testing.T) {
	const limit, keys = 3, 60
	gateways := limitGateways(t, serverstest.Redis(t), `
	access_limit /first 3 24h by header X-Key
	access_limit /edge 20 200ms by header X-Key {
		algorithm fixed_window
	}`, "0s")
	id := fmt.Sprint(time.Now().UnixNano())
	var passed tally
	storm(t, gateways, 16, func(i, _ int) (string, string, bool) { return "/first", fmt.Sprint(id, i/20), i < keys*20 },
		func(_ int, _, key string, a gatewaytest.Answer) { passed.add(fmt.Sprint(key, " ", a.Status)) })
	for i := range keys {
		if n := passed.get(fmt.Sprint(id, i, " 200")); n != limit {
			t.Errorf("%d of 20 first requests of a key pass, want %d", n, limit)
		}
	}
	begin := time.Now()
	storm(t, gateways, 16, func(int, int) (string, string, bool) { return "/edge", id, time.Since(begin) < 3*time.Second },
		func(_ int, _, _ string, a gatewaytest.Answer) { passed.add(fmt.Sprint("edge ", a.Status)) })
	windows := int(time.Since(begin)/(200*time.Millisecond)) + 1
	if n := passed.get("edge 200"); n > windows*20 || n < windows*20*6/10 {
		t.Errorf("%d pass in %d windows of 20", n, windows)
	}
}

// OWASP OAT-015, denial of service, by a retry storm: clients that are refused ask again at
// once, whatever Retry-After says. They get nothing by it, and Redis hears next to nothing
// of them.
func TestRetryStorm(t *testing.T) {
	server := serverstest.OwnRedis(t, servers.RedisConfig{})
	gateways := limitGateways(t, server, `
	access_limit /x 5 1s by header X-Key {
		algorithm fixed_window
	}`, "0s")
	scripts := func() (n int) {
		c := server.Client()
		defer c.Close()
		text, err := c.Info(t.Context(), "commandstats").Result()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(text) {
			var calls int
			if name, rest, ok := strings.Cut(line, ":calls="); ok && (name == "cmdstat_evalsha" || name == "cmdstat_eval") {
				fmt.Sscan(rest, &calls)
				n += calls
			}
		}
		return n
	}
	var asked tally
	before, begin := scripts(), time.Now()
	storm(t, gateways, 16, func(i, _ int) (string, string, bool) {
		return "/x", fmt.Sprint("key ", i%3), time.Since(begin) < 4*time.Second
	}, func(_ int, _, _ string, a gatewaytest.Answer) {
		asked.add(fmt.Sprint(a.Status))
		if a.Status == 429 && a.Header.Get("Retry-After") != "1" {
			t.Errorf("Retry-After %q", a.Header.Get("Retry-After"))
		}
	})
	windows, trips := int(time.Since(begin)/time.Second)+1, scripts()-before
	passed, refused := asked.get("200"), asked.get("429")
	t.Logf("%d pass, %d are refused, %d scripts", passed, refused, trips)
	// Three windows are whole for sure, however late the last answer comes.
	if passed > 3*5*windows || passed < 3*5*3 {
		t.Errorf("%d pass in %d windows of 3 × 5", passed, windows)
	}
	// In a window a key has the requests that pass, and each worker's question before the
	// refusal is known, perhaps once more where the memory of it ends before the window.
	if trips > 3*windows*(5+2*16) {
		t.Errorf("%d scripts for %d refused requests", trips, refused)
	}
}

// OWASP OAT-015, denial of service: Redis is stopped and comes back, twice, while two
// gateways are under load. closed refuses everybody meanwhile; open lets everybody pass;
// local goes on with its share on each gateway. Afterwards the counters in Redis, which kept
// what they had, count again.
func TestRedisRestartsUnderLoad(t *testing.T) {
	server := serverstest.OwnRedis(t, servers.RedisConfig{Appendonly: "always"})
	gateways := limitGateways(t, server, `
	access_limit /closed 4 24h by header X-Key
	access_limit /open 4 24h by header X-Key {
		when_away open
	}
	access_limit /local 4 24h by header X-Key {
		when_away local 50%
	}`, "0s")
	paths := []string{"/closed", "/open", "/local"}
	var end, away atomic.Bool // away: Redis was stopped before a request and is not being started
	var passed, told tally
	done := make(chan struct{})
	go func() {
		defer close(done)
		storm(t, gateways, 12, func(i, _ int) (string, string, bool) {
			return paths[i%3], fmt.Sprint("key ", i/3%200), !end.Load()
		}, func(_ int, path, key string, a gatewaytest.Answer) {
			if a.Status == 200 {
				passed.add(path + " " + key)
			}
			when := "there"
			if away.Load() {
				when = "away"
			}
			told.add(fmt.Sprint(when, " ", path, " ", a.Status))
		})
	}()
	count := func(when string) {
		t.Helper()
		for _, path := range paths {
			from := told.get(when+" "+path+" 200") + told.get(when+" "+path+" 429") + told.get(when+" "+path+" 503")
			eventually(t, path+" is under load, "+when, func() bool {
				return told.get(when+" "+path+" 200")+told.get(when+" "+path+" 429")+told.get(when+" "+path+" 503") > from+300
			})
		}
	}
	count("there")
	probe := func(path, key string) (status []int) {
		for range 6 {
			for _, g := range gateways {
				status = append(status, g.Do("GET", path, "X-Key", key).Status)
			}
		}
		return status
	}
	for round := range 2 {
		if err := server.Stop(); err != nil {
			t.Fatal(err)
		}
		away.Store(true)
		// Keys that nobody has seen, so that no refusal is remembered.
		fresh := fmt.Sprint("fresh ", round)
		if s := probe("/closed", fresh); slices.ContainsFunc(s, func(s int) bool { return s != 503 }) {
			t.Errorf("closed, away: %v", s)
		}
		if s := probe("/open", fresh); slices.ContainsFunc(s, func(s int) bool { return s != 200 }) {
			t.Errorf("open, away: %v", s)
		}
		s := probe("/local", fresh)
		if n := len(s) - len(slices.DeleteFunc(slices.Clone(s), func(s int) bool { return s == 200 })); n != 4 || slices.Contains(s, 503) {
			t.Errorf("local, away: %v, want 200 twice from each gateway, else 429", s)
		}
		count("away")
		away.Store(false)
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		back := fmt.Sprint("back ", round)
		for _, g := range gateways {
			eventually(t, "Redis counts again", func() bool {
				return g.Do("GET", "/closed", "X-Key", fmt.Sprint(back, time.Now().UnixNano())).Status == 200
			})
		}
		for _, path := range paths {
			s := probe(path, back)
			if n := len(s) - len(slices.DeleteFunc(s, func(s int) bool { return s == 200 })); n != 4 {
				t.Errorf("%s, back: %d of 12 pass, want 4", path, n)
			}
		}
		count("there")
	}
	end.Store(true)
	<-done
	for i := range 200 {
		key := fmt.Sprint("key ", i)
		if n := passed.get("/closed " + key); n > 4 {
			t.Errorf("closed: %d of %s pass, want 4 at most", n, key)
		}
		if n := passed.get("/local " + key); n > 4+2*2 {
			t.Errorf("local: %d of %s pass, want 4 and half of it on each of two gateways at most", n, key)
		}
	}
	if n := told.get("away /open 503") + told.get("away /local 503"); n > 0 {
		t.Errorf("%d are answered 503 by open and local", n)
	}
	t.Log(told.of)
}
