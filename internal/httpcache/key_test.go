package httpcache_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"flashgate/internal/httpcache"
)

// What clients write in other words is one variant.
func TestNormalVary(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, a, b string
		same       bool
	}{
		{"Accept-Encoding", "gzip, br", "br,gzip", true},
		{"Accept-Encoding", "gzip;q=0.5, br", "br, gzip ; q=0.5", true},
		{"Accept-Encoding", "gzip;q=1.0, br", "br, gzip", true},
		{"Accept-Encoding", "GZIP", "gzip", true},
		{"Accept-Encoding", "gzip;q=0.50", "gzip;q=0.5", false}, // two variants are harmless
		{"Accept-Encoding", "gzip;q=0.5, br", "gzip, br;q=0.5", false},
		{"Accept-Encoding", "gzip;q=0", "gzip", false},
		{"Accept-Language", "de, en;q=0.8", "en;q=0.8, de", true},
		{"Accept-Language", "de, en;q=0.8", "en, de;q=0.8", false},
		{"X-Kind", "a,  b", "a,b", true},
		{"X-Kind", "a, b", "b, a", false},
		{"X-Kind", "A", "a", false},
	} {
		if got := httpcache.Normal(c.name, c.a) == httpcache.Normal(c.name, c.b); got != c.same {
			t.Errorf("%s: %q and %q: %v", c.name, c.a, c.b, got)
		}
	}
	if httpcache.Normal("Origin", "a,") == httpcache.Normal("Origin", "a") || httpcache.Normal("Accept", "a,") != httpcache.Normal("Accept", "a") {
		t.Error("an empty member counts in lists, or does not where nobody knows of a list")
	}
	if httpcache.Normal("X-Kind", "a", "b") != httpcache.Normal("X-Kind", "a, b") {
		t.Error("two lines are not one list")
	}
}

// Answers that name other fields do not push each other out, and none is mistaken for
// another.
func TestVaryThatDiffers(t *testing.T) {
	t.Parallel()
	g := newRig(t, httpcache.Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		if r.Header.Get("X-A") == "" {
			w.Header().Set("Vary", "X-A")
		} else {
			w.Header().Set("Vary", "X-A, X-B")
		}
		fmt.Fprint(w, r.Header.Get("X-A"), "|", r.Header.Get("X-B"))
	})
	ask := func(a, b string) answer { return g.get("/", "X-A", a, "X-B", b) }
	for range 3 {
		for _, a := range []string{"", "1", "2"} {
			for _, b := range []string{"x", "y"} {
				if got := ask(a, b); a != "" && got.body != a+"|"+b || a == "" && !strings.HasPrefix(got.body, "|") {
					t.Errorf("%q %q: %q", a, b, got.body)
				}
			}
		}
	}
	asked := g.asked.Load()
	if ask("1", "x"); g.asked.Load() != asked {
		t.Error("they push each other out for ever")
	}
}

// A coding of the content is for those who take it, whether the origin says so or not.
func TestCodingWithoutVary(t *testing.T) {
	t.Parallel()
	g := newRig(t, httpcache.Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		if strings.Contains(r.Header.Get("Accept-Encoding"), "br") {
			w.Header().Set("Content-Encoding", "br")
		}
		fmt.Fprint(w, r.Header.Get("Accept-Encoding"))
	})
	for range 2 {
		if a := g.get("/", "Accept-Encoding", "br"); a.body != "br" {
			t.Errorf("%+v", a)
		}
	}
	g.wantAsked(1)
	if a := g.get("/", "Accept-Encoding", "identity"); a.body != "identity" {
		t.Errorf("%+v", a)
	}
}

// Of the query only what matters is part of the key, and only that reaches the origin.
func TestQueryOfKey(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		names      []string
		asked, got string
	}{
		{[]string{"a", "b"}, "?b=2&utm=x&a=1", "a=1&b=2"},
		{[]string{"a", "b"}, "?a=2&b=1&a=1", "a=2&a=1&b=1"},
		{[]string{"a"}, "?%61=1", "a=1"},
		{[]string{"a b"}, "?a+b=1&a%20b=2", "a+b=1&a+b=2"},
		{[]string{"a"}, "?a", "a"},
		{[]string{"a"}, "?a=", "a="},
		{[]string{"a"}, "?a=x%26b=1", "a=x%26b%3D1"},
		{[]string{"a"}, "?A=1", ""},
		{[]string{"a"}, "?", ""},
		{[]string{}, "?a=1", ""},
		{nil, "?b=2&a=1", "b=2&a=1"},
	} {
		g := newRig(t, httpcache.Config{Key: httpcache.KeyParts{Query: c.names}}, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			fmt.Fprint(w, r.URL.RawQuery)
		})
		if a := g.get("/" + c.asked); a.body != c.got {
			t.Errorf("%v %s: the origin got %q, want %q", c.names, c.asked, a.body, c.got)
		}
		again := "/"
		if c.got != "" {
			again += "?" + c.got
		}
		if a := g.get(again); !strings.Contains(a.cacheStatus(), "hit") {
			t.Errorf("%v %s: its short form is another page: %q", c.names, c.asked, a.cacheStatus())
		}
	}
}

// Two requests that differ in what is keyed share neither a page nor a flight, however
// the values are made up.
func TestKeyedCookieAndHeader(t *testing.T) {
	t.Parallel()
	o := newGate()
	g := newRig(t, httpcache.Config{Key: httpcache.KeyParts{Headers: []string{"X-Kind"}, Cookies: []string{"kind", "b"}}}, func(w http.ResponseWriter, r *http.Request) {
		o.wait(r)
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprint(w, r.Header["X-Kind"], r.Header["Cookie"])
	})
	requests := [][]string{
		nil,
		{"X-Kind", ""},
		{"X-Kind", "a"},
		{"X-Kind", "a", "X-Kind", "b"},
		{"X-Kind", "a,b"},
		{"Cookie", "kind=a"},
		{"Cookie", "b=a"},
		{"Cookie", "kind=a; kind=b"},
		{"Cookie", "kind=; b=a"},
		{"X-Kind", "a", "Cookie", "kind=a"},
		{"X-Kind", "ac kind", "Cookie", "kind="},
	}
	answers, wait := crowd(g, len(requests), func(i int) []string { return requests[i] })
	poll(t, "all are at the origin", func() bool { return len(o.entered) == len(requests) })
	close(o.open)
	wait()
	for i, a := range answers {
		if again := g.get("/", requests[i]...); again.body != a.body || !strings.Contains(again.cacheStatus(), "hit") {
			t.Errorf("%v: %q, then %+v", requests[i], a.body, again)
		}
	}
	g.wantAsked(int64(len(requests)))
	// What is not keyed is shared.
	if a := g.get("/", "Cookie", "other=1; kind=a"); !strings.Contains(a.cacheStatus(), "hit") {
		t.Errorf("%+v", a)
	}
}

func TestAnyHost(t *testing.T) {
	t.Parallel()
	for _, any := range []bool{true, false} {
		g := newRig(t, httpcache.Config{Key: httpcache.KeyParts{AnyHost: any}}, fields("Cache-Control: max-age=60"))
		g.get("/")
		req, err := http.NewRequestWithContext(t.Context(), "GET", g.url+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "other.example"
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if hit := strings.Contains(res.Header.Get("Cache-Status"), "hit"); hit != any {
			t.Errorf("any host %v: hit %v", any, hit)
		}
	}
}

// A variant that ends soon does not take one along that lasts.
func TestVariantsEndEachByItself(t *testing.T) {
	t.Parallel()
	g := newRig(t, httpcache.Config{}, func(w http.ResponseWriter, r *http.Request) {
		age := map[string]string{"de": "10800", "en": "1"}[r.Header.Get("Accept-Language")]
		fields("Vary: Accept-Language", "Cache-Control: max-age="+age)(w, r)
	})
	g.get("/", "Accept-Language", "de")
	g.get("/", "Accept-Language", "en")
	g.clock.advance(2 * time.Hour)
	if a := g.get("/", "Accept-Language", "de"); a.cacheStatus() != "flashgate; hit; ttl=3600" {
		t.Errorf("%q", a.cacheStatus())
	}
}
