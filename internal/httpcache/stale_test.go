package httpcache_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"flashgate/internal/httpcache"
)

// Within the window the old page is served at once, and one request refreshes it.
func TestStaleWhileRevalidate(t *testing.T) {
	t.Parallel()
	o := newGate()
	version := 0
	g := newRig(t, httpcache.Config{StaleWhileRevalidate: 30 * time.Second}, func(w http.ResponseWriter, r *http.Request) {
		if version > 0 {
			o.wait(r)
		}
		version++
		w.Header().Set("Cache-Control", "max-age=10")
		fmt.Fprint(w, "version ", version)
	})
	g.get("/")
	g.clock.advance(20 * time.Second)
	for range 20 {
		if a := g.get("/"); a.body != "version 1" || a.cacheStatus() != "flashgate; hit; ttl=-10" || a.header.Get("Age") != "20" {
			t.Fatalf("%+v", a)
		}
	}
	if r := <-o.entered; r.Method != "GET" {
		t.Error(r.Method)
	}
	close(o.open) // the clients have gone long ago
	g.until(httpcache.ResultRefreshed)
	g.wantAsked(2)
	if a := g.get("/"); a.body != "version 2" || a.cacheStatus() != "flashgate; hit; ttl=10" {
		t.Errorf("%+v", a)
	}
}

func TestStaleWindow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		control string
		option  time.Duration
		stale   bool
	}{
		{"max-age=10", 0, false},
		{"max-age=10", 6 * time.Second, true},
		{"max-age=10", 5 * time.Second, false}, // over at this very moment
		{"max-age=10, stale-while-revalidate=6", 0, true},
		{"max-age=10, stale-while-revalidate=5", time.Hour, false}, // the origin's word wins
		{"max-age=10, stale-while-revalidate=60, must-revalidate", time.Hour, false},
		{"max-age=10, stale-while-revalidate=60, proxy-revalidate", time.Hour, false},
		{"s-maxage=10, stale-while-revalidate=60", time.Hour, false},
	} {
		t.Run(c.control+" "+c.option.String(), func(t *testing.T) {
			t.Parallel()
			g := newRig(t, httpcache.Config{StaleWhileRevalidate: c.option}, fields("Cache-Control: "+c.control))
			g.get("/")
			g.clock.advance(15 * time.Second)
			want := "flashgate; fwd=stale; stored"
			a := g.get("/")
			if c.stale {
				want = "flashgate; hit; ttl=-5"
				g.until(httpcache.ResultRefreshed)
			} else if a.cacheStatus() == "flashgate; fwd=uri-miss; stored" {
				want = a.cacheStatus() // the store has forgotten it already
			}
			if a.cacheStatus() != want {
				t.Errorf("%q, want %q", a.cacheStatus(), want)
			}
		})
	}
}

// A request that wants the origin's word does not get a stale page.
func TestStaleIsNotForced(t *testing.T) {
	t.Parallel()
	for _, h := range []string{"no-cache", "max-age=0", "max-age=12", "min-fresh=1"} {
		g := newRig(t, httpcache.Config{StaleWhileRevalidate: time.Hour}, fields("Cache-Control: max-age=10"))
		g.get("/")
		g.clock.advance(15 * time.Second)
		if a := g.get("/", "Cache-Control", h); a.cacheStatus() != "flashgate; fwd=stale; stored" {
			t.Errorf("%s: %q", h, a.cacheStatus())
		}
	}
}

// An origin in trouble leaves the stale page alone; one that has taken the page away
// does not.
func TestRefreshThatFails(t *testing.T) {
	t.Parallel()
	for status, kept := range map[int]bool{500: true, 503: true, 429: true, 404: false, 410: false, 403: false, 302: false} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			first := true
			g := newRig(t, httpcache.Config{StaleWhileRevalidate: time.Hour}, func(w http.ResponseWriter, r *http.Request) {
				if !first {
					w.WriteHeader(status)
					return
				}
				first = false
				fields("Cache-Control: max-age=10")(w, r)
			})
			g.get("/")
			g.clock.advance(15 * time.Second)
			g.get("/")
			g.until(httpcache.ResultNotRefreshed)
			if a := g.get("/"); (a.body == "page") != kept {
				t.Errorf("%+v", a)
			}
			if kept {
				g.until(httpcache.ResultNotRefreshed) // it is tried again
			}
		})
	}
}

// A refresh that takes too long is given up.
func TestRefreshTimeout(t *testing.T) {
	t.Parallel()
	o := newGate()
	first := true
	g := newRig(t, httpcache.Config{StaleWhileRevalidate: time.Hour, RefreshTimeout: time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		if !first {
			o.wait(r)
			return
		}
		first = false
		fields("Cache-Control: max-age=10")(w, r)
	})
	g.get("/")
	g.clock.advance(15 * time.Second)
	g.get("/")
	g.until(httpcache.ResultNotRefreshed)
}
