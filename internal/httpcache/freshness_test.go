package httpcache_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"flashgate/internal/httpcache"
)

// How long an answer is fresh: by what it says, by Age, by a guess, by the operator.
func TestLifetime(t *testing.T) {
	t.Parallel()
	date := func(d time.Duration) string { return epoch.Add(d).Format(http.TimeFormat) }
	minute := "Cache-Control: max-age=60"
	guess := httpcache.Config{Heuristic: true}
	ttl := httpcache.Config{TTL: time.Minute}
	override := httpcache.Config{TTLOverride: time.Minute}
	by404 := httpcache.Config{TTL: time.Hour, Statuses: map[int]time.Duration{404: time.Minute}}
	long := "Last-Modified: " + date(-100*24*time.Hour*10)
	day := "Last-Modified: " + date(-10*time.Hour)
	for _, c := range []struct {
		name   string
		cfg    httpcache.Config
		status int
		lines  []string
		then   string // the second request at the same moment
	}{
		{"Age", httpcache.Config{}, 200, []string{minute, "Age: 10"}, "hit; ttl=50"},
		{"Age with space", httpcache.Config{}, 200, []string{minute, "Age:  10 "}, "hit; ttl=50"},
		{"Age, the first of a list", httpcache.Config{}, 200, []string{minute, "Age: 10, 30"}, "hit; ttl=50"},
		{"Age, the first of two lines", httpcache.Config{}, 200, []string{minute, "Age: 10", "Age: 30"}, "hit; ttl=50"},
		{"Age with a parameter", httpcache.Config{}, 200, []string{minute, "Age: 10;x=30"}, "hit; ttl=50"},
		{"Age, junk", httpcache.Config{}, 200, []string{minute, "Age: ten"}, "hit; ttl=60"},
		{"Age, negative", httpcache.Config{}, 200, []string{minute, "Age: -10"}, "hit; ttl=60"},
		{"Age, a decimal", httpcache.Config{}, 200, []string{minute, "Age: 1.5"}, "hit; ttl=60"},
		{"Age, huge", httpcache.Config{}, 200, []string{minute, "Age: 99999999999999999999999"}, "fwd=uri-miss"},
		{"a Date ahead", httpcache.Config{}, 200, []string{minute, "Date: " + date(time.Hour)}, "hit; ttl=60"},
		{"a Date that is none", httpcache.Config{}, 200, []string{minute, "Date: now"}, "hit; ttl=60"},

		{"Expires", httpcache.Config{}, 200, []string{"Expires: " + date(time.Minute)}, "hit; ttl=60"},
		{"Expires counts from Date", httpcache.Config{}, 200, []string{"Expires: " + date(time.Minute), "Date: " + date(-time.Minute)}, "hit; ttl=60"},
		{"Expires now", httpcache.Config{}, 200, []string{"Expires: " + date(0)}, "fwd=uri-miss"},
		{"Expires, wrong zone", httpcache.Config{}, 200, []string{"Expires: " + strings.Replace(date(time.Minute), "GMT", "UTC", 1)}, "fwd=uri-miss"},
		{"Expires twice", httpcache.Config{}, 200, []string{"Expires: " + date(time.Minute), "Expires: " + date(time.Minute)}, "fwd=uri-miss"},
		{"a year at most", httpcache.Config{}, 200, []string{"Cache-Control: max-age=99999999999"}, "hit; ttl=31536000"},

		{"no guess unless asked for", httpcache.Config{}, 200, []string{day}, "fwd=uri-miss"},
		{"a guess", guess, 200, []string{day}, "hit; ttl=3600"},
		{"a guess is a day at most", guess, 200, []string{long}, "hit; ttl=86400"},
		{"a guess of 404", guess, 404, []string{day}, "hit; ttl=3600"},
		{"no guess of 403", guess, 403, []string{day}, "fwd=uri-miss"},
		{"a guess of 403 that is public", guess, 403, []string{day, "Cache-Control: public"}, "hit; ttl=3600"},
		{"no guess with Pragma", guess, 200, []string{day, "Pragma: no-cache"}, "fwd=stale; stored"}, // Go's client makes Cache-Control of it
		{"no guess with no-store", guess, 200, []string{day, "Cache-Control: no-store"}, "fwd=uri-miss"},
		{"a guess of no-cache is none", guess, 200, []string{day, "Cache-Control: no-cache"}, "fwd=stale; stored"},
		{"no guess without Last-Modified", guess, 200, nil, "fwd=uri-miss"},
		{"a guess from ahead", guess, 200, []string{"Last-Modified: " + date(time.Hour)}, "fwd=stale; stored"},

		{"ttl is for 200", ttl, 404, nil, "fwd=uri-miss"},
		{"statuses", by404, 404, nil, "hit; ttl=60"},
		{"statuses say nothing of answers that do", by404, 404, []string{"Cache-Control: max-age=9"}, "hit; ttl=9"},
		{"statuses, private", by404, 404, []string{"Cache-Control: private"}, "fwd=uri-miss"},

		{"override", override, 200, []string{"Cache-Control: max-age=9"}, "hit; ttl=60"},
		{"override, longer", override, 200, []string{"Cache-Control: max-age=900"}, "hit; ttl=60"},
		{"override, nothing said", override, 200, nil, "hit; ttl=60"},
		{"override, old", override, 200, []string{"Age: 900"}, "hit; ttl=60"},
		{"override, below 300 only", override, 301, []string{"Location: /x"}, "fwd=uri-miss"},
		{"override, private", override, 200, []string{"Cache-Control: private"}, "fwd=uri-miss"},
		{"override, no-store", override, 200, []string{"Cache-Control: no-store"}, "fwd=uri-miss"},
		{"override, no-cache", override, 200, []string{"Cache-Control: no-cache"}, "fwd=uri-miss"},
		{"override, a cookie", override, 200, []string{"Set-Cookie: a=b"}, "fwd=uri-miss"},
		{"override, Vary *", override, 200, []string{"Vary: *"}, "fwd=uri-miss"},

		{"must-understand over no-store", httpcache.Config{}, 200, []string{"Cache-Control: max-age=60, no-store, must-understand"}, "hit; ttl=60"},
		{"must-understand what is not", httpcache.Config{}, 299, []string{"Cache-Control: max-age=60, must-understand"}, "fwd=uri-miss"},
		{"what is not understood, without", httpcache.Config{}, 299, []string{minute}, "hit; ttl=60"},
		{"must-understand, private", httpcache.Config{}, 200, []string{"Cache-Control: max-age=60, private, must-understand"}, "fwd=uri-miss"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, c.cfg, func(w http.ResponseWriter, r *http.Request) {
				for _, l := range c.lines {
					name, value, _ := strings.Cut(l, ": ")
					if name == "Date" {
						w.Header().Del(name)
					}
					w.Header().Add(name, value)
				}
				w.WriteHeader(c.status)
			})
			g.get("/")
			if a := g.get("/"); a.status != c.status || !strings.HasPrefix(a.cacheStatus(), "flashgate; "+c.then) {
				t.Errorf("%d %q, want %q", a.status, a.cacheStatus(), c.then)
			}
		})
	}
}

// What is over from the start, but can be validated, has a stored form that other
// gateways can read.
func TestOverFromTheStart(t *testing.T) {
	t.Parallel()
	for _, lines := range [][]string{
		{"Expires: Thu, 19 Nov 1981 08:52:00 GMT"},
		{"Cache-Control: max-age=60", "Age: 90"},
		{"Cache-Control: no-cache"},
	} {
		g := newRig(t, httpcache.Config{}, fields(append(lines, `Etag: "v"`)...))
		g.get("/")
		page, _ := g.store.Get(t.Context(), g.url+"/")
		if page == nil {
			t.Fatalf("%v: it was not stored", lines)
		}
		if _, err := httpcache.Decode(page.Data); err != nil {
			t.Errorf("%v: %v", lines, err)
		}
	}
}
