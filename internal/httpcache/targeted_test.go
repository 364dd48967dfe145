package httpcache_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"flashgate/internal/httpcache"
)

// CDN-Cache-Control speaks to this cache, and Cache-Control to those behind it (RFC 9213).
func TestTargeted(t *testing.T) {
	t.Parallel()
	expires := "Expires: " + epoch.Add(time.Minute).Format(http.TimeFormat)
	for _, c := range []struct {
		name, targeted string
		lines          []string
		status         string // of the second request, 5 s later
	}{
		{"longer", "max-age=100", []string{"Cache-Control: max-age=60"}, "hit; ttl=95"},
		{"shorter", "max-age=10", []string{"Cache-Control: max-age=60"}, "hit; ttl=5"},
		{"over s-maxage", "max-age=10", []string{"Cache-Control: s-maxage=60"}, "hit; ttl=5"},
		{"its own s-maxage", "max-age=10, s-maxage=20", nil, "hit; ttl=15"},
		{"over no-store", "max-age=10", []string{"Cache-Control: no-store"}, "hit; ttl=5"},
		{"over private", "max-age=10", []string{"Cache-Control: private"}, "hit; ttl=5"},
		{"over Expires", "max-age=10", []string{expires}, "hit; ttl=5"},
		{"over Pragma", "max-age=10", []string{"Pragma: no-cache"}, "hit; ttl=5"},
		{"no-store", "no-store", []string{"Cache-Control: max-age=60"}, "fwd=uri-miss"},
		{"private", "private", []string{"Cache-Control: max-age=60"}, "fwd=uri-miss"},
		{"private with names", `private="x", max-age=9`, []string{"Cache-Control: max-age=60"}, "fwd=uri-miss"},
		{"no-cache", "no-cache", []string{"Cache-Control: max-age=60"}, "fwd=uri-miss"},
		{"false is as good as not there", "no-store=?0, max-age=10", []string{"Cache-Control: max-age=60"}, "hit; ttl=5"},
		{"max-age=0", "max-age=0", []string{"Cache-Control: max-age=60"}, "fwd=uri-miss"},
		{"says nothing of how long, Expires is not asked", "public", []string{expires}, "fwd=uri-miss"},
		{"parameters", "max-age=10;a=b;c, public;d", []string{"Cache-Control: max-age=60"}, "hit; ttl=5"},
		{"unknown members", `max-age=10, x=(1 2), y=:AAAA:, z=1.5, t=tok, max-agee=7`, []string{"Cache-Control: max-age=60"}, "hit; ttl=5"},
		{"the last of two counts", "max-age=99, max-age=10", nil, "hit; ttl=5"},

		{"empty", "", []string{"Cache-Control: max-age=60"}, "hit; ttl=55"},
		{"unparsable", "max-age=10,,", []string{"Cache-Control: max-age=60"}, "hit; ttl=55"},
		{"capitals are no key", "Max-Age=10", []string{"Cache-Control: max-age=60"}, "hit; ttl=55"},
		{"junk", "max-age=10 &", []string{"Cache-Control: max-age=60"}, "hit; ttl=55"},
		{"a string", `max-age="10"`, []string{"Cache-Control: max-age=60"}, "hit; ttl=55"},
		{"a decimal", "max-age=1.5", []string{"Cache-Control: max-age=60"}, "hit; ttl=55"},
		{"negative", "max-age=-1", []string{"Cache-Control: max-age=60"}, "hit; ttl=55"},
		{"no argument", "max-age", []string{"Cache-Control: max-age=60"}, "hit; ttl=55"},
		{"a list", "max-age=(10)", []string{"Cache-Control: max-age=60"}, "hit; ttl=55"},
		{"wrong type, not to be stored by Cache-Control", `max-age="10"`, []string{"Cache-Control: no-store"}, "fwd=uri-miss"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, httpcache.Config{}, fields(append([]string{"CDN-Cache-Control: " + c.targeted}, c.lines...)...))
			g.get("/")
			g.clock.advance(5 * time.Second)
			a := g.get("/")
			if !strings.HasPrefix(a.cacheStatus(), "flashgate; "+c.status) {
				t.Errorf("%q, want %q", a.cacheStatus(), c.status)
			}
			if got := a.header.Get("CDN-Cache-Control"); got != c.targeted {
				t.Errorf("passed on as %q", got)
			}
			for _, l := range c.lines {
				name, value, _ := strings.Cut(l, ": ")
				if a.header.Get(name) != value {
					t.Errorf("%s: %q", name, a.header.Get(name))
				}
			}
		})
	}
}
