package httpcache_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/httpcache"
)

// The invariant: once a change that went through the cache has been answered, or a purge
// has returned, a request that begins after it never gets a version from before it. And
// every answer is of one version, whole or the part that was asked for.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	var version, floor atomic.Int64
	body := func(v int64) string { return strings.Repeat(fmt.Sprintf("%08d", v), 4) }
	g := newRig(t, httpcache.Config{StaleWhileRevalidate: 3 * time.Second}, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			fmt.Fprint(w, version.Add(1))
			return
		}
		v := version.Load()
		content(fmt.Sprintf(`"%d"`, v), body(v), "Cache-Control: max-age=2")(w, r)
	})
	raise := func(v int64) {
		for old := floor.Load(); v > old && !floor.CompareAndSwap(old, v); old = floor.Load() {
		}
	}
	go func() { // nobody reads them otherwise
		for range g.results {
		}
	}()
	t.Cleanup(func() { close(g.results) })
	var wg sync.WaitGroup
	for n := range 16 {
		random := rand.New(rand.NewPCG(uint64(n), 2))
		wg.Go(func() {
			for range 150 {
				least := floor.Load()
				var header []string
				from := 0
				switch k := random.IntN(20); {
				case k == 0:
					var v int64
					_, _ = fmt.Sscan(g.do("POST", "/").body, &v)
					raise(v)
					continue
				case k == 1:
					v := version.Load()
					_ = g.store.Purge(t.Context(), flashgate.Purge{Kind: flashgate.PurgeURL, Value: g.url + "/"})
					raise(v)
					continue
				case k == 2:
					g.clock.advance(time.Second)
					continue
				case k == 3:
					header = []string{"Cache-Control", "no-cache"}
				case k == 4:
					g.do("HEAD", "/", "Cache-Control", "no-cache")
					continue
				case k < 9:
					from = random.IntN(32)
					header = []string{"Range", fmt.Sprintf("bytes=%d-", from)}
				}
				a := g.get("/", header...)
				v := int64(-1)
				if _, err := fmt.Sscanf(a.header.Get("Etag"), `"%d"`, &v); err != nil {
					t.Errorf("%+v", a)
					return
				}
				if a.status == http.StatusOK {
					from = 0
				}
				if a.body != body(v)[from:] {
					t.Errorf("the bytes are not those of version %d: %+v", v, a)
				}
				if v < least {
					t.Errorf("version %d after %d: %q", v, least, a.cacheStatus())
				}
			}
		})
	}
	wg.Wait()
	poll(t, "nothing goes on", func() bool { return g.cache.Flights() == 0 })
}

// A request that begins after a purge does not wait for an answer from before it; those
// after it wait for its own.
func TestPurgeDuringAFill(t *testing.T) {
	t.Parallel()
	for _, soft := range []bool{false, true} {
		o := newGate()
		var version atomic.Int64
		version.Store(1)
		g := newRig(t, httpcache.Config{}, func(w http.ResponseWriter, r *http.Request) {
			v := version.Load()
			o.wait(r)
			w.Header().Set("Cache-Control", "max-age=60")
			fmt.Fprint(w, "version ", v)
		})
		before, waitBefore := crowd(g, 2, plain)
		<-o.entered
		poll(t, "one waits", func() bool { return g.cache.Waiters() == 1 })
		version.Store(2)
		_ = g.store.Purge(t.Context(), flashgate.Purge{Kind: flashgate.PurgeURL, Value: g.url + "/", Soft: soft})
		after, waitAfter := crowd(g, 5, plain)
		poll(t, "all wait", func() bool { return len(o.entered) > 0 && g.cache.Waiters() == 5 || g.cache.Waiters() == 6 })
		close(o.open)
		waitBefore()
		waitAfter()
		for _, a := range after {
			if a.body != "version 2" {
				t.Errorf("soft %v: after the purge: %+v", soft, a)
			}
		}
		for _, a := range before {
			if !strings.HasPrefix(a.body, "version ") {
				t.Errorf("%+v", a)
			}
		}
		g.wantAsked(2)
	}
}
