package httpcache_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"flashgate/internal/httpcache"
)

// After an answer that is nobody else's the next ones do not wait for each other, until
// 10 s are over or one may be shared (hit-for-miss).
func TestHitForMiss(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		before   func(g *rig, shared *atomic.Bool)
		collapse bool
	}{
		{"at once", func(*rig, *atomic.Bool) {}, false},
		{"just before 10 s", func(g *rig, _ *atomic.Bool) { g.clock.advance(10*time.Second - time.Millisecond) }, false},
		{"after 10 s", func(g *rig, _ *atomic.Bool) { g.clock.advance(10 * time.Second) }, true},
		{"after one to be shared", func(g *rig, shared *atomic.Bool) {
			shared.Store(true)
			g.get("/")
			g.clock.advance(5 * time.Second)
			shared.Store(false)
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := newGate()
			var gated, shared atomic.Bool
			g := newRig(t, httpcache.Config{}, func(w http.ResponseWriter, r *http.Request) {
				if gated.Load() {
					o.wait(r)
				}
				control := "private"
				if shared.Load() {
					control = "max-age=5"
				}
				fields("Cache-Control: "+control)(w, r)
			})
			g.get("/")
			c.before(g, &shared)
			gated.Store(true)
			_, wait := crowd(g, 5, plain)
			if c.collapse {
				poll(t, "4 wait", func() bool { return g.cache.Waiters() == 4 })
			} else {
				poll(t, "5 are at the origin", func() bool { return len(o.entered) == 5 })
			}
			close(o.open)
			wait()
		})
	}
}

// A tag of the cache's own is for clients on hits; the origin never sees it.
// An answer that is one visitor's own, by his credentials, lets nobody else's page off.
func TestCredentialsAreNoHitForMiss(t *testing.T) {
	t.Parallel()
	o := newGate()
	g := newRig(t, httpcache.Config{}, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			o.wait(r)
		}
		fields("Cache-Control: max-age=60")(w, r)
	})
	g.get("/", "Authorization", "Basic x")
	_, wait := crowd(g, 5, plain)
	poll(t, "4 wait", func() bool { return g.cache.Waiters() == 4 })
	close(o.open)
	wait()
	g.wantAsked(2)
}

func TestOwnTag(t *testing.T) {
	t.Parallel()
	for _, kind := range []httpcache.ETag{httpcache.ETagWeak, httpcache.ETagStrong} {
		var sent atomic.Value
		sent.Store("")
		g := newRig(t, httpcache.Config{ETag: kind}, func(w http.ResponseWriter, r *http.Request) {
			sent.Store(r.Header.Get("If-None-Match"))
			fields("Cache-Control: max-age=10", "Last-Modified: "+changed)(w, r)
		})
		g.get("/")
		tag := g.get("/").header.Get("Etag")
		if strings.HasPrefix(tag, "W/") != (kind == httpcache.ETagWeak) || len(tag) < 10 {
			t.Errorf("%s: %q", kind, tag)
		}
		if a := g.get("/", "If-None-Match", tag); a.status != 304 || a.header.Get("Etag") != tag {
			t.Errorf("%s: %+v", kind, a)
		}
		if a := g.get("/", "Range", "bytes=0-0", "If-Range", tag); (a.status == 206) != (kind == httpcache.ETagStrong) {
			t.Errorf("%s: If-Range: %+v", kind, a)
		}
		g.clock.advance(15 * time.Second)
		g.get("/", "If-None-Match", tag)
		if sent.Load() != "" {
			t.Errorf("%s: the origin was asked for %q", kind, sent.Load())
		}
		g.wantAsked(2)
	}
}

// Browsers may be told something else than the gateway goes by, of what is kept.
func TestBrowserCacheControl(t *testing.T) {
	t.Parallel()
	g := newRig(t, httpcache.Config{BrowserCacheControl: "no-cache"}, func(w http.ResponseWriter, r *http.Request) {
		control := "Cache-Control: max-age=60"
		if r.URL.Path == "/private" {
			control = "Cache-Control: private, max-age=5"
		}
		fields(control, "Expires: "+epoch.Add(week).Format(http.TimeFormat), "Pragma: x")(w, r)
	})
	for range 2 {
		h := g.get("/").header
		if h.Get("Cache-Control") != "no-cache" || h.Get("Expires") != "" || h.Get("Pragma") != "" || h.Get("Age") != "" || h.Get("Date") != g.clock.now().Format(http.TimeFormat) {
			t.Errorf("%v", h)
		}
		g.clock.advance(5 * time.Second)
	}
	if h := g.get("/private").header; h.Get("Cache-Control") != "private, max-age=5" || h.Get("Expires") == "" {
		t.Errorf("%v", h)
	}
}

// Cache-Status says the key and why an answer is not kept, to those who may know.
func TestExplain(t *testing.T) {
	t.Parallel()
	g := newRig(t, httpcache.Config{Explain: func(r *http.Request) bool { return r.Header.Get("X-Explain") != "" }}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", strings.TrimPrefix(r.URL.Path, "/"))
		fmt.Fprint(w, "page")
	})
	for _, c := range []struct{ path, said string }{
		{"/max-age=60", `; fwd=uri-miss; stored; key="HOST/max-age=60"`},
		{"/max-age=60", `; hit; ttl=60; key="HOST/max-age=60"`},
		{"/private", `; fwd=uri-miss; key="HOST/private"; detail=private`},
		{"/no-store", `; fwd=uri-miss; key="HOST/no-store"; detail=no-store`},
		{"/public", `; fwd=uri-miss; key="HOST/public"; detail=no-freshness`},
		{"/max-age=60?%22", `; fwd=uri-miss; stored; key="HOST/max-age=60?%22"`},
		{"/a;b", `; fwd=bypass; key="HOST/a;b"; detail=address`},
		{`/max-age=60?"`, `; fwd=uri-miss; stored; key="HOST/max-age=60?\""`},
	} {
		want := "flashgate" + strings.ReplaceAll(c.said, "HOST", g.url)
		if a := g.get(c.path, "X-Explain", "1"); a.cacheStatus() != want {
			t.Errorf("%q, want %q", a.cacheStatus(), want)
		}
	}
	if a := g.get("/private"); strings.Contains(a.cacheStatus(), "key") {
		t.Errorf("%q", a.cacheStatus())
	}
}

// 204 has no length, on a miss and on a hit.
func TestNoContent(t *testing.T) {
	t.Parallel()
	g := newRig(t, httpcache.Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.WriteHeader(http.StatusNoContent)
	})
	for range 2 {
		if a := g.get("/"); a.status != 204 || a.header.Get("Content-Length") != "" {
			t.Errorf("%+v", a)
		}
	}
	g.wantAsked(1)
}

// A body up to the bound is kept; a larger one goes to the client only, whole.
func TestMaxBody(t *testing.T) {
	t.Parallel()
	for _, declared := range []bool{true, false} {
		for size, kept := range map[int]bool{1000: true, 1001: false} {
			g := newRig(t, httpcache.Config{MaxBody: 1000}, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				if declared {
					w.Header().Set("Content-Length", fmt.Sprint(size))
				}
				flushed(w, size-500)
				flushed(w, 500)
			})
			g.get("/")
			if a := g.get("/"); len(a.body) != size || strings.Contains(a.cacheStatus(), "hit") != kept {
				t.Errorf("declared %v, %d bytes: %d, %q", declared, size, len(a.body), a.cacheStatus())
			}
		}
	}
}
