package pagestore_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"
)

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
