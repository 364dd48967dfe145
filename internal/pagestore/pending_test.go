package pagestore_test

import (
	"fmt"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"
)

// Purges that wait for the log get there although each try ends before all are through, and
// none gets there twice.
func TestPendingPurgesGetThrough(t *testing.T) {
	t.Parallel()
	r := serverstest.OwnRedis(t, servers.RedisConfig{})
	i := &ill{limited: true}
	one := illGateway(t, r, 20*time.Millisecond, i)
	const purges = 10
	for n := range purges {
		if err := one.Purge(t.Context(), flashgate.Purge{Kind: flashgate.PurgeTag, Value: fmt.Sprint(n)}); err == nil {
			t.Fatal("it is in the log")
		}
	}
	_, shared := gateway(t, r)
	eventually(t, "all are in the log", func() bool {
		i.appends.Store(3) // of each try, about
		news, err := shared.PurgesAfter(t.Context(), "", 0)
		return err == nil && len(news.List) >= purges && one.Settled()
	})
	news, err := shared.PurgesAfter(t.Context(), "", 0)
	if err != nil || len(news.List) != purges {
		t.Errorf("%d purges in the log, want %d: %v", len(news.List), purges, err)
	}
}

// However often an address changes while the server is away, other pages stay.
func TestManyInvalidationsOfAnAddress(t *testing.T) {
	t.Parallel()
	r := serverstest.OwnRedis(t, servers.RedisConfig{})
	one := illGateway(t, r, time.Second, &ill{limited: true})
	one.Set(t.Context(), fetched(one, url))
	for range 2000 {
		one.Invalidate(t.Context(), "https://shop.example/basket")
	}
	if !has(t, one, url) {
		t.Error("a page is gone that nobody has invalidated")
	}
}
