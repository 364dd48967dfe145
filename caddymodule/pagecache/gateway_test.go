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

	"flashgate/caddymodule/gatewaytest"
)

func hit(a gatewaytest.Answer) bool {
	return strings.HasPrefix(a.Header.Get("Cache-Status"), "flashgate; hit")
}

func TestPurge(t *testing.T) {
	addr, asked := origin(t, page("Cache-Control: max-age=600", "Cache-Tag: goods, prices"))
	g := gatewaytest.Run(t, site("purge_from 127.0.0.1 ::1", addr))
	c := g.Client(t)
	for _, p := range [][]string{
		{"/goods/1"}, {"/goods/*"}, {"/", "Cache-Tag", "other, goods"}, {"/", "Surrogate-Key", "prices"},
	} {
		c.Do("GET", "/goods/1")
		if !hit(c.Do("GET", "/goods/1")) {
			t.Errorf("%v: no hit before", p)
		}
		before := asked.Load()
		if a := c.Do("PURGE", p[0], p[1:]...); a.Status != 204 || a.Header.Get("Cache-Control") != "no-store" || asked.Load() != before {
			t.Errorf("%v: %d %v", p, a.Status, a.Header)
		}
		if hit(c.Do("GET", "/goods/1")) {
			t.Errorf("%v: a hit after", p)
		}
	}
	for _, other := range [][]string{{"/goods"}, {"/goods/10*"}, {"/", "Cache-Tag", "Goods"}, {"/", "Surrogate-Key", "good"}} {
		c.Do("GET", "/goods/1")
		if a := c.Do("PURGE", other[0], other[1:]...); a.Status != 204 || !hit(c.Do("GET", "/goods/1")) {
			t.Errorf("%v is not about the page, and has purged it: %d", other, a.Status)
		}
	}
	if a := c.Do("PURGE", "/goods/1", "Soft-Purge", "1"); a.Status != 204 {
		t.Errorf("soft: %d", a.Status)
	}
	wantStatus(t, c.Do("GET", "/goods/1"), "flashgate; fwd=stale; stored")
	if a := c.Do("PURGE", "/", "Cache-Tag", ", "); a.Status != 400 || a.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("an empty tag: %d %v", a.Status, a.Header)
	}
}

func TestPurgeRefused(t *testing.T) {
	addr, asked := origin(t, page())
	for errs, want := range map[string]string{"": "Forbidden", "errors caddy": "site 403"} {
		g := gatewaytest.Run(t, strings.TrimSuffix(site("purge_from 10.0.0.0/8\n"+errs, addr), "}")+"handle_errors {\nrespond \"site {err.status_code}\"\n}\n}")
		if a := g.Client(t).Do("PURGE", "/"); a.Status != 403 || !strings.Contains(a.Body, want) {
			t.Errorf("%q: %d %s", errs, a.Status, a.Body)
		}
	}
	if asked.Load() != 0 {
		t.Error("a refused PURGE reached the origin")
	}
	g := gatewaytest.Run(t, site("", addr))
	if a := g.Client(t).Do("PURGE", "/"); a.Status != 200 || asked.Load() != 1 || a.Header.Get("Cache-Status") != "flashgate; fwd=method" {
		t.Errorf("without purge_from: %d %v", a.Status, a.Header)
	}
}

func TestBypass(t *testing.T) {
	addr, _ := origin(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("Cookie")) })
	g := gatewaytest.Run(t, site("ttl 1h\nbypass {\nheader Cookie *session=*\n}", addr))
	c := g.Client(t)
	for range 2 {
		if a := c.Do("GET", "/", "Cookie", "session=mine"); a.Body != "session=mine" || a.Header.Get("Cache-Status") != "flashgate; fwd=bypass" {
			t.Errorf("%q %v", a.Body, a.Header)
		}
	}
	c.Do("GET", "/")
	if a := c.Do("GET", "/"); a.Body != "" || !hit(a) {
		t.Errorf("%q %v", a.Body, a.Header)
	}
}

// Where several lines match, the one with the longest path decides alone; a PURGE is
// taken by any.
func TestOverlappingLines(t *testing.T) {
	addr, asked := origin(t, page())
	g := gatewaytest.Run(t, strings.Replace(site("ttl 1h\npurge_from 127.0.0.1 ::1", addr), "page_cache", `page_cache /a/* {
			ttl 1m
		}
		page_cache /b/* {
			bypass {
				path /b/*
			}
		}
		page_cache`, 1))
	c := g.Client(t)
	for _, p := range []struct{ path, first, second string }{
		{"/", "flashgate; fwd=uri-miss; stored", "flashgate; hit; ttl=35"},
		{"/a/1", "flashgate; fwd=uri-miss; stored", "flashgate; hit; ttl=5"},
		{"/b/1", "flashgate; fwd=bypass", "flashgate; fwd=bypass"},
	} {
		wantStatus(t, c.Do("GET", p.path), p.first)
		if a := c.Do("GET", p.path); len(a.Header["Cache-Status"]) != 1 || !strings.HasPrefix(a.Header.Get("Cache-Status"), p.second) {
			t.Errorf("%s: %v, want %s", p.path, a.Header["Cache-Status"], p.second)
		}
	}
	before := asked.Load()
	if a := c.Do("PURGE", "/a/1"); a.Status != 204 || asked.Load() != before {
		t.Errorf("purge: %d", a.Status)
	}
	wantStatus(t, c.Do("GET", "/a/1"), "flashgate; fwd=uri-miss; stored")
}

// Each option of key: requests that are the same page, and one that is not.
func TestKeyOptions(t *testing.T) {
	addr, _ := origin(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.RequestURI) })
	for option, c := range map[string]struct{ first, same, other []string }{
		"query id a": {[]string{"/?id=1&a=2&utm=x"}, []string{"/?utm=y&a=2&id=1"}, []string{"/?id=2&a=2"}},
		"query none": {[]string{"/n?id=1"}, []string{"/n"}, []string{"/m"}},
		"header X-T": {[]string{"/h", "X-T", "1"}, []string{"/h", "X-T", "1", "X-U", "2"}, []string{"/h", "X-T", "2"}},
		"cookie t":   {[]string{"/c", "Cookie", "t=1; u=1"}, []string{"/c", "Cookie", "u=2; t=1"}, []string{"/c", "Cookie", "t=2; u=1"}},
	} {
		t.Run(option, func(t *testing.T) {
			g := gatewaytest.Run(t, site("ttl 1h\nkey {\n"+option+"\n}", addr))
			v := g.Client(t)
			if a := v.Do("GET", c.first[0], c.first[1:]...); hit(a) || strings.Contains(a.Body, "utm") {
				t.Errorf("first: %q %v", a.Body, a.Header)
			}
			if a := v.Do("GET", c.same[0], c.same[1:]...); !hit(a) {
				t.Errorf("same: %v", a.Header)
			}
			if a := v.Do("GET", c.other[0], c.other[1:]...); hit(a) {
				t.Errorf("other: %v", a.Header)
			}
		})
	}
}

func TestBrowserAndETag(t *testing.T) {
	addr, _ := origin(t, page("Cache-Control: max-age=600", "Expires: 0", "Age: 5"))
	for etag, prefix := range map[string]string{"weak": `W/"`, "strong": `"`} {
		g := gatewaytest.Run(t, site("browser_cache_control \"max-age=5\"\netag "+etag, addr))
		c := g.Client(t)
		c.Do("GET", "/"+etag)
		a := c.Do("GET", "/"+etag)
		if !hit(a) || a.Header.Get("Cache-Control") != "max-age=5" || a.Header["Expires"] != nil || a.Header["Age"] != nil || !strings.HasPrefix(a.Header.Get("Etag"), prefix) {
			t.Errorf("%s: %v", etag, a.Header)
		}
		if b := c.Do("GET", "/"+etag, "If-None-Match", a.Header.Get("Etag")); b.Status != 304 {
			t.Errorf("%s: %d", etag, b.Status)
		}
	}
}

// Operators' times, by status.
func TestLifetimes(t *testing.T) {
	addr, _ := origin(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/says") {
			w.Header().Set("Cache-Control", "max-age=0")
		}
		if strings.HasSuffix(r.URL.Path, "404") {
			w.WriteHeader(404)
		}
	})
	g := gatewaytest.Run(t, site("ttl_override 1h\nstatus 404 10s", addr))
	c := g.Client(t)
	for path, kept := range map[string]bool{"/": true, "/says": true, "/404": true, "/says404": false} {
		c.Do("GET", path)
		if got := hit(c.Do("GET", path)); got != kept {
			t.Errorf("%s: kept %t", path, got)
		}
	}
}

func TestRanges(t *testing.T) {
	addr, asked := origin(t, page("Cache-Control: max-age=600", `ETag: "v1"`))
	g := gatewaytest.Run(t, site("", addr))
	c := g.Client(t)
	whole := c.Do("GET", "/r").Body
	for _, r := range []struct {
		ifRange string
		status  int
		body    string
	}{{"", 206, whole[1:4]}, {`"v1"`, 206, whole[1:4]}, {`"v0"`, 200, whole}, {`W/"v1"`, 200, whole}} {
		header := []string{"Range", "bytes=1-3"}
		if r.ifRange != "" {
			header = append(header, "If-Range", r.ifRange)
		}
		if a := c.Do("GET", "/r", header...); a.Status != r.status || a.Body != r.body || !hit(a) {
			t.Errorf("If-Range %s: %d %.20q %v", r.ifRange, a.Status, a.Body, a.Header)
		}
	}
	if a := c.Do("GET", "/r", "Range", "bytes=99999-"); a.Status != 416 {
		t.Errorf("past the end: %d", a.Status)
	}
	if asked.Load() != 1 {
		t.Errorf("the origin was asked %d times", asked.Load())
	}
}

// An origin that answers 503 first, then is gone, then is there again.
func TestTroubleOfTheOrigin(t *testing.T) {
	addr := gatewaytest.FreeAddr(t)
	var sick atomic.Bool
	start := func() *httptest.Server {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if sick.Load() {
				w.WriteHeader(503)
				return
			}
			w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
			w.Header().Set("Age", "60")
			page("Cache-Control: max-age=60", `ETag: "v1"`)(w, r) // stale when it arrives
		}))
		s.Listener.Close()
		s.Listener = l
		s.Start()
		return s
	}
	s := start()
	g := gatewaytest.Run(t, site("stale_if_error 1h", addr))
	c := g.Client(t)
	first := c.Do("GET", "/t")
	sick.Store(true)
	a := c.Do("GET", "/t")
	if a.Status != 200 || a.Body != first.Body {
		t.Errorf("503: %d", a.Status)
	}
	wantStatus(t, a, "flashgate; fwd=stale; fwd-status=503")
	if err := g.Load(site("stale_if_unreachable 24h", addr)); err != nil {
		t.Fatal(err)
	}
	sick.Store(false)
	c.Do("GET", "/u") // it is not to be stale on errors
	sick.Store(true)
	if a := c.Do("GET", "/u"); a.Status != 503 {
		t.Errorf("503 without stale_if_error: %d", a.Status)
	}
	s.Close()
	a = c.Do("GET", "/u")
	if a.Status != 200 || !strings.HasPrefix(a.Body, "/u") {
		t.Errorf("gone: %d", a.Status)
	}
	wantStatus(t, a, "flashgate; fwd=stale; detail=unreachable")
	if a := c.Do("GET", "/new"); a.Status != 502 {
		t.Errorf("a page that was never there: %d", a.Status)
	}
	sick.Store(false)
	s = start()
	defer s.Close()
	wantStatus(t, c.Do("GET", "/t"), "flashgate; fwd=stale; stored")
}

func TestClientCacheControl(t *testing.T) {
	addr, _ := origin(t, page("Cache-Control: max-age=600"))
	for option, want := range map[string]bool{"": false, "ignore_client_cache_control": true} {
		g := gatewaytest.Run(t, site(option, addr))
		c := g.Client(t)
		c.Do("GET", "/i")
		if got := hit(c.Do("GET", "/i", "Cache-Control", "no-cache")); got != want {
			t.Errorf("%q: hit %t", option, got)
		}
	}
}

// A thousand clients, one cold page, one request.
func TestThousand(t *testing.T) {
	arrived := make(chan struct{})
	addr, asked := origin(t, func(w http.ResponseWriter, r *http.Request) {
		<-arrived
		page("Cache-Control: max-age=600")(w, r)
	})
	g := gatewaytest.Run(t, site("", addr))
	var wg sync.WaitGroup
	var started atomic.Int64
	for range 1000 {
		c := g.Client(t)
		wg.Go(func() {
			if started.Add(1) == 1000 {
				close(arrived)
			}
			if a, err := c.Try(t.Context(), "GET", "/cold"); err != nil || a.Status != 200 {
				t.Errorf("%d %v", a.Status, err)
			}
		})
	}
	wg.Wait()
	if asked.Load() != 1 {
		t.Errorf("the origin was asked %d times", asked.Load())
	}
}

// Configurations change while clients ask, and a fill that is under way is shared with
// the requests of the new one. No client sees anything of it.
func TestReloadUnderLoad(t *testing.T) {
	release, here := make(chan struct{}), make(chan struct{}, 10)
	var slow, seen atomic.Int64
	const crowd = 50
	all := make(chan struct{})
	addr, _ := origin(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/seen" { // each request of the new configuration, before it is served
			if r.Header.Get("X-Forwarded-Uri") == "/slow" && seen.Add(1) == crowd {
				close(all)
			}
			return
		}
		if r.URL.Path == "/slow" {
			slow.Add(1)
			here <- struct{}{}
			<-release
		}
		page("Cache-Control: max-age=600")(w, r)
	})
	text := func(n int) string {
		return strings.Replace(site(fmt.Sprintf("ttl %ds", n+1), addr), "SITE {", "{\nadmin ADMIN\npersist_config off\nlog {\noutput discard\n}\ngrace_period 10s\nflashgate {\ndata_dir DATA\n}\n}\nSITE {\nheader X-Load "+fmt.Sprint(n)+strings.Repeat("\nforward_auth "+addr+" {\nuri /seen\n}", min(n, 1)), 1)
	}
	g := gatewaytest.Run(t, text(0))
	var wg sync.WaitGroup
	var collapsed atomic.Int64
	ask := func(path string) {
		c := g.Client(t)
		wg.Go(func() {
			if a, err := c.Try(t.Context(), "GET", path); err != nil || a.Status != 200 || !strings.HasPrefix(a.Body, path) {
				t.Errorf("%s: %d %v", path, a.Status, err)
			} else if strings.HasSuffix(a.Header.Get("Cache-Status"), "; collapsed") {
				collapsed.Add(1)
			}
		})
	}
	ask("/slow")
	<-here
	stop := make(chan struct{})
	for i := range 8 {
		c := g.Client(t)
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				path := fmt.Sprintf("/p%d-%d", i, n%50)
				if a, err := c.Try(t.Context(), "GET", path); err != nil || a.Status != 200 || !strings.HasPrefix(a.Body, path) {
					t.Errorf("%s: %d %v", path, a.Status, err)
				}
			}
		})
	}
	loaded := make(chan error)
	go func() {
		for n := range 3 {
			loaded <- g.Load(text(n + 1))
		}
	}()
	// The old configuration ends only with its last request, so the first load waits
	// for the slow one, while the new one serves already.
	for c := g.Client(t); c.Do("GET", "/p").Header.Get("X-Load") == "0"; {
	}
	for range crowd {
		ask("/slow")
	}
	select {
	case <-all:
	case <-time.After(10 * time.Second):
		t.Error("the new configuration has not seen them all")
	}
	close(release)
	for range 3 {
		if err := <-loaded; err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
	if slow.Load() != 1 || collapsed.Load() == 0 {
		t.Errorf("the slow page was asked for %d times, %d have waited for another one's", slow.Load(), collapsed.Load())
	}
}
