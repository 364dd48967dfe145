package httpcache_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"flashgate/internal/httpcache"
)

// A request that the origin refuses for its own sake takes no page from others.
func TestSpoiltRequestTakesNoPage(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 407, 411, 412, 413, 414, 417, 421, 425, 426, 428, 429, 431} {
		g := newRig(t, httpcache.Config{}, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Spoilt") != "" {
				w.WriteHeader(status)
				return
			}
			w.Header().Set("Cache-Control", "max-age=60")
			fmt.Fprint(w, "page")
		})
		g.get("/")
		if a := g.get("/", "X-Spoilt", "1", "Cache-Control", "no-cache"); a.status != status {
			t.Errorf("%d: %+v", status, a)
		}
		if a := g.get("/"); !strings.Contains(a.cacheStatus(), "hit") {
			t.Errorf("%d: the page is gone: %q", status, a.cacheStatus())
		}
	}
}

// A client whose own answer cannot be shared does not make others go to the origin one by
// one.
func TestOneClientDoesNotEndSharing(t *testing.T) {
	t.Parallel()
	for _, spoilt := range [][]string{
		{"Authorization", "Basic x"}, {"Range", "bytes=1000-"}, {"X-Spoilt", "1"},
	} {
		o := newGate()
		g := newRig(t, httpcache.Config{}, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			switch {
			case r.Header.Get("Range") != "":
				w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			case r.Header.Get("X-Spoilt") != "":
				w.Header().Del("Cache-Control")
				w.WriteHeader(http.StatusBadRequest)
			case r.Header.Get("Authorization") == "":
				o.wait(r)
			}
			fmt.Fprint(w, "page")
		})
		g.get("/", spoilt...)
		_, wait := crowd(g, 5, func(int) []string { return nil })
		poll(t, "all wait for one, or are at the origin", func() bool { return g.cache.Waiters() == 4 || g.asked.Load() == 6 })
		close(o.open)
		wait()
		g.wantAsked(2)
	}
}

// What an origin may read otherwise is no other one's text.
func TestPreferencesAreNotGuessed(t *testing.T) {
	t.Parallel()
	for plain, odd := range map[string][]string{
		"de":       {"d e", "de;q=0x1p0", "de;q=1e0", "de;q=+1", "de;q=1.0000", "de;q=01"},
		"de;q=0.5": {"de;q=0.5 0", "d e;q=0.5", "de;q=5e-1"},
	} {
		for _, text := range odd {
			if httpcache.Normal("Accept-Language", text) == httpcache.Normal("Accept-Language", plain) {
				t.Errorf("%q is taken for %q", text, plain)
			}
		}
	}
	for _, same := range []string{"de;q=1", "DE ; q=1.0", "de; q=1.000"} {
		if got := httpcache.Normal("Accept-Language", same); got != "de" {
			t.Errorf("%q is %q", same, got)
		}
	}
}
