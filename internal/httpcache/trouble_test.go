package httpcache_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/httpcache"
)

// When a stale page stands in for an origin in trouble (RFC 5861, section 4). The page
// is 5 s stale; status 0 is an origin that cannot be reached.
func TestStaleIfError(t *testing.T) {
	t.Parallel()
	var none, hour httpcache.Config
	none.StaleIfUnreachable, hour.StaleIfError, hour.StaleIfUnreachable = -1, time.Hour, -1
	for _, c := range []struct {
		name, control string
		cfg           httpcache.Config
		request       string
		status        int
		stale         bool
	}{
		{"by the answer", "max-age=10, stale-if-error=6", none, "", 500, true},
		{"by the answer, over", "max-age=10, stale-if-error=5", none, "", 500, false},
		{"the answer's word wins", "max-age=10, stale-if-error=5", hour, "", 500, false},
		{"by the option", "max-age=10", hour, "", 500, true},
		{"by the request", "max-age=10", none, "stale-if-error=6", 500, true},
		{"by the request, over", "max-age=10", none, "stale-if-error=5", 500, false},
		{"nobody says so", "max-age=10", none, "", 500, false},
		{"502", "max-age=10", hour, "", 502, true},
		{"503", "max-age=10", hour, "", 503, true},
		{"504", "max-age=10", hour, "", 504, true},
		{"501", "max-age=10", hour, "", 501, false},
		{"505", "max-age=10", hour, "", 505, false},
		{"404", "max-age=10", hour, "", 404, false},
		{"429", "max-age=10", hour, "", 429, false},
		{"unreachable", "max-age=10", httpcache.Config{}, "", 0, true},
		{"unreachable is no answer's trouble", "max-age=10", httpcache.Config{}, "", 503, false},
		{"unreachable, over", "max-age=10", httpcache.Config{StaleIfUnreachable: 5 * time.Second}, "", 0, false},
		{"unreachable, off", "max-age=10", none, "", 0, false},
		{"unreachable, by the answer", "max-age=10, stale-if-error=60", none, "", 0, true},
		{"must-revalidate", "max-age=10, stale-if-error=60, must-revalidate", hour, "", 500, false},
		{"proxy-revalidate", "max-age=10, stale-if-error=60, proxy-revalidate", hour, "", 500, false},
		{"s-maxage", "s-maxage=10, stale-if-error=60", hour, "", 500, false},
		{"no-cache", "no-cache, stale-if-error=60", hour, "", 500, false},
		{"must-revalidate, unreachable", "max-age=10, must-revalidate", httpcache.Config{}, "", 0, false},
		{"the request wants the origin's word", "max-age=10", hour, "no-cache", 500, false},
		{"the request wants none so old", "max-age=10", hour, "max-age=12", 500, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var down atomic.Bool
			g := newRig(t, c.cfg, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case !down.Load():
					fields("Cache-Control: "+c.control, `Etag: "v"`)(w, r)
				case c.status == 0:
					panic(http.ErrAbortHandler)
				default:
					w.WriteHeader(c.status)
					fmt.Fprint(w, "trouble")
				}
			})
			g.get("/")
			g.clock.advance(15 * time.Second)
			down.Store(true)
			var header []string
			if c.request != "" {
				header = []string{"Cache-Control", c.request}
			}
			a := g.get("/", header...)
			if c.stale {
				want := fmt.Sprintf("flashgate; fwd=stale; fwd-status=%d", c.status)
				if c.status == 0 {
					want = "flashgate; fwd=stale; detail=unreachable"
				}
				if a.status != 200 || a.body != "page" || a.header.Get("Age") != "15" || a.cacheStatus() != want {
					t.Errorf("%+v", a)
				}
				return
			}
			want, body := c.status, "trouble"
			if c.status == 0 {
				want, body = 502, "" // by the rig, of the error
			}
			if a.status != want || a.body != body {
				t.Errorf("%+v", a)
			}
		})
	}
}

// A request may take a stale page (RFC 9111, section 5.2.1.2). The page is 5 s stale.
func TestMaxStale(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		control, request string
		stale            bool
	}{
		{"max-age=10", "max-stale", true},
		{"max-age=10", "max-stale=5", true},
		{"max-age=10", "max-stale=4", false},
		{"max-age=10", "max-stale=x", false},
		{"max-age=10", "max-stale, max-age=15", true},
		{"max-age=10", "max-stale=5, max-age=9", false},
		{"max-age=10", "max-stale, no-cache", false},
		{"max-age=10", "max-stale, min-fresh=1", false},
		{"max-age=10, must-revalidate", "max-stale", false},
		{"max-age=10, proxy-revalidate", "max-stale", false},
		{"s-maxage=10", "max-stale", false},
		{"no-cache", "max-stale", false},
	} {
		g := newRig(t, httpcache.Config{}, fields("Cache-Control: "+c.control, `Etag: "v"`))
		g.get("/")
		g.clock.advance(15 * time.Second)
		if a := g.get("/", "Cache-Control", c.request); (a.cacheStatus() == "flashgate; hit; ttl=-5") != c.stale || a.body != "page" {
			t.Errorf("%s, %s: %q", c.control, c.request, a.cacheStatus())
		}
	}
}

// A soft purge makes a fresh page stale as of now.
func TestSoftPurge(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		control, then string
		more          httpcache.Result
	}{
		{"max-age=60", "fwd=stale; stored; fwd-status=304", ""},
		{"max-age=60, must-revalidate, stale-while-revalidate=30", "fwd=stale; stored; fwd-status=304", ""},
		{"max-age=60, stale-while-revalidate=30", "hit; ttl=0", httpcache.ResultRefreshed},
	} {
		o := &versioned{lines: []string{`Etag: "v"`, "Cache-Control: " + c.control}}
		g := newRig(t, httpcache.Config{}, o.ServeHTTP)
		g.get("/")
		_ = g.store.Purge(t.Context(), flashgate.Purge{Kind: flashgate.PurgeURL, Value: g.url + "/", Soft: true})
		if a := g.get("/"); a.cacheStatus() != "flashgate; "+c.then || a.body != "page" {
			t.Errorf("%s: %+v", c.control, a)
		}
		if c.more != "" {
			g.until(c.more)
		}
		if a := g.get("/"); a.cacheStatus() != "flashgate; hit; ttl=60" {
			t.Errorf("%s: then %q", c.control, a.cacheStatus())
		}
		g.wantAsked(2)
	}
}

// Those who wait for a flight that fails get the stale page where it may stand in; else
// each gets an answer of its own.
func TestWaitingForTrouble(t *testing.T) {
	t.Parallel()
	for _, control := range []string{"max-age=10, stale-if-error=60", "max-age=10, must-revalidate"} {
		o := newGate()
		var down atomic.Bool
		g := newRig(t, httpcache.Config{}, func(w http.ResponseWriter, r *http.Request) {
			if down.Load() {
				o.wait(r)
				w.WriteHeader(503)
				return
			}
			fields("Cache-Control: "+control, `Etag: "v"`)(w, r)
		})
		g.get("/")
		g.clock.advance(15 * time.Second)
		down.Store(true)
		answers, wait := crowd(g, 10, plain)
		<-o.entered
		poll(t, "9 wait", func() bool { return g.cache.Waiters() == 9 })
		close(o.open)
		wait()
		strict := strings.Contains(control, "must")
		for _, a := range answers {
			if strict && a.status != 503 || !strict && (a.status != 200 || a.body != "page") {
				t.Errorf("%s: %+v", control, a)
			}
		}
		if strict {
			g.wantAsked(11)
		} else {
			g.wantAsked(2)
		}
	}
}

// An error that is not the origin's trouble is the caller's, with or without a page.
func TestErrorsOfAnotherKind(t *testing.T) {
	t.Parallel()
	refused := errors.New("refused")
	at := epoch
	var trouble error
	c, err := httpcache.New(httpcache.Config{
		Store: newPages(func() time.Time { return at }), Now: func() time.Time { return at }, StaleIfError: time.Hour,
		ErrorStatus: func(error) int { return 403 },
	})
	if err != nil {
		t.Fatal(err)
	}
	serve := func() error {
		return c.Serve(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil), func(w http.ResponseWriter, r *http.Request) error {
			if trouble == nil {
				fields("Cache-Control: max-age=10")(w, r)
			}
			return trouble
		})
	}
	if err := serve(); err != nil {
		t.Fatal(err)
	}
	at, trouble = at.Add(15*time.Second), refused
	if err := serve(); !errors.Is(err, refused) {
		t.Errorf("%v", err)
	}
}
