package pagestore_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/pagestore"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"
)

// A page of one gateway is a page of all.
func TestShared(t *testing.T) {
	t.Parallel()
	r := serverstest.OwnRedis(t, servers.RedisConfig{})
	one, _ := gateway(t, r)
	two, _ := gateway(t, r)
	share(t, one, two, fetched(one, url, "goods"))
	p, _ := two.Get(t.Context(), url)
	if p.URL != url || len(p.Tags) != 1 || p.Tags[0] != "goods" || time.Until(p.Ends) > time.Hour || time.Until(p.Ends) < 59*time.Minute {
		t.Errorf("%+v", p)
	}
	if stats := two.Stats(); stats.SharedHits == 0 || stats.MemoryHits == 0 || !stats.SharedSeen {
		t.Errorf("%+v", stats)
	}
}

// Each kind of purge at one gateway holds at another, for what it has in memory and what
// it would take from Redis; and at one that starts only then.
func TestPurgeOnAllGateways(t *testing.T) {
	t.Parallel()
	r := serverstest.OwnRedis(t, servers.RedisConfig{})
	one, _ := gateway(t, r)
	two, _ := gateway(t, r)
	for _, p := range []flashgate.Purge{
		{Kind: flashgate.PurgeURL, Value: url}, {Kind: flashgate.PurgePrefix, Value: "https://shop.example/"},
		{Kind: flashgate.PurgeTag, Value: "goods"}, {Kind: flashgate.PurgeAll},
	} {
		share(t, one, two, fetched(one, url, "goods"))
		eventually(t, "all is written", one.Settled)
		if err := two.Purge(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if has(t, two, url) {
			t.Errorf("%+v: it is still there where it was purged", p)
		}
		eventually(t, "the other gateway has heard", func() bool { return !has(t, one, url) })
		one.Forget(url)
		two.Forget(url)
		three, _ := gateway(t, r)
		for i := range 100 {
			if has(t, one, url) || has(t, two, url) || has(t, three, url) {
				t.Fatalf("%+v: it came back, %d", p, i)
			}
		}
	}
}

// A soft purge makes the pages of all gateways stale.
func TestSoftPurgeOnAllGateways(t *testing.T) {
	t.Parallel()
	r := serverstest.OwnRedis(t, servers.RedisConfig{})
	one, _ := gateway(t, r)
	two, _ := gateway(t, r)
	share(t, one, two, fetched(one, url))
	if err := one.Purge(t.Context(), flashgate.Purge{Kind: flashgate.PurgeURL, Value: url, Soft: true}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is stale", func() bool { p, soft := two.Get(t.Context(), url); return p != nil && soft })
	share(t, two, one, fetched(two, url))
	eventually(t, "a newer one is not", func() bool { p, soft := two.Get(t.Context(), url); return p != nil && !soft })
}

// A page that was on its way when it was purged at another gateway does not get through.
func TestPurgeDuringAFetch(t *testing.T) {
	t.Parallel()
	r := serverstest.OwnRedis(t, servers.RedisConfig{})
	one, _ := gateway(t, r)
	two, _ := gateway(t, r)
	late := fetched(one, url)
	purge(t, two, flashgate.PurgeURL, url)
	one.Set(t.Context(), late)
	eventually(t, "one has heard", func() bool { return !has(t, one, url) })
	for range 100 {
		if has(t, two, url) {
			t.Fatal("the page from before the purge is served")
		}
	}
}

// An invalidation at one gateway takes the page from the memory of another.
func TestInvalidateOnAllGateways(t *testing.T) {
	t.Parallel()
	r := serverstest.OwnRedis(t, servers.RedisConfig{})
	one, shared := gateway(t, r)
	two, _ := gateway(t, r)
	for range 20 {
		share(t, one, two, fetched(one, url))
		one.Set(t.Context(), fetched(one, url)) // may be on its way to Redis
		one.Invalidate(t.Context(), url)
		eventually(t, "the other gateway has heard", func() bool { return !has(t, two, url) })
		eventually(t, "all is written", one.Settled)
		if _, ok, err := shared.GetPage(t.Context(), url); ok || err != nil {
			t.Fatalf("it is in Redis: %t, %v", ok, err)
		}
	}
}

// Without its server a gateway goes on with what it has; what is purged meanwhile is
// More purges than the log keeps: whoever has missed some gives up all.
func TestLogIsBounded(t *testing.T) {
	t.Parallel()
	r := serverstest.OwnRedis(t, servers.RedisConfig{})
	one, shared := gateway(t, r)
	two, _ := gateway(t, r)
	share(t, one, two, fetched(one, url))
	eventually(t, "all is written", one.Settled)
	for i := range 5000 {
		if err := shared.AppendPurge(t.Context(), flashgate.Purge{Kind: flashgate.PurgeURL, Value: fmt.Sprint("https://shop.example/", i)}); err != nil {
			t.Fatal(err)
		}
	}
	three, _ := gateway(t, r)
	if has(t, three, url) {
		t.Error("a page from before the log's first purge is taken for alive")
	}
	if n := r.Client().LLen(t.Context(), "flashgate:purgelist:{log}").Val(); n == 0 || n > 4000 {
		t.Errorf("the log has %d purges", n)
	}
	share(t, three, one, fetched(three, url))
}

// Pages, purges and invalidations by two gateways at once: a page never outlives a purge
// that came after it was fetched.
func TestPurgesUnderLoad(t *testing.T) {
	t.Parallel()
	r := serverstest.OwnRedis(t, servers.RedisConfig{})
	one, _ := gateway(t, r)
	two, _ := gateway(t, r)
	var wg sync.WaitGroup
	for w := range 8 {
		s := one
		if w%2 == 1 {
			s = two
		}
		wg.Go(func() {
			address := fmt.Sprint("https://shop.example/", w)
			for range 100 {
				p := fetched(s, address)
				purge(t, s, flashgate.PurgeURL, address)
				s.Set(t.Context(), p)
				if has(t, s, address) {
					t.Error("a page from before its purge is served")
				}
				s.Set(t.Context(), fetched(s, address))
			}
		})
	}
	wg.Wait()
}

// News alone makes a purge known, and reading now and then alone does.
func TestEachWayOfHearing(t *testing.T) {
	t.Parallel()
	r := serverstest.OwnRedis(t, servers.RedisConfig{})
	one, _ := gateway(t, r)
	deaf := new(ill)
	deaf.deaf.Store(true)
	for name, two := range map[string]*pagestore.Store{
		"news": illGateway(t, r, time.Hour, new(ill)), "reading": illGateway(t, r, 10*time.Millisecond, deaf),
	} {
		share(t, one, two, fetched(one, url))
		purge(t, one, flashgate.PurgeURL, url)
		eventually(t, "it is heard by "+name, func() bool { return !has(t, two, url) })
	}
}

// What was invalidated while a gateway had no connection for news is not served by it
// A page that is invalidated while it is being written is not there afterwards.
func TestInvalidateWhileItIsWritten(t *testing.T) {
	t.Parallel()
	r := serverstest.OwnRedis(t, servers.RedisConfig{})
	one, _ := gateway(t, r)
	slow := &ill{written: make(chan struct{})}
	two := illGateway(t, r, time.Second, slow)
	eventually(t, "they know each other", func() bool { one.Seen(); two.Seen(); return one.Settled() && two.Settled() })
	two.Set(t.Context(), fetched(two, url))
	<-slow.written
	two.Invalidate(t.Context(), url)
	one.Set(t.Context(), fetched(one, "https://shop.example/other"))
	// Redis has it again, as the write may come after the invalidation.
	if err := slow.Store.SetPage(t.Context(), url, pagestore.Seal(fetched(two, url), two.Log(), two.Seen()), time.Hour); err != nil {
		t.Fatal(err)
	}
	if !has(t, one, url) {
		t.Fatal("the page is not in Redis")
	}
	slow.written <- struct{}{}
	eventually(t, "it is gone everywhere", func() bool { return !has(t, one, url) && !has(t, two, url) })
}

// A server that does not answer for a while, and has lost nothing: what was purged and
// While the server is away a purge counts for what was fetched before it, as ever, and a
