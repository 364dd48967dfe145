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
