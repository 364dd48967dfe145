package caddymodule_test

import (
	"testing"

	"flashgate"
	"flashgate/caddymodule/gatewaytest"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"
)

// Redis stops under load and comes back: each mode does what it says meanwhile, and
// afterwards the counters in Redis count again.
func TestLimitsWhileRedisIsAway(t *testing.T) {
	server := serverstest.OwnRedis(t, servers.RedisConfig{Appendonly: "always"})
	t.Setenv("FLASHGATE_TEST_REDIS", server.URL())
	g := gatewaytest.Run(t, `{
	admin off
	persist_config off
	grace_period 2s
	log {
		output discard
	}
	flashgate {
		data_dir DATA
		state redis {env.FLASHGATE_TEST_REDIS}
	}
}
SITE {
	access_limit /closed 4 24h
	access_limit /open 4 24h {
		when_away open
	}
	access_limit /local 4 24h {
		when_away local 50%
	}
	respond "origin"
}`)
	c := g.Client(t)
	passed := func(path string, n int) (passed, refused, away int) {
		t.Helper()
		for range n {
			switch a := c.Do("GET", path); a.Status {
			case 200:
				passed++
			case 429:
				refused++
			case 503:
				away++
				if a.Code() != flashgate.CodeUnavailable || a.Header.Get("Retry-After") == "" {
					t.Errorf("%s: %+v", path, a)
				}
			default:
				t.Errorf("%s: %+v", path, a)
			}
		}
		return passed, refused, away
	}
	want := func(when, path string, n, wantPassed, wantRefused, wantAway int) {
		t.Helper()
		if p, r, a := passed(path, n); p != wantPassed || r != wantRefused || a != wantAway {
			t.Errorf("%s, %s: %d pass, %d are refused, %d get 503; want %d, %d, %d", when, path, p, r, a, wantPassed, wantRefused, wantAway)
		}
	}
	for _, path := range []string{"/closed", "/open", "/local"} {
		want("at first", path, 3, 3, 0, 0)
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	want("away", "/closed", 3, 0, 0, 3)
	want("away", "/open", 10, 10, 0, 0)
	want("away", "/local", 10, 2, 8, 0) // half of four
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "Redis counts again", func() bool { return c.Do("GET", "/closed").Status == 200 })
	want("back", "/closed", 5, 0, 5, 0)
	want("back", "/open", 5, 1, 4, 0)
	want("back", "/local", 5, 1, 4, 0)
}
