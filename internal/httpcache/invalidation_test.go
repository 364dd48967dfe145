package httpcache_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"flashgate/internal/httpcache"
)

// Which requests make the page at their address go.
func TestInvalidation(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method string
		status int
		gone   bool
	}{
		{"POST", 200, true}, {"PUT", 204, true}, {"DELETE", 202, true}, {"PATCH", 302, true}, {"POST", 303, true}, {"POST", 399, true},
		{"FROBNICATE", 200, true}, {"post", 200, true},
		{"OPTIONS", 200, false}, {"TRACE", 200, false},
		{"POST", 400, false}, {"PUT", 404, false}, {"DELETE", 500, false}, {"POST", 503, false}, {"FROBNICATE", 405, false},
	} {
		g := newRig(t, httpcache.Config{}, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "GET" {
				fields("Cache-Control: max-age=60", "Vary: X-Kind")(w, r)
				return
			}
			w.WriteHeader(c.status)
		})
		g.get("/", "X-Kind", "a")
		g.get("/", "X-Kind", "b")
		g.do(c.method, "/")
		for _, kind := range []string{"a", "b"} { // all variants
			if a := g.get("/", "X-Kind", kind); strings.Contains(a.cacheStatus(), "hit") == c.gone {
				t.Errorf("%s %d: %q", c.method, c.status, a.cacheStatus())
			}
		}
	}
}

// Location and Content-Location name more pages, of the same origin only.
func TestInvalidationOfNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		named string // HOST stands for the request's own
		gone  bool
	}{
		{"/goods/1?x=y", true},
		{"http://HOST/goods/1?x=y", true},
		{"HTTP://HOST/goods/1?x=y", true},
		{"//HOST/goods/1?x=y", true},
		{"1?x=y", true},
		{"./1?x=y", true},
		{"../goods/1?x=y", true},
		{"/goods/1?x=y#part", true},
		{"https://HOST/goods/1?x=y", false},
		{"http://other.example/goods/1?x=y", false},
		{"//other.example/goods/1?x=y", false},
		{"http://HOST.evil.example/goods/1?x=y", false},
		{"http://HOST@evil.example/goods/1?x=y", false},
		{"http://127.0.0.1:1/goods/1?x=y", false},
		{`\\HOST\goods\1?x=y`, false},
		{"/goods/1", false},
		{"/goods/1?x=z", false},
		{"http://[::1", false},
		{"", false},
	} {
		for _, field := range []string{"Location", "Content-Location"} {
			var named atomic.Value
			g := newRig(t, httpcache.Config{}, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != "GET" {
					w.Header().Set(field, named.Load().(string))
				}
				fields("Cache-Control: max-age=60")(w, r)
			})
			named.Store(strings.ReplaceAll(c.named, "HOST", strings.TrimPrefix(g.url, "http://")))
			g.get("/goods/1?x=y")
			g.do("POST", "/goods/new")
			if a := g.get("/goods/1?x=y"); strings.Contains(a.cacheStatus(), "hit") == c.gone {
				t.Errorf("%s %q: %q", field, c.named, a.cacheStatus())
			}
		}
	}
}

// Where all hosts share their pages, another host's address still is none of
// this origin's.
func TestInvalidationWithAnyHost(t *testing.T) {
	t.Parallel()
	for _, named := range []string{"http://other.example/goods/1", "//other.example/goods/1"} {
		g := newRig(t, httpcache.Config{Key: httpcache.KeyParts{AnyHost: true}}, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != "GET" {
				w.Header().Set("Location", named)
			}
			fields("Cache-Control: max-age=60")(w, r)
		})
		g.get("/goods/1")
		g.do("POST", "/goods/new")
		if a := g.get("/goods/1"); !strings.Contains(a.cacheStatus(), "hit") {
			t.Errorf("%s: %q", named, a.cacheStatus())
		}
	}
}

// The answer to a HEAD from before a change does not bring the page back.
func TestHeadDuringAChange(t *testing.T) {
	t.Parallel()
	o := newGate()
	g := newRig(t, httpcache.Config{}, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "HEAD" {
			o.wait(r)
		}
		fields("Cache-Control: max-age=60", `Etag: "v"`)(w, r)
	})
	g.get("/")
	done := make(chan answer)
	go func() { done <- g.do("HEAD", "/", "Cache-Control", "no-cache") }()
	<-o.entered
	g.do("POST", "/")
	close(o.open)
	<-done
	if a := g.get("/"); !strings.Contains(a.cacheStatus(), "fwd=uri-miss") {
		t.Errorf("the page from before the change is there again: %q", a.cacheStatus())
	}
}

// What the answer to a HEAD says of a stored page.
func TestHead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		lines []string
		then  string
	}{
		{"the same", []string{`Etag: "v"`, "Cache-Control: max-age=90"}, "hit; ttl=90"},
		{"another tag", []string{`Etag: "w"`, "Cache-Control: max-age=90"}, "fwd=uri-miss"},
		{"another length", []string{"Content-Length: 5", "Cache-Control: max-age=90"}, "fwd=uri-miss"},
		{"another date", []string{"Last-Modified: " + epoch.Format(http.TimeFormat)}, "fwd=uri-miss"},
		{"no word of it", []string{"Cache-Control: max-age=90"}, "hit; ttl=60"},
		{"the same, now private", []string{`Etag: "v"`, "Cache-Control: private"}, "fwd=uri-miss"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, httpcache.Config{}, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "HEAD" {
					fieldsOnly(w, c.lines)
					return
				}
				fields("Cache-Control: max-age=60", `Etag: "v"`, "Last-Modified: "+changed)(w, r)
			})
			g.get("/")
			if a := g.do("HEAD", "/", "Cache-Control", "no-cache"); a.status != 200 || a.body != "" {
				t.Errorf("%+v", a)
			}
			if a := g.get("/"); !strings.HasPrefix(a.cacheStatus(), "flashgate; "+c.then) {
				t.Errorf("%q, want %q", a.cacheStatus(), c.then)
			}
		})
	}
}
