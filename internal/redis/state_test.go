package redis_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/ratelimit"
	"flashgate/internal/redis"
	"flashgate/internal/servers/serverstest"

	goredis "github.com/redis/go-redis/v9"
)

// keysOf lists what is under a prefix, on all nodes.
func keysOf(t testing.TB, url, prefix string) map[string]time.Duration {
	t.Helper()
	opts, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c := goredis.NewUniversalClient(opts)
	defer c.Close()
	var mu sync.Mutex
	found := map[string]time.Duration{}
	list := func(ctx context.Context, c *goredis.Client) error {
		it := c.Scan(ctx, 0, prefix+":*", 1000).Iterator()
		for it.Next(ctx) {
			ttl, err := c.PTTL(ctx, it.Val()).Result()
			if err != nil {
				return err
			}
			mu.Lock()
			found[it.Val()] = ttl
			mu.Unlock()
		}
		return it.Err()
	}
	if cluster, ok := c.(*goredis.ClusterClient); ok {
		err = cluster.ForEachMaster(t.Context(), list)
	} else {
		err = list(t.Context(), c.(*goredis.Client))
	}
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestEveryKeyHasAnEnd, and a name of bounded length, whatever the caller's key.
func TestEveryKeyHasAnEnd(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, url string) {
		prefix := unique()
		s := openStore(t, redis.Config{URL: url, Prefix: prefix})
		ctx := t.Context()
		keys := []string{"", "k", "{", "}", "{}", "#", strings.Repeat("x", 128), strings.Repeat("x", 129), strings.Repeat("x", 100_000)}
		for _, key := range keys {
			for _, rate := range []flashgate.Rate{{Limit: 1, Window: time.Hour}, {Limit: 2, Window: time.Hour}, {Limit: 2, Window: 2 * time.Hour}} {
				for range 3 {
					if _, err := s.Allow(ctx, key, rate); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := s.Put(ctx, key, []byte(key), time.Hour); err != nil {
				t.Error(err)
			}
			if err := s.SetPage(ctx, key, []byte(key), time.Hour); err != nil {
				t.Error(err)
			}
		}
		ses := newSession()
		if err := s.CreateSession(ctx, ses); err != nil {
			t.Error(err)
		}
		if _, err := s.Session(ctx, ses.Key); err != nil {
			t.Error(err)
		}
		kinds := map[string]int{}
		for name, ttl := range keysOf(t, url, prefix) {
			if ttl <= 0 || ttl > 2*time.Hour+time.Second {
				t.Errorf("%.80q ends in %v", name, ttl)
			}
			if len(name) > 200 {
				t.Errorf("a key of %d bytes: %.80q", len(name), name)
			}
			kinds[strings.Split(name, ":")[1]]++
		}
		n := len(keys)
		if kinds["limit"] != n || kinds["once"] != n || kinds["page"] != n || kinds["session"] != 1 || kinds["sessions"] != 1 {
			t.Errorf("the keys are %v", kinds)
		}
		for _, key := range keys {
			if v, ok, err := s.Take(ctx, key); err != nil || !ok || string(v) != key {
				t.Errorf("Take of a key of %d bytes: %d bytes, %v, %v", len(key), len(v), ok, err)
			}
		}
	})
}

func TestClearLeavesOtherKeysAlone(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, url string) {
		prefix := unique()
		s := openStore(t, redis.Config{URL: url, Prefix: prefix})
		other := openStore(t, redis.Config{URL: url, Prefix: prefix + "-2"})
		ctx := t.Context()
		const pages = 5000
		for i := range pages {
			if err := s.SetPage(ctx, fmt.Sprint("GET /goods/", i), []byte("page"), time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Put(ctx, "page:{x}", []byte("v"), time.Hour); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Allow(ctx, "page", day); err != nil {
			t.Fatal(err)
		}
		if err := other.SetPage(ctx, "p", []byte("another site's"), time.Hour); err != nil {
			t.Fatal(err)
		}
		if n := len(keysOf(t, url, prefix)); n != pages+2 {
			t.Fatalf("%d keys before", n)
		}
		if err := s.ClearPages(ctx); err != nil {
			t.Fatal(err)
		}
		if left := keysOf(t, url, prefix); len(left) != 2 {
			t.Errorf("%d keys are left, want the limit and the value: %v", len(left), left)
		}
		if _, ok, err := other.GetPage(ctx, "p"); !ok || err != nil {
			t.Errorf("a page of another prefix: %v, %v", ok, err)
		}
	})
}

func TestATooLargePageReplacesNothingButForgets(t *testing.T) {
	t.Parallel()
	s := openStore(t, redis.Config{URL: serverstest.Redis(t).URL(), Prefix: unique()})
	for size, kept := range map[int]bool{redis.DefaultMaxPageBytes: true, redis.DefaultMaxPageBytes + 1: false} {
		if err := s.SetPage(t.Context(), "p", []byte("old"), time.Hour); err != nil {
			t.Fatal(err)
		}
		page := bytes.Repeat([]byte{1}, size)
		if err := s.SetPage(t.Context(), "p", page, time.Hour); err != nil {
			t.Fatal(err)
		}
		got, ok, err := s.GetPage(t.Context(), "p")
		if err != nil || ok != kept || ok && !bytes.Equal(got, page) {
			t.Errorf("a page of %d bytes: %d bytes, %v, %v", size, len(got), ok, err)
		}
	}
}

// TestTheLimiterAnswersAsInMemory runs the script on a clock of the test's and
// compares each answer with package ratelimit.
func TestTheLimiterAnswersAsInMemory(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("lua/limit_allow.lua")
	if err != nil {
		t.Fatal(err)
	}
	const clock = "redis.call('TIME')"
	if strings.Count(string(file), clock) != 1 {
		t.Fatal("the script reads the clock elsewhere")
	}
	script := goredis.NewScript(strings.Replace(string(file), clock, "{ARGV[3], ARGV[4]}", 1))
	c := serverstest.Redis(t).Client()
	defer c.Close()
	r := rand.New(rand.NewPCG(5, 6))
	refused := 0
	for range 60 {
		key, w := "test:"+unique(), ratelimit.Window{}
		rate := flashgate.Rate{Limit: 1 + r.IntN(20), Window: time.Duration(10_000+r.IntN(60_000)) * time.Millisecond}
		now := time.Now().Truncate(time.Microsecond)
		for range 60 {
			var want flashgate.Verdict
			w, want = w.Take(rate, now)
			reply, err := script.Run(t.Context(), c, []string{key}, rate.Limit, rate.Window.Microseconds(), now.Unix(), now.Nanosecond()/1000).Int64Slice()
			if err != nil {
				t.Fatal(err)
			}
			got := flashgate.Verdict{Allowed: reply[0] == 1, Remaining: int(reply[1]), RetryAfter: time.Duration(reply[2]) * time.Microsecond}
			// One millisecond for the rounding of a fraction that is one on the dot.
			if got.Allowed != want.Allowed || got.Remaining != want.Remaining || (got.RetryAfter-want.RetryAfter).Abs() > time.Millisecond {
				t.Fatalf("%+v: %+v, want %+v", rate, got, want)
			}
			if !want.Allowed {
				refused++
			}
			now = now.Add(time.Duration(r.Int64N(int64(rate.Window)/4 + 1))).Truncate(time.Microsecond)
			if r.IntN(20) == 0 {
				now = now.Add(rate.Window)
			}
			if r.IntN(20) == 0 {
				now = now.Add(-time.Second) // a clock that is set back
			}
		}
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
}
