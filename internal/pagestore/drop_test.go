package pagestore_test

import (
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"
)

// Who asks after an invalidation does not get the page that another one was just reading
// when it came.
func TestInvalidateDuringARead(t *testing.T) {
	t.Parallel()
	r := serverstest.OwnRedis(t, servers.RedisConfig{})
	one, _ := gateway(t, r)
	i := &ill{}
	two := illGateway(t, r, time.Second, i)
	share(t, one, two, fetched(one, url))
	eventually(t, "all is written", func() bool { return one.Settled() && two.Settled() })
	two.Forget(url)
	i.reading, i.tell = make(chan struct{}), make(chan struct{})

	first, second := make(chan *flashgate.Page, 1), make(chan *flashgate.Page, 1)
	get := func(to chan *flashgate.Page) { p, _ := two.Get(t.Context(), url); to <- p }
	go get(first)
	<-i.reading
	two.Invalidate(t.Context(), url)
	go get(second)
	select {
	case <-i.reading: // a reading of its own
	case <-time.After(2 * time.Second):
		t.Error("it waits for the reading from before")
	}
	close(i.tell)
	if <-first; <-second != nil {
		t.Error("the invalidated page is served")
	}
	i.reading = nil
	if has(t, two, url) {
		t.Error("the invalidated page is kept")
	}
}

// A page that was on its way when its address was invalidated at another gateway does not
// get through, neither here nor to all by Redis.
func TestInvalidateDuringAFetch(t *testing.T) {
	t.Parallel()
	r := serverstest.OwnRedis(t, servers.RedisConfig{})
	one, _ := gateway(t, r)
	two, _ := gateway(t, r)
	share(t, two, one, fetched(two, url))
	late := fetched(one, url)
	late.Asked = time.Now()
	two.Invalidate(t.Context(), url)
	eventually(t, "one has heard", func() bool { return !has(t, one, url) })
	one.Set(t.Context(), late)
	eventually(t, "all is written", one.Settled)
	if has(t, one, url) || has(t, two, url) {
		t.Error("the page from before the invalidation is served")
	}
	eventually(t, "a newer one is kept", func() bool {
		p := fetched(one, url)
		p.Asked = time.Now()
		one.Set(t.Context(), p)
		return has(t, one, url) && has(t, two, url)
	})
}
