package pagecache_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"flashgate"
	"flashgate/caddymodule/app"
	"flashgate/caddymodule/gatewaytest"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"
)

// onRedis is a site whose pages are on a Redis, too.
func onRedis(r *servers.Redis, site string) string {
	return "{\nadmin ADMIN\npersist_config off\ngrace_period 2s\nlog {\noutput discard\n}\nflashgate {\ndata_dir DATA\nstate redis " + r.URL() + "\n}\n}\n" + site
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(15 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// A page is there for the next process, too, and a purge holds for it.
func TestPagesOutliveTheProcess(t *testing.T) {
	r := serverstest.OwnRedis(t, servers.RedisConfig{})
	addr, asked := origin(t, page("Cache-Control: max-age=600", "Cache-Tag: goods"))
	site := onRedis(r, "SITE {\n\tpage_cache {\n\t\tpurge_from 127.0.0.1\n\t\tkey {\n\t\t\tany_host\n\t\t}\n\t}\n\treverse_proxy "+addr+"\n}")
	shared := func() bool {
		pages, err := app.Live().Pages().Inspect(t.Context(), "http://*/a")
		return err == nil && len(pages) == 1 && pages[0].Shared
	}
	g := gatewaytest.Run(t, site)
	wantStatus(t, g.Client(t).Do("GET", "/a"), "flashgate; fwd=uri-miss; stored")
	eventually(t, "the page is in Redis", shared)
	again := func() {
		t.Helper()
		// Another backend in between: the memory of the one on Redis is given up.
		if err := g.Load("SITE {\n\trespond ok\n}"); err != nil {
			t.Fatal(err)
		}
		if err := g.Load(site); err != nil {
			t.Fatal(err)
		}
	}
	again()
	if a := g.Client(t).Do("GET", "/a"); !strings.HasPrefix(a.Header.Get("Cache-Status"), "flashgate; hit") || asked.Load() != 1 {
		t.Errorf("%v, the origin was asked %d times", a.Header, asked.Load())
	}
	if a := g.Client(t).Do("PURGE", "/", "Cache-Tag", "goods"); a.Status != 204 {
		t.Errorf("%+v", a)
	}
	again()
	wantStatus(t, g.Client(t).Do("GET", "/a"), "flashgate; fwd=uri-miss; stored")
}

// While Redis is away each of several tags is purged on this gateway, though the answer
// is 503.
func TestPurgeWithoutRedis(t *testing.T) {
	r := serverstest.OwnRedis(t, servers.RedisConfig{})
	addr, _ := origin(t, func(w http.ResponseWriter, r *http.Request) {
		page("Cache-Control: max-age=600", "Cache-Tag: "+strings.TrimPrefix(r.URL.Path, "/"))(w, r)
	})
	g := gatewaytest.Run(t, onRedis(r, "SITE {\n\tpage_cache {\n\t\tpurge_from 127.0.0.1\n\t}\n\treverse_proxy "+addr+"\n}"))
	c := g.Client(t)
	for _, path := range []string{"/a", "/b", "/c"} {
		c.Do("GET", path)
	}
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	if a := c.Do("PURGE", "/", "Cache-Tag", "a, b"); a.Status != 503 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	for path, want := range map[string]bool{"/a": false, "/b": false, "/c": true} {
		if a := c.Do("GET", path); hit(a) != want {
			t.Errorf("%s: %v", path, a.Header)
		}
	}
}

// stoppable is an origin that can be killed and started again at its address.
type stoppable struct {
	t       *testing.T
	addr    string
	handler http.Handler
	server  *httptest.Server
}

func (o *stoppable) start() {
	var l net.Listener
	eventually(o.t, "the origin has its address", func() (ok bool) {
		var err error
		l, err = net.Listen("tcp", o.addr)
		return err == nil
	})
	o.addr = l.Addr().String()
	o.server = &httptest.Server{Listener: l, Config: &http.Server{Handler: o.handler}}
	o.server.Start()
}

func (o *stoppable) kill() {
	o.server.CloseClientConnections()
	_ = o.server.Listener.Close()
	o.server.Close()
}

// Under load Redis is stopped, started and emptied, the configuration is loaded anew,
// and the origin is killed and comes back: no client gets an error, or another page than
// the one it asks for.
func TestNothingIsFelt(t *testing.T) {
	r := serverstest.OwnRedis(t, servers.RedisConfig{})
	origin := &stoppable{t: t, addr: "127.0.0.1:0", handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=1")
		w.Header().Set("ETag", `"`+r.URL.Path+`"`)
		fmt.Fprint(w, "page of ", r.URL.Path)
	})}
	origin.start()
	t.Cleanup(func() { origin.kill() })
	site := func(n int) string {
		return onRedis(r, fmt.Sprintf("SITE {\n\tpage_cache\n\theader Config %d\n\treverse_proxy %s {\n\t\tlb_try_duration 0s\n\t}\n}", n, origin.addr))
	}
	g := gatewaytest.Run(t, site(0))
	const pages = 50
	for i := range pages {
		g.Client(t).Do("GET", fmt.Sprint("/", i))
	}
	var stop atomic.Bool
	var served, stale atomic.Int64
	var wg sync.WaitGroup
	for w := range 8 {
		c := g.Client(t)
		wg.Go(func() {
			for i := w; !stop.Load(); i++ {
				path := fmt.Sprint("/", i%pages)
				a, err := c.Try(t.Context(), "GET", path)
				if err != nil || a.Status != 200 || a.Body != "page of "+path {
					t.Errorf("%s: %v, %d %q %v", path, err, a.Status, a.Body, a.Header)
					return
				}
				served.Add(1)
				if strings.Contains(a.Header.Get("Cache-Status"), "unreachable") {
					stale.Add(1)
				}
			}
		})
	}
	more := func(what string, n int64) {
		t.Helper()
		at := served.Load()
		eventually(t, "clients are served: "+what, func() bool { return served.Load() > at+n || t.Failed() })
	}
	more("at first", 1000)
	do := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		more(what, 1000)
	}
	do("Redis is stopped", r.Stop())
	do("a reload without Redis", g.Load(site(1)))
	do("Redis is back", r.Start())
	do("Redis is emptied", r.Client().FlushAll(t.Context()).Err())
	// Before the origin goes, all that was lost with Redis is known to be, and there again:
	// what nobody has cannot be served.
	eventually(t, "the gateway reads the new log", func() bool {
		return app.Live().Pages().Purge(t.Context(), flashgate.Purge{Kind: flashgate.PurgeTag, Value: "none"}) == nil
	})
	c := g.Client(t)
	for i := range pages {
		path := fmt.Sprint("/", i)
		eventually(t, path+" is in Redis again", func() bool {
			c.Do("GET", path)
			stored, err := app.Live().Pages().Inspect(t.Context(), c.URL()+path)
			return err == nil && len(stored) == 1 && stored[0].Shared || t.Failed()
		})
	}
	origin.kill()
	eventually(t, "stale pages are served", func() bool { return stale.Load() > 100 || t.Failed() })
	do("a reload without the origin", g.Load(site(2)))
	origin.start()
	do("the origin is back", nil)
	stop.Store(true)
	wg.Wait()
	t.Logf("%d requests, %d of them answered with stale pages while the origin was away", served.Load(), stale.Load())
}
