package httpcache_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"flashgate/internal/httpcache"
)

// fields is a handler that answers with header lines and a body of its own count.
func fields(lines ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, l := range lines {
			name, value, _ := strings.Cut(l, ": ")
			if name == "Date" {
				w.Header().Del(name)
			}
			w.Header().Add(name, value)
		}
		fmt.Fprint(w, "page")
	}
}

const week = 7 * 24 * time.Hour

// How long an answer is served, and what the cache says about it.
func TestFreshness(t *testing.T) {
	t.Parallel()
	date := func(d time.Duration) string { return epoch.Add(d).Format(http.TimeFormat) }
	cases := []struct {
		name   string
		lines  []string
		ttl    time.Duration
		after  time.Duration
		status string // of the second request
	}{
		{"max-age", []string{"Cache-Control: max-age=60"}, 0, 50 * time.Second, "flashgate; hit; ttl=10"},
		{"max-age is over", []string{"Cache-Control: max-age=60"}, 0, 60 * time.Second, "flashgate; fwd=stale; stored"},
		{"quoted and in capitals", []string{`Cache-Control: Public, MAX-AGE="60"`}, 0, 50 * time.Second, "flashgate; hit; ttl=10"},
		{"s-maxage wins", []string{"Cache-Control: max-age=60, s-maxage=100"}, 0, 90 * time.Second, "flashgate; hit; ttl=10"},
		{"max-age wins over Expires", []string{"Cache-Control: max-age=60", "Expires: " + date(week)}, 0, 70 * time.Second, "flashgate; fwd=stale; stored"},
		{"Expires", []string{"Expires: " + date(time.Hour)}, 0, 30 * time.Minute, "flashgate; hit; ttl=1800"},
		{"Expires 0", []string{"Expires: 0"}, time.Hour, 0, "flashgate; fwd=uri-miss"},
		{"Age counts", []string{"Cache-Control: max-age=60", "Age: 55"}, 0, 2 * time.Second, "flashgate; hit; ttl=3"},
		{"Age beyond max-age", []string{"Cache-Control: max-age=60", "Age: 60"}, 0, 0, "flashgate; fwd=uri-miss"},
		{"an old Date counts", []string{"Cache-Control: max-age=60", "Date: " + date(-time.Hour)}, 0, 0, "flashgate; fwd=uri-miss"},
		{"max-age=0", []string{"Cache-Control: max-age=0"}, time.Hour, 0, "flashgate; fwd=uri-miss"},
		{"unreadable max-age", []string{"Cache-Control: max-age=soon"}, time.Hour, 0, "flashgate; fwd=uri-miss"},
		{"negative max-age", []string{"Cache-Control: max-age=-1"}, time.Hour, 0, "flashgate; fwd=uri-miss"},
		{"two max-ages", []string{"Cache-Control: max-age=60", "Cache-Control: max-age=90"}, time.Hour, 0, "flashgate; fwd=uri-miss"},
		{"nothing said, no ttl", nil, 0, 0, "flashgate; fwd=uri-miss"},
		{"nothing said, ttl", nil, 10 * time.Second, 9 * time.Second, "flashgate; hit; ttl=1"},
		{"ttl is over", nil, 10 * time.Second, 10 * time.Second, "flashgate; fwd=stale; stored"},
		{"ttl counts from now", []string{"Date: " + date(-time.Hour)}, 10 * time.Second, 9 * time.Second, "flashgate; hit; ttl=1"},
		{"public says nothing about how long", []string{"Cache-Control: public"}, time.Hour, 0, "flashgate; fwd=uri-miss"},
		{"Pragma", []string{"Pragma: no-cache"}, time.Hour, 0, "flashgate; fwd=uri-miss"},
		{"private", []string{"Cache-Control: private, max-age=60"}, time.Hour, 0, "flashgate; fwd=uri-miss"},
		{"private fields", []string{`Cache-Control: private="X-A, X-B", max-age=60`}, time.Hour, 0, "flashgate; fwd=uri-miss"},
		{"no-store", []string{"Cache-Control: max-age=60", "Cache-Control: no-store"}, time.Hour, 0, "flashgate; fwd=uri-miss"},
		{"no-cache", []string{"Cache-Control: no-cache, max-age=60"}, time.Hour, 0, "flashgate; fwd=uri-miss"},
		{"Set-Cookie", []string{"Cache-Control: public, max-age=60", "Set-Cookie: a=b"}, time.Hour, 0, "flashgate; fwd=uri-miss"},
		{"Set-Cookie, ttl", []string{"Set-Cookie: a=b"}, time.Hour, 0, "flashgate; fwd=uri-miss"},
		{"Vary *", []string{"Cache-Control: max-age=60", "Vary: Accept, *"}, time.Hour, 0, "flashgate; fwd=uri-miss"},
		{"an event stream", []string{"Content-Type: text/event-stream; charset=utf-8"}, time.Hour, 0, "flashgate; fwd=uri-miss"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, httpcache.Config{TTL: c.ttl}, fields(c.lines...))
			if a := g.get("/"); a.status != 200 || a.body != "page" || strings.Contains(a.cacheStatus(), "hit") {
				t.Errorf("first: %+v", a)
			}
			g.clock.advance(c.after)
			a := g.get("/")
			if a.cacheStatus() != c.status || a.body != "page" {
				t.Errorf("Cache-Status %q, want %q", a.cacheStatus(), c.status)
			}
			hit := strings.Contains(c.status, "hit")
			if hit {
				g.wantAsked(1)
			} else {
				g.wantAsked(2)
			}
		})
	}
}

// Answers with any final status are kept when they say for how long.
func TestStatuses(t *testing.T) {
	t.Parallel()
	for status, kept := range map[int]bool{
		200: true, 201: true, 203: true, 204: true, 301: true, 302: true, 404: true, 410: true, 451: true, 500: true, 503: true, 599: true,
		206: false, 416: false,
	} {
		g := newRig(t, httpcache.Config{}, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.WriteHeader(status)
		})
		for i := range 2 {
			if a := g.get("/"); a.status != status || strings.Contains(a.cacheStatus(), "hit") != (kept && i == 1) {
				t.Errorf("%d, request %d: %+v", status, i, a)
			}
		}
	}
}

// What a request says decides whether a stored page will do.
func TestDemand(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, method string
		header       []string
		code         int
		status       string // of the request
		asked        int64  // with the one that stored the page
		then         string // of a plain request afterwards
	}{
		{"plain", "GET", nil, 200, "; hit; ttl=50", 1, "; hit; ttl=50"},
		{"HEAD", "HEAD", nil, 200, "; hit; ttl=50", 1, "; hit; ttl=50"},
		{"no-cache", "GET", []string{"Cache-Control", "no-cache"}, 200, "; fwd=request; stored", 2, "; hit; ttl=60"},
		{"Pragma", "GET", []string{"Pragma", "no-cache"}, 200, "; fwd=request; stored", 2, "; hit; ttl=60"},
		{"Pragma beside Cache-Control", "GET", []string{"Pragma", "no-cache", "Cache-Control", "max-age=20"}, 200, "; hit; ttl=50", 1, "; hit; ttl=50"},
		{"max-age=0", "GET", []string{"Cache-Control", "max-age=0"}, 200, "; fwd=request; stored", 2, "; hit; ttl=60"},
		{"max-age less than its age", "GET", []string{"Cache-Control", "max-age=9"}, 200, "; fwd=request; stored", 2, "; hit; ttl=60"},
		{"max-age of its age", "GET", []string{"Cache-Control", "max-age=10"}, 200, "; hit; ttl=50", 1, "; hit; ttl=50"},
		{"min-fresh it has", "GET", []string{"Cache-Control", "min-fresh=50"}, 200, "; hit; ttl=50", 1, "; hit; ttl=50"},
		{"min-fresh it has not", "GET", []string{"Cache-Control", "min-fresh=51"}, 200, "; fwd=request; stored", 2, "; hit; ttl=60"},
		{"no-store", "GET", []string{"Cache-Control", "no-store"}, 200, "; fwd=bypass", 2, "; hit; ttl=50"},
		{"If-Match", "GET", []string{"If-Match", `"x"`}, 200, "; fwd=bypass", 2, "; hit; ttl=50"},
		{"Authorization", "GET", []string{"Authorization", "Basic x"}, 200, "; fwd=request", 2, "; hit; ttl=50"},
		{"only-if-cached", "GET", []string{"Cache-Control", "only-if-cached"}, 200, "; hit; ttl=50", 1, "; hit; ttl=50"},
		{"OPTIONS", "OPTIONS", nil, 200, "; fwd=method", 2, "; hit; ttl=50"},
		{"POST", "POST", nil, 200, "; fwd=method", 2, "; fwd=uri-miss; stored"},
		{"DELETE", "DELETE", nil, 200, "; fwd=method", 2, "; fwd=uri-miss; stored"},
		{"an unsafe method of a later day", "FROB", nil, 200, "; fwd=method", 2, "; fwd=uri-miss; stored"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, httpcache.Config{}, fields("Cache-Control: max-age=60"))
			g.get("/p")
			g.clock.advance(10 * time.Second)
			a := g.do(c.method, "/p", c.header...)
			if a.status != c.code || a.cacheStatus() != "flashgate"+c.status {
				t.Errorf("%d %q, want %d %q", a.status, a.cacheStatus(), c.code, c.status)
			}
			if strings.Contains(c.status, "hit") && (a.header.Get("Age") != "10" || a.header.Get("Content-Length") != "4") {
				t.Errorf("header of a hit: %v", a.header)
			}
			g.wantAsked(c.asked)
			if a := g.get("/p"); a.cacheStatus() != "flashgate"+c.then {
				t.Errorf("afterwards %q, want %q", a.cacheStatus(), c.then)
			}
		})
	}
}

func TestOnlyIfCached(t *testing.T) {
	t.Parallel()
	g := newRig(t, httpcache.Config{TTL: time.Minute}, fields())
	for _, header := range [][]string{{"Cache-Control", "only-if-cached"}, {"Cache-Control", "only-if-cached, no-store"}} {
		g.get("/", header...)
		if err := <-g.errs; err != httpcache.ErrOnlyIfCached {
			t.Errorf("%v: %v", header, err)
		}
	}
	g.wantAsked(0)
}

// A request with Authorization shares only what says that it may be shared.
func TestAuthorization(t *testing.T) {
	t.Parallel()
	for control, shared := range map[string]bool{
		"max-age=60": false, "public, max-age=60": true, "s-maxage=60": true, "must-revalidate, max-age=60": true, "": false,
	} {
		g := newRig(t, httpcache.Config{TTL: time.Minute}, func(w http.ResponseWriter, r *http.Request) {
			if control != "" {
				w.Header().Set("Cache-Control", control)
			}
			fmt.Fprint(w, r.Header.Get("Authorization"))
		})
		g.get("/", "Authorization", "Basic one")
		a := g.get("/", "Authorization", "Basic two")
		if want := map[bool]string{true: "Basic one", false: "Basic two"}[shared]; a.body != want {
			t.Errorf("%q: two got the page of %q", control, a.body)
		}
		if a := g.get("/"); a.body == "Basic two" || !shared && a.body != "" {
			t.Errorf("%q: nobody got the page of %q", control, a.body)
		}
	}
}

func TestConditional(t *testing.T) {
	t.Parallel()
	changed := "Mon, 02 Jan 2006 15:04:05 GMT"
	g := newRig(t, httpcache.Config{}, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") != "" || r.Header.Get("If-Modified-Since") != "" {
			t.Error("the client's condition reached the origin")
		}
		fields("Cache-Control: max-age=60", `ETag: "a,b"`, "Last-Modified: "+changed, "Content-Language: de")(w, r)
	})
	// The first client has the page already, from another day.
	if a := g.get("/", "If-None-Match", `"a,b"`); a.status != 304 || a.body != "" || a.cacheStatus() != "flashgate; fwd=uri-miss; stored" {
		t.Errorf("first: %+v", a)
	}
	for _, c := range []struct {
		name, value string
		status      int
	}{
		{"If-None-Match", `"a,b"`, 304},
		{"If-None-Match", `W/"a,b"`, 304},
		{"If-None-Match", `"x", W/"y" , "a,b"`, 304},
		{"If-None-Match", `*`, 304},
		{"If-None-Match", `"a", "b"`, 200},
		{"If-None-Match", `a,b`, 200},
		{"If-None-Match", `"a,b`, 200},
		{"If-Modified-Since", changed, 304},
		{"If-Modified-Since", "Mon, 02 Jan 2006 15:04:04 GMT", 200},
		{"If-Modified-Since", "yesterday", 200},
	} {
		a := g.get("/", c.name, c.value)
		if a.status != c.status || (a.body == "") != (c.status == 304) {
			t.Errorf("%s %s: %d %q", c.name, c.value, a.status, a.body)
		}
		if c.status == 304 && (a.header.Get("Etag") != `"a,b"` || a.header.Get("Content-Language") != "" || a.header.Get("Cache-Control") == "") {
			t.Errorf("%s %s: %v", c.name, c.value, a.header)
		}
	}
	if a := g.get("/", "If-None-Match", `"z"`, "If-Modified-Since", changed); a.status != 200 {
		t.Errorf("If-Modified-Since counted beside If-None-Match")
	}
	g.wantAsked(1)
}

func TestVary(t *testing.T) {
	t.Parallel()
	g := newRig(t, httpcache.Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Add("Vary", "accept-language")
		w.Header().Add("Vary", "X-A, Accept-Encoding")
		fmt.Fprint(w, r.Header["Accept-Language"], r.Header["X-A"], r.Header["Accept-Encoding"])
	})
	requests := [][]string{
		{"Accept-Language", "de"}, {"Accept-Language", "en"}, {}, {"X-A", "1"}, {"X-A", ""}, {"X-A", "1,2"}, {"X-A", "12"},
		{"Accept-Language", "de", "Accept-Encoding", "gzip"},
	}
	var first []string
	for _, h := range requests {
		a := g.get("/", h...)
		if !strings.HasPrefix(a.cacheStatus(), "flashgate; fwd=") {
			t.Errorf("%v: %q", h, a.cacheStatus())
		}
		first = append(first, a.body)
	}
	for i, h := range requests {
		if a := g.get("/", h...); a.cacheStatus() != "flashgate; hit; ttl=60" || a.body != first[i] {
			t.Errorf("%v: %q %q, want a hit of %q", h, a.cacheStatus(), a.body, first[i])
		}
	}
	for _, same := range [][]string{{"X-A", "1 , 2"}, {"X-A", "1", "X-A", "2"}, {"Accept-Language", "de", "Accept-Encoding", "GZIP"}} {
		if a := g.get("/", same...); a.cacheStatus() != "flashgate; hit; ttl=60" {
			t.Errorf("%v: %q", same, a.cacheStatus())
		}
	}
	g.wantAsked(int64(len(requests)))

	// After an invalidation none of the variants comes back.
	g.do("PUT", "/")
	g.get("/", requests[0]...)
	for _, h := range requests[1:] {
		if a := g.get("/", h...); a.cacheStatus() != "flashgate; fwd=vary-miss; stored" {
			t.Errorf("%v after PUT: %q", h, a.cacheStatus())
		}
	}
}

// Everything in the address tells pages apart, but for the case of the host.
func TestKey(t *testing.T) {
	t.Parallel()
	g := newRig(t, httpcache.Config{TTL: time.Minute}, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.RequestURI) })
	paths := []string{"/a", "/a/", "/A", "/a%20b", "/a/b", "/a?", "/a?x=1", "/a?x=2", "/a?x=1&", "/a%20"}
	for range 2 {
		for _, p := range paths {
			if a := g.get(p); a.body != p {
				t.Errorf("%s got %s", p, a.body)
			}
		}
	}
	g.wantAsked(int64(len(paths)))
}

// An error of the handler is the caller's, with the headers that it set.
func TestDeadOrigin(t *testing.T) {
	t.Parallel()
	g := newRig(t, httpcache.Config{TTL: time.Minute}, func(w http.ResponseWriter, r *http.Request) {
		conn, _, _ := http.NewResponseController(w).Hijack()
		_ = conn.Close()
	})
	a := g.get("/")
	if err := <-g.errs; err == nil || a.status != 502 || a.cacheStatus() != "flashgate; fwd=uri-miss" {
		t.Errorf("%v, %+v", err, a)
	}
	if a := g.do("POST", "/"); a.status != 502 || a.cacheStatus() != "flashgate; fwd=method" {
		t.Errorf("%+v", a)
	}
}
