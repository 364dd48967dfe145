package httpcache_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"flashgate/internal/httpcache"
)

// versioned is an origin whose page has a validator.
type versioned struct {
	mu    sync.Mutex
	lines []string // of its 200
	news  []string // of its answer to a validation
	other int      // status of that; zero: 304
	asked []http.Header
}

func (o *versioned) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = append(o.asked, r.Header.Clone())
	if r.Header.Get("If-None-Match") == "" && r.Header.Get("If-Modified-Since") == "" {
		fieldsOnly(w, o.lines)
		fmt.Fprint(w, "page")
		return
	}
	for _, l := range o.news {
		name, value, _ := strings.Cut(l, ": ")
		w.Header().Add(name, value)
	}
	if o.other == 0 {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.WriteHeader(o.other)
	fmt.Fprint(w, "other")
}

func (o *versioned) last() http.Header {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked[len(o.asked)-1]
}

var changed = epoch.Add(-week).Format(http.TimeFormat)

// A stale page is asked for by all validators that it has, and a 304 makes it fresh.
func TestValidation(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		lines      []string
		match, ims string
	}{
		{"ETag", []string{`Etag: "v"`}, `"v"`, ""},
		{"weak ETag", []string{`Etag: W/"v"`}, `W/"v"`, ""},
		{"Last-Modified", []string{"Last-Modified: " + changed}, "", changed},
		{"both", []string{`Etag: "v"`, "Last-Modified: " + changed}, `"v"`, changed},
	} {
		o := &versioned{lines: append(c.lines, "Cache-Control: max-age=10"), news: []string{"Cache-Control: max-age=20"}}
		g := newRig(t, httpcache.Config{}, o.ServeHTTP)
		g.get("/")
		g.clock.advance(15 * time.Second)
		// The client's own condition does not reach the origin.
		if a := g.get("/", "If-None-Match", `"mine"`); a.status != 200 || a.body != "page" || a.cacheStatus() != "flashgate; fwd=stale; stored; fwd-status=304" || a.header.Get("Age") != "0" {
			t.Errorf("%s: %+v", c.name, a)
		}
		if h := o.last(); h.Get("If-None-Match") != c.match || h.Get("If-Modified-Since") != c.ims {
			t.Errorf("%s: %v", c.name, h)
		}
		g.clock.advance(15 * time.Second)
		if a := g.get("/"); a.cacheStatus() != "flashgate; hit; ttl=5" || a.header.Get("Age") != "15" || a.header.Get("Cache-Control") != "max-age=20" {
			t.Errorf("%s: %+v", c.name, a)
		}
		g.wantAsked(2)
	}
}

// A 304 brings the header up to date, but for what describes the stored body, what is
// the connection's, and cookies.
func TestNewsOfA304(t *testing.T) {
	t.Parallel()
	o := &versioned{
		lines: []string{`Etag: "v"`, "Last-Modified: " + changed, "Cache-Control: max-age=10", "X-Old: stays", "X-Both: old", "Content-Type: text/plain", "Content-Language: en"},
		news: []string{
			`Etag: "w"`, "Cache-Control: max-age=20", "X-Both: new", "X-Both: newer", "X-New: comes", "Content-Encoding: br",
			"Content-Range: bytes 0-1/4", "Set-Cookie: a=b", "Age: 3", "Keep-Alive: timeout=5", "Connection: X-Mine", "X-Mine: hop",
		},
	}
	g := newRig(t, httpcache.Config{}, o.ServeHTTP)
	g.get("/")
	g.clock.advance(15 * time.Second)
	first := g.get("/")
	if first.header.Get("Set-Cookie") != "a=b" {
		t.Error("the client whose request it was has not got the cookie")
	}
	second := g.get("/")
	for _, a := range []answer{first, second} {
		if a.status != 200 || a.body != "page" {
			t.Errorf("%+v", a)
		}
		for name, want := range map[string]string{
			"Etag": `"v"`, "Cache-Control": "max-age=20", "X-Old": "stays", "X-Both": "new|newer", "X-New": "comes", "Content-Type": "text/plain",
			"Content-Language": "en", "Content-Encoding": "", "Content-Range": "", "Content-Length": "4", "Age": "3", "Keep-Alive": "", "X-Mine": "",
			"Last-Modified": changed, "Date": epoch.Add(15 * time.Second).Format(http.TimeFormat),
		} {
			if got := strings.Join(a.header.Values(name), "|"); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	}
	if second.cacheStatus() != "flashgate; hit; ttl=17" || second.header.Get("Set-Cookie") != "" {
		t.Errorf("%+v", second)
	}
}

// What the origin answers to a validation decides about the stored page.
func TestAfterValidation(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		other  int
		news   []string
		status int
		body   string
		then   string // how the next request is answered
	}{
		{"304", 0, []string{"Cache-Control: max-age=20"}, 200, "page", "hit"},
		{"304 that says nothing", 0, nil, 200, "page", "hit"},
		{"304, private", 0, []string{"Cache-Control: private, max-age=20"}, 200, "page", "fwd=uri-miss"},
		{"304, no-store", 0, []string{"Cache-Control: no-store"}, 200, "page", "fwd=uri-miss"},
		{"304, Vary *", 0, []string{"Vary: *"}, 200, "page", "fwd=uri-miss"},
		{"304, no-cache", 0, []string{"Cache-Control: no-cache"}, 200, "page", "fwd=stale; stored; fwd-status=304"},
		{"304, a new Vary", 0, []string{"Vary: X-Kind", "Cache-Control: max-age=20"}, 200, "page", "hit"},
		{"200", 200, []string{"Cache-Control: max-age=20", `Etag: "w"`}, 200, "other", "hit"},
		{"200, no-store", 200, []string{"Cache-Control: no-store"}, 200, "other", "fwd=uri-miss"},
		{"404", 404, nil, 404, "other", "fwd=uri-miss"},
		{"404 to be kept", 404, []string{"Cache-Control: max-age=20"}, 404, "other", "hit"},
		{"410", 410, nil, 410, "other", "fwd=uri-miss"},
		{"302", 302, []string{"Location: /x"}, 302, "other", "fwd=uri-miss"},
		{"429 leaves it", 429, nil, 429, "other", "fwd=stale"},
		{"501 leaves it", 501, nil, 501, "other", "fwd=stale"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := &versioned{lines: []string{`Etag: "v"`, "Cache-Control: max-age=10"}, news: c.news, other: c.other}
			g := newRig(t, httpcache.Config{}, o.ServeHTTP)
			g.get("/")
			g.clock.advance(15 * time.Second)
			if a := g.get("/"); a.status != c.status || a.body != c.body {
				t.Errorf("%+v", a)
			}
			if a := g.get("/"); !strings.HasPrefix(a.cacheStatus(), "flashgate; "+c.then) {
				t.Errorf("then %q, want %q", a.cacheStatus(), c.then)
			}
		})
	}
}

// All who want a stale page wait for one validation; its cookie is one client's.
func TestWaitingForAValidation(t *testing.T) {
	t.Parallel()
	gate := newGate()
	o := &versioned{lines: []string{`Etag: "v"`, "Cache-Control: max-age=10"}, news: []string{"Set-Cookie: a=b"}}
	var gated atomic.Bool
	g := newRig(t, httpcache.Config{}, func(w http.ResponseWriter, r *http.Request) {
		if gated.Load() {
			gate.wait(r)
		}
		o.ServeHTTP(w, r)
	})
	g.get("/")
	gated.Store(true)
	g.clock.advance(15 * time.Second)
	answers, wait := crowd(g, 20, plain)
	<-gate.entered
	poll(t, "19 wait", func() bool { return g.cache.Waiters() == 19 })
	close(gate.open)
	wait()
	cookies := 0
	for _, a := range answers {
		if a.status != 200 || a.body != "page" {
			t.Errorf("%+v", a)
		}
		if a.header.Get("Set-Cookie") != "" {
			cookies++
		}
	}
	if cookies != 1 {
		t.Errorf("%d clients got the cookie of one", cookies)
	}
	g.wantAsked(2)
}

// A page with no-cache and a validator is stored, and each request validates it.
func TestNoCache(t *testing.T) {
	t.Parallel()
	for _, control := range []string{"no-cache", "no-cache, max-age=60", `no-cache="X-A", max-age=60`, "max-age=0"} {
		o := &versioned{lines: []string{`Etag: "v"`, "Cache-Control: " + control}}
		g := newRig(t, httpcache.Config{}, o.ServeHTTP)
		g.get("/")
		answers, wait := crowd(g, 8, plain)
		wait()
		for _, a := range append(answers, g.get("/"), g.get("/")) {
			if a.body != "page" || !strings.HasSuffix(a.cacheStatus(), "; fwd-status=304") {
				t.Errorf("%s: %+v", control, a)
			}
		}
		g.wantAsked(11)
	}
}

// Without freshness and without a validator there is nothing to keep.
func TestNothingToValidate(t *testing.T) {
	t.Parallel()
	g := newRig(t, httpcache.Config{}, fields("Cache-Control: no-cache"))
	g.get("/")
	if len(g.store.byKey) != 0 {
		t.Error("it was stored")
	}
}

// The client's own conditions are the cache's to answer (RFC 9110, section 13.2.2).
func TestClientConditions(t *testing.T) {
	t.Parallel()
	date := func(d time.Duration) string { return epoch.Add(d).Format(http.TimeFormat) }
	tagged := []string{`Etag: "v"`, "Last-Modified: " + changed}
	for _, c := range []struct {
		name    string
		lines   []string
		request []string
		same    bool
	}{
		{"the tag", tagged, []string{"If-None-Match", `"v"`}, true},
		{"weak against strong", tagged, []string{"If-None-Match", `W/"v"`}, true},
		{"strong against weak", []string{`Etag: W/"v"`}, []string{"If-None-Match", `"v"`}, true},
		{"in a list", tagged, []string{"If-None-Match", `"a", W/"b","v"`}, true},
		{"in a second line", tagged, []string{"If-None-Match", `"a"`, "If-None-Match", `"v"`}, true},
		{"star", tagged, []string{"If-None-Match", "*"}, true},
		{"a comma in a tag", []string{`Etag: "a,b"`}, []string{"If-None-Match", `"x", "a,b"`}, true},
		{"half of a tag", []string{`Etag: "a,b"`}, []string{"If-None-Match", `"a"`}, false},
		{"another tag", tagged, []string{"If-None-Match", `"w"`}, false},
		{"without quotes", tagged, []string{"If-None-Match", `v`}, false},
		{"the tag comes first", tagged, []string{"If-None-Match", `"w"`, "If-Modified-Since", date(0)}, false},
		{"the very date", tagged, []string{"If-Modified-Since", changed}, true},
		{"a later date", tagged, []string{"If-Modified-Since", date(0)}, true},
		{"an earlier date", tagged, []string{"If-Modified-Since", date(-week - time.Second)}, false},
		{"no date", tagged, []string{"If-Modified-Since", "yesterday"}, false},
		{"two dates", tagged, []string{"If-Modified-Since", date(0), "If-Modified-Since", date(0)}, false},
		{"against Date", nil, []string{"If-Modified-Since", date(0)}, true},
		{"before Date", nil, []string{"If-Modified-Since", date(-time.Second)}, false},
	} {
		g := newRig(t, httpcache.Config{}, fields(append([]string{"Cache-Control: max-age=60", "Content-Type: text/plain"}, c.lines...)...))
		g.get("/")
		for _, method := range []string{"GET", "HEAD"} {
			a := g.do(method, "/", c.request...)
			if (a.status == 304) != c.same {
				t.Errorf("%s: %+v", c.name, a)
			}
			if a.status == 304 && (a.body != "" || a.header.Get("Content-Type") != "" || a.header.Get("Cache-Control") == "" || len(c.lines) > 0 && a.header.Get("Etag") == "") {
				t.Errorf("%s: %+v", c.name, a)
			}
		}
		g.wantAsked(1)
	}
}
