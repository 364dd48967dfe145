package redis_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"flashgate"
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
					if _, err := flashgate.Allow(ctx, s, key, rate); err != nil {
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
		if _, err := flashgate.Allow(ctx, s, "page", day); err != nil {
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
