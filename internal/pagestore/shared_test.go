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
// purged everywhere before anything is taken from the server again.
func TestRedisStops(t *testing.T) {
	t.Parallel()
	r := serverstest.OwnRedis(t, servers.RedisConfig{Appendonly: "always"})
	one, _ := gateway(t, r)
	two, _ := gateway(t, r)
	const other, third = "https://shop.example/other", "https://shop.example/third"
	for _, address := range []string{url, other, third} {
		share(t, one, two, fetched(one, address))
	}
	eventually(t, "all is written", one.Settled)
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	if !has(t, one, url) || !has(t, one, other) || has(t, one, "https://shop.example/none") {
		t.Error("memory does not go on")
	}
	if err := one.Purge(t.Context(), flashgate.Purge{Kind: flashgate.PurgeURL, Value: url}); flashgate.ErrorCode(err) != flashgate.CodeUnavailable {
		t.Errorf("%v", err)
	}
	if has(t, one, url) {
		t.Error("the purge does not hold where it was made")
	}
	one.Invalidate(t.Context(), other)
	if has(t, one, other) {
		t.Error("the invalidation does not hold where it was made")
	}
	s := fetched(one, "https://shop.example/new")
	one.Set(t.Context(), s)
	if !has(t, one, s.Key) {
		t.Error("no page is kept without the server")
	}
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the others have heard", func() bool { return !has(t, two, url) && !has(t, two, other) })
	two.Forget(url)
	for range 100 {
		if has(t, one, url) || has(t, two, url) || has(t, two, other) {
			t.Fatal("a purged page came back from the server")
		}
	}
	one.Forget(third)
	two.Forget(third)
	if has(t, one, third) || has(t, two, third) {
		t.Error("a page is taken whose purges the server may have lost")
	}
	eventually(t, "it is as before", func() bool {
		p := fetched(one, "https://shop.example/after")
		one.Set(t.Context(), p)
		return has(t, two, p.Key)
	})
}

// A server that is not there when a gateway starts costs nothing but hits.
func TestRedisIsNotThere(t *testing.T) {
	t.Parallel()
	r := serverstest.OwnRedis(t, servers.RedisConfig{})
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	one, _ := gateway(t, r)
	one.Set(t.Context(), fetched(one, url))
	if !has(t, one, url) || has(t, one, "https://shop.example/none") {
		t.Error("memory does not do without")
	}
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	two, _ := gateway(t, r)
	eventually(t, "they have found each other", func() bool {
		p := fetched(one, "https://shop.example/after")
		one.Set(t.Context(), p)
		return has(t, two, p.Key)
	})
}

// A server that has lost its data has lost purges, too: what gateways have is given up.
func TestRedisForgets(t *testing.T) {
	t.Parallel()
	r := serverstest.OwnRedis(t, servers.RedisConfig{})
	one, _ := gateway(t, r)
	two, _ := gateway(t, r)
	purge(t, one, flashgate.PurgeTag, "x")
	share(t, one, two, fetched(one, url))
	if err := r.Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the gateways give up what they have", func() bool { return !has(t, one, url) && !has(t, two, url) })
	share(t, two, one, fetched(two, url))
}

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
// when it has one again.
func TestNewsBreaksOff(t *testing.T) {
	t.Parallel()
	r := serverstest.OwnRedis(t, servers.RedisConfig{})
	one, _ := gateway(t, r)
	line := new(ill)
	two := illGateway(t, r, time.Hour, line)
	share(t, one, two, fetched(one, url))
	line.cut.Store(true)
	if err := r.Client().Do(t.Context(), "client", "kill", "type", "pubsub").Err(); err != nil {
		t.Fatal(err)
	}
	one.Invalidate(t.Context(), url)
	line.cut.Store(false)
	eventually(t, "it is gone", func() bool { return !has(t, two, url) })
}

// A gateway that cannot read the log takes nothing from Redis.
func TestBlind(t *testing.T) {
	t.Parallel()
	r := serverstest.OwnRedis(t, servers.RedisConfig{})
	one, _ := gateway(t, r)
	eyes := new(ill)
	two := illGateway(t, r, 10*time.Millisecond, eyes)
	share(t, one, two, fetched(one, url))
	eyes.blind.Store(true)
	eventually(t, "it knows", func() bool { return !two.Settled() })
	purge(t, one, flashgate.PurgeURL, url)
	two.Forget(url)
	for range 100 {
		if has(t, two, url) {
			t.Fatal("a page was taken without knowing the purges")
		}
	}
	eyes.blind.Store(false)
	eventually(t, "it sees again", two.Settled)
	if has(t, two, url) {
		t.Error("the purge was missed")
	}
	share(t, one, two, fetched(one, url))
}

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
// invalidated meanwhile is told to the others, and pages fetched after it are served.
func TestRedisPauses(t *testing.T) {
	t.Parallel()
	r := serverstest.OwnRedis(t, servers.RedisConfig{})
	one, _ := gateway(t, r)
	two, _ := gateway(t, r)
	const other, third = "https://shop.example/other", "https://shop.example/third"
	for _, address := range []string{url, other, third} {
		share(t, one, two, fetched(one, address))
	}
	eventually(t, "all is written", one.Settled)
	if err := r.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := one.Purge(t.Context(), flashgate.Purge{Kind: flashgate.PurgeURL, Value: url}); flashgate.ErrorCode(err) != flashgate.CodeUnavailable {
		t.Errorf("%v", err)
	}
	one.Invalidate(t.Context(), other)
	if has(t, one, url) || has(t, one, other) || !has(t, one, third) {
		t.Error("memory does not go on as it should")
	}
	if err := r.Resume(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the others have heard", func() bool { return !has(t, two, url) && !has(t, two, other) })
	eventually(t, "it is over", one.Settled)
	if has(t, one, url) || has(t, one, other) || !has(t, one, third) || !has(t, two, third) {
		t.Error("afterwards not the pages are there that should be")
	}
	for _, address := range []string{url, other} {
		share(t, one, two, fetched(one, address))
	}
}

// While the server is away a purge counts for what was fetched before it, as ever, and a
// thousand and more of them for nothing else.
func TestPurgesWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	r := serverstest.OwnRedis(t, servers.RedisConfig{})
	one, _ := gateway(t, r)
	two, _ := gateway(t, r)
	const other = "https://shop.example/other"
	share(t, one, two, fetched(one, url))
	share(t, one, two, fetched(one, other))
	eventually(t, "all is written", one.Settled)
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	before := one.Seen()
	if err := one.Purge(t.Context(), flashgate.Purge{Kind: flashgate.PurgeURL, Value: url}); flashgate.ErrorCode(err) != flashgate.CodeUnavailable {
		t.Errorf("%v", err)
	}
	if has(t, one, url) || one.Seen() == before {
		t.Errorf("the purge does not count: %d before, %d after", before, one.Seen())
	}
	one.Set(t.Context(), fetched(one, url))
	if !has(t, one, url) {
		t.Error("a page fetched after the purge is dead")
	}
	var wg sync.WaitGroup
	for i := range 1100 {
		wg.Go(func() { one.Invalidate(t.Context(), fmt.Sprint("https://shop.example/x/", i)) })
	}
	wg.Wait()
	if !has(t, one, url) || !has(t, one, other) {
		t.Error("invalidations of other addresses have taken the page")
	}
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "two has heard", func() bool { return !has(t, two, url) })
	eventually(t, "it is over", one.Settled)
	share(t, one, two, fetched(one, url))
}
