package httpcache_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"flashgate/internal/httpcache"
)

// What a directive in front of the cache makes the answers vary by goes on telling pages
// apart after an answer without a body has freshened one.
func TestVaryFromOutsideAfterValidation(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"GET", "HEAD"} {
		g := newRig(t, httpcache.Config{}, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=10")
			w.Header().Set("Etag", `"`+r.Header.Get("X-Who")+`"`)
			if r.Header.Get("If-None-Match") != "" {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			fmt.Fprint(w, "page of ", r.Header.Get("X-Who"))
		})
		g.outside = func(h http.Header, _ *http.Request) { h.Set("Vary", "X-Who") }
		g.get("/", "X-Who", "ann")
		g.clock.advance(15 * time.Second)
		g.do(method, "/", "X-Who", "ann")
		if a := g.get("/", "X-Who", "ann"); !strings.Contains(a.cacheStatus(), "hit") {
			t.Fatalf("%s: %+v", method, a)
		}
		for _, who := range []string{"bob", "ann"} {
			if a := g.get("/", "X-Who", who); a.body != "page of "+who {
				t.Errorf("%s: %s got %q", method, who, a.body)
			}
		}
	}
}

// A field that a directive in front of the cache gives each visitor is nobody else's, also
// when the answer to a HEAD has freshened the page.
func TestFieldFromOutsideAfterHead(t *testing.T) {
	t.Parallel()
	g := newRig(t, httpcache.Config{}, fields("Cache-Control: max-age=10", `Etag: "v"`))
	g.outside = func(h http.Header, r *http.Request) { h.Set("X-Visitor", r.Header.Get("X-Who")) }
	g.get("/", "X-Who", "ann")
	g.clock.advance(15 * time.Second)
	g.do("HEAD", "/", "X-Who", "ann")
	a := g.get("/", "X-Who", "bob")
	if got := a.header["X-Visitor"]; !strings.Contains(a.cacheStatus(), "hit") || len(got) != 1 || got[0] != "bob" {
		t.Errorf("%q, %q", a.cacheStatus(), got)
	}
}
