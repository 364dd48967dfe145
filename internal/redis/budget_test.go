package redis_test

import (
	"fmt"
	"testing"
	"time"

	"flashgate/internal/redis"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"
)

// Pages take no more than their budget, and room again when they have expired.
func TestPageBudget(t *testing.T) {
	t.Parallel()
	s := openStore(t, redis.Config{URL: serverstest.Redis(t).URL(), Prefix: unique(), PageBudget: 10_000})
	kept := func(key string) bool {
		t.Helper()
		_, ok, err := s.GetPage(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	put := func(key string, ttl time.Duration) {
		t.Helper()
		if err := s.SetPage(t.Context(), key, make([]byte, 1000), ttl); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for i := range 50 {
		key := fmt.Sprint("page-", i)
		put(key, time.Second)
		if kept(key) {
			n++
		}
	}
	if n < 5 || n > 9 {
		t.Errorf("%d pages of 1,000 bytes were kept in a budget of 10,000", n)
	}
	eventually(t, "there is room again", func() bool {
		put("another", time.Minute)
		return kept("another")
	})
}

// A Redis that is full refuses pages, and that is no reason to think that it is away.
func TestPagesOnAFullRedis(t *testing.T) {
	t.Parallel()
	r := serverstest.OwnRedis(t, servers.RedisConfig{Args: []string{"--maxmemory", "1mb"}})
	s := openStore(t, redis.Config{URL: r.URL()})
	for i := range 20 {
		if err := s.SetPage(t.Context(), fmt.Sprint("page-", i), make([]byte, 500_000), time.Minute); err != nil {
			t.Fatalf("page %d: %v", i, err)
		}
	}
}
