package redis_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/redis"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"
)

// rush sends n requests from both gateways at once and counts, by key, what passed.
func rush(t *testing.T, gateways []*redis.Store, n, keys int, of func(key int) flashgate.Charge) []atomic.Int64 {
	t.Helper()
	passed := make([]atomic.Int64, keys)
	var next atomic.Int64
	var wg sync.WaitGroup
	for worker := range 128 {
		wg.Go(func() {
			g := gateways[worker%len(gateways)]
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				key := i * 7919 % keys
				c := [1]flashgate.Charge{of(key)}
				if err := g.Charge(t.Context(), c[:]); err != nil {
					t.Error(err)
					return
				}
				if c[0].Verdict.Allowed {
					passed[key].Add(1)
				}
			}
		})
	}
	wg.Wait()
	return passed
}

// A million requests on ten thousand keys from two gateways: of each key exactly as many
// pass as may, whatever the algorithm, as its window outlasts the test. The other
// requests of a key are refused, and most of them without a round trip.
func TestAMillionRequests(t *testing.T) {
	t.Parallel()
	server := serverstest.OwnRedis(t, servers.RedisConfig{})
	gateways := []*redis.Store{openStore(t, redis.Config{URL: server.URL()}), openStore(t, redis.Config{URL: server.URL()})}
	n, keys := 1_000_000, 10_000
	if testing.Short() {
		n = 100_000
	}
	algorithms := []flashgate.Algorithm{flashgate.FixedWindow, flashgate.TokenBucket, flashgate.SlidingWindow}
	rate := func(key int) flashgate.Rate {
		return flashgate.Rate{Limit: 1 + key%5, Window: 24 * time.Hour, Algorithm: algorithms[key%3]}
	}
	begin := time.Now()
	passed := rush(t, gateways, n, keys, func(key int) flashgate.Charge {
		return flashgate.Charge{Key: fmt.Sprint("key ", key), Rate: rate(key)}
	})
	t.Logf("%d requests in %v", n, time.Since(begin))
	for key := range passed {
		if got, want := int(passed[key].Load()), rate(key).Limit; got != want {
			t.Errorf("%d of key %d (%+v) passed, want %d", got, key, rate(key), want)
		}
	}
}

// Where windows come and go, and requests crowd around their edges (OWASP OAT-005,
// scalping), no more pass than in all the windows that there were.
func TestTheEdgeOfAWindow(t *testing.T) {
	t.Parallel()
	server := serverstest.OwnRedis(t, servers.RedisConfig{})
	gateways := []*redis.Store{openStore(t, redis.Config{URL: server.URL()}), openStore(t, redis.Config{URL: server.URL()})}
	const limit, window = 20, 100 * time.Millisecond
	for _, a := range []flashgate.Algorithm{flashgate.FixedWindow, flashgate.TokenBucket, flashgate.SlidingWindow} {
		begin := time.Now()
		passed := rush(t, gateways, 60_000, 1, func(int) flashgate.Charge {
			return flashgate.Charge{Key: "edge " + string(a), Rate: flashgate.Rate{Limit: limit, Window: window, Algorithm: a}}
		})
		windows := int(time.Since(begin)/window) + 2
		if n := int(passed[0].Load()); n > windows*limit || n < limit {
			t.Errorf("%s: %d passed in %d windows of %d", a, n, windows, limit)
		}
	}
}

// With a lease a gateway hands out units by itself: no more than its documented bound
// passes, nearly all of the limit is used, and round trips are few.
func TestLease(t *testing.T) {
	t.Parallel()
	server := serverstest.OwnRedis(t, servers.RedisConfig{})
	gateways := []*redis.Store{openStore(t, redis.Config{URL: server.URL()}), openStore(t, redis.Config{URL: server.URL()})}
	const limit, lease, requests = 50_000, 100, 60_000
	calls := func() int64 {
		c := server.Client()
		defer c.Close()
		text, err := c.InfoMap(t.Context(), "commandstats").Result()
		if err != nil {
			t.Fatal(err)
		}
		var n int64
		for _, name := range []string{"cmdstat_evalsha", "cmdstat_eval"} {
			var k int64
			fmt.Sscanf(text["Commandstats"][name], "calls=%d", &k)
			n += k
		}
		return n
	}
	before := calls()
	passed := rush(t, gateways, requests, 1, func(int) flashgate.Charge {
		return flashgate.Charge{Key: "leased", Rate: flashgate.Rate{Limit: limit, Window: time.Hour, Algorithm: flashgate.FixedWindow}, Lease: lease}
	})
	n, trips := int(passed[0].Load()), calls()-before
	t.Logf("%d of %d passed with %d scripts", n, limit, trips)
	if n > limit+len(gateways)*(lease-1) || n < limit-len(gateways)*(lease-1)*10 {
		t.Errorf("%d passed, the limit is %d", n, limit)
	}
	if trips > requests/2 {
		t.Errorf("%d scripts for %d requests: the lease saves nothing", trips, requests)
	}
}

// A refusal is remembered: whoever goes on asking (OWASP OAT-015) costs no round trips,
// and after a reset by another gateway passes again.
func TestRefusalsAreRemembered(t *testing.T) {
	t.Parallel()
	server := serverstest.OwnRedis(t, servers.RedisConfig{})
	gateways := []*redis.Store{openStore(t, redis.Config{URL: server.URL()}), openStore(t, redis.Config{URL: server.URL()})}
	r := flashgate.Rate{Limit: 1, Window: time.Hour}
	key := "warm"
	allow := func(g int) flashgate.Verdict {
		t.Helper()
		v, err := flashgate.Allow(t.Context(), gateways[g], key, r)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	// Who begins to listen for resets forgets what it knows, once. After the second reset
	// that gets through, both have begun.
	for range 2 {
		for g, other := range []int{1, 0} {
			allow(g)
			if allow(g).Allowed {
				t.Fatal("the limit does not hold")
			}
			eventually(t, "the reset is heard of", func() bool {
				return gateways[other].Reset(t.Context(), key) == nil && allow(g).Allowed
			})
		}
	}
	key = "k"
	if !allow(0).Allowed || allow(0).Allowed || allow(1).Allowed {
		t.Fatal("the limit does not hold")
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	for range 1000 { // nobody is asked
		if v := allow(1); v.Allowed || v.RetryAfter <= 0 || v.RetryAfter > time.Hour {
			t.Fatalf("%+v", v)
		}
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the reset is heard of", func() bool {
		return gateways[0].Reset(t.Context(), "k") == nil && allow(1).Allowed
	})
}
