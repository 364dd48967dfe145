package accesslimit_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"flashgate/caddymodule/gatewaytest"
)

// OWASP OAT-011, scraping: the same page, written otherwise. Caddy's path matcher (see
// https://caddyserver.com/docs/caddyfile/matchers#path) takes other case, percent-encoding,
// repeated slashes and dot segments for the same path. A slash behind, a parameter of a
// segment or a suffix is another path to it: whoever's site takes them for the same lists
// them, as docs/access_limit.md says.
func TestPathEncodings(t *testing.T) {
	g := run(t, `
	access_limit /exact 1 1h {
		name exact
	}
	@wide path /wide /wide/ /wide;*
	access_limit @wide 1 1h {
		name wide
	}
	access_limit /all/* 1 1h {
		name all
	}`)
	c := g.Client(t)
	c.Do("GET", "/exact")
	c.Do("GET", "/wide")
	c.Do("GET", "/all/x")
	for _, x := range []struct {
		path   string
		status int
	}{
		{"/exact", 429}, {"/EXACT", 429}, {"/%65xact", 429}, {"/%45XACT", 429}, {"//exact", 429}, {"/./exact", 429}, {"/a/../exact", 429},
		{"/%2e/exact", 429}, {"/a/%2e%2e/exact", 429}, {"/exact?", 429}, {"/exact?x=1", 429},
		{"/exact/", 200}, {"/exact;a=b", 200}, {"/exact.html", 200}, {"/exact%2f", 200}, {"/exact%00", 200}, // other paths
		{"/wide/", 429}, {"/wide;a=b", 429}, {"/WIDE;a=b", 429}, {"//wide/", 429}, {"/wide%2f", 429},
		{"/all/", 429}, {"/all//x", 429}, {"//all/x", 429}, {"/ALL/y/z;q", 429}, {"/all%2fx", 429}, {"/x/../all/x", 429},
		{"/all", 200}, // the pattern /all/* does not name it
	} {
		if a := c.Do("GET", x.path); a.Status != x.status {
			t.Errorf("%s: %d, want %d", x.path, a.Status, x.status)
		}
	}
}

// OWASP OAT-011, scraping, by other methods: a limit counts all of them together.
func TestMethods(t *testing.T) {
	g := run(t, `access_limit /x 2 1h`)
	c := g.Client(t)
	passed := 0
	for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "get", "X"} {
		if a := c.Do(method, "/x", "X-HTTP-Method-Override", "GET"); a.Status == 200 {
			passed++
		}
	}
	if passed != 2 {
		t.Errorf("%d pass, want 2", passed)
	}
}

// send sends a request with headers that are there more than once.
func send(t *testing.T, g *gatewaytest.Gateway, path string, header http.Header) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", g.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

// OWASP OAT-007, credential cracking, by a second value: the site takes the first, the last
// or the one with the right case for the customer, and the rest makes a new key for each
// request. Such requests are counted by address.
func TestSeveralValuesOfAKey(t *testing.T) {
	g := run(t, `
	access_limit /header 3 1h by header X-Key
	access_limit /cookie 3 1h by cookie id
	access_limit /query 3 1h by query key
	access_limit /semicolon 3 1h by query key
	access_limit /dropped 3 1h by cookie id
	access_limit /both 3 1h by header X-Key all`)
	for name, request := range map[string]func(i int) (path string, header http.Header){
		"header, behind": func(i int) (string, http.Header) {
			return "/header", http.Header{"X-Key": {"me", fmt.Sprint(i)}}
		},
		"header, in front": func(i int) (string, http.Header) {
			return "/both", http.Header{"X-Key": {fmt.Sprint(i), "me"}}
		},
		"cookie": func(i int) (string, http.Header) {
			return "/cookie", http.Header{"Cookie": {fmt.Sprintf("ID=%d; id=me", i)}}
		},
		"query": func(i int) (string, http.Header) { return fmt.Sprintf("/query?key=%d&key=me", i), http.Header{} },
		"query, behind a semicolon": func(i int) (string, http.Header) {
			return fmt.Sprintf("/semicolon?x;key=me&key=%d", i), http.Header{}
		},
		"cookie that Go drops": func(i int) (string, http.Header) {
			return "/dropped", http.Header{"Cookie": {`id="m\145"`, fmt.Sprintf("id=%d", i)}}
		},
	} {
		passed := 0
		for i := range 10 {
			path, header := request(i)
			if send(t, g, path, header) == 200 {
				passed++
			}
		}
		if passed != 3 {
			t.Errorf("%s: %d of 10 pass, want 3", name, passed)
		}
	}
	// One value is a key of its own, as before.
	for i := range 5 {
		if s := send(t, g, "/header", http.Header{"X-Key": {fmt.Sprint("single ", i)}}); s != 200 {
			t.Errorf("a single value: %d", s)
		}
	}
}

// OWASP OAT-012, cashing out, by strange amounts: what is not a whole number above zero
// costs 1, what is larger than any number never passes.
func TestStrangeCosts(t *testing.T) {
	g := run(t, `
	access_limit /x 10 1h {
		by header X-Who
		cost {http.request.header.X-Items}
	}`)
	c := g.Client(t)
	for i, x := range []struct {
		items string
		left  int // of 10; -1: refused
	}{
		{"", 9}, {"0", 9}, {"-5", 9}, {"-99999999999999999999", 9}, {"1.5", 9}, {"1e3", 9}, {"0x10", 9}, {"five", 9}, {"5, 3", 9}, {"٣", 9},
		{"3", 7}, {"+3", 7}, {"0003", 7}, {"10", 0}, {"11", -1}, {"1000001", -1}, {"99999999999999999999", -1}, {"9223372036854775808", -1},
	} {
		a := c.Do("GET", "/x", "X-Who", fmt.Sprint(i), "X-Items", x.items)
		want := fmt.Sprintf(";r=%d;", x.left)
		if x.left < 0 {
			want = ";r=0;"
		}
		if (a.Status == 200) != (x.left >= 0) || !strings.Contains(a.Header.Get("RateLimit"), want) {
			t.Errorf("%q items: %d, RateLimit %q, want %s", x.items, a.Status, a.Header.Get("RateLimit"), want)
		}
	}
}

// OWASP OAT-015, denial of service: huge keys. They are counted as others are, and one that
// is refused too often is banned.
func TestHugeKeys(t *testing.T) {
	g := run(t, `
	access_limit /x 2 1h {
		by header X-Key
		ban 24h after 2 in 1h
	}`)
	c := g.Client(t)
	key := strings.Repeat("k", 10_000)
	for i, want := range []int{200, 200, 429, 429} {
		if a := c.Do("GET", "/x", "X-Key", key); a.Status != want {
			t.Errorf("request %d: %d, want %d", i, a.Status, want)
		}
	}
	if a := c.Do("GET", "/x", "X-Key", key+"!"); a.Status != 200 {
		t.Errorf("another key: %d", a.Status)
	}
	banned(t, c, "/x", "X-Key", key)
}

// banned waits until a client is told to wait for hours.
func banned(t *testing.T, c *gatewaytest.Client, path string, header ...string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		a := c.Do("GET", path, header...)
		if wait, _ := strconv.Atoi(a.Header.Get("Retry-After")); a.Status == 429 && wait > 4*3600 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not banned: %d, %v", a.Status, a.Header)
		}
	}
}

// Reloads in the middle of a window, one after the other, while requests come (OWASP
// OAT-005, scalping): no more pass than may.
func TestReloadsUnderLoad(t *testing.T) {
	site := "SITE {\n\taccess_limit /x 20 24h\n\trespond origin\n}\n"
	g := gatewaytest.Run(t, site)
	c := g.Client(t)
	var passed, asked atomic.Int64
	var end atomic.Bool
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for !end.Load() {
				a, err := c.Try(t.Context(), "GET", "/x")
				if err != nil {
					t.Error(err)
					return
				}
				if asked.Add(1); a.Status == 200 {
					passed.Add(1)
				}
			}
		})
	}
	for i := range 8 {
		if err := g.Load(fmt.Sprintf("%s\nhttp://127.0.0.1:%d {\n}\n", site, i+1)); err != nil {
			t.Error(err)
		}
		for at := asked.Load(); asked.Load() < at+20 && !t.Failed(); {
			c.Do("GET", "/y")
		}
	}
	end.Store(true)
	wg.Wait()
	if n := passed.Load(); n != 20 {
		t.Errorf("%d of %d pass over 8 reloads, want 20", n, asked.Load())
	}
}

// What a reload changes counts from the next request on, and what was used stays used, as
// long as the name stays and the window.
func TestReloadChangesALimit(t *testing.T) {
	site := func(limit, name string) string {
		return "SITE {\n\taccess_limit /x " + limit + " {\n" + name + "\n}\n\trespond origin\n}\n"
	}
	g := gatewaytest.Run(t, site("5 1h", "name x"))
	c := g.Client(t)
	load := func(limit, name string) {
		t.Helper()
		if err := g.Load(site(limit, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range []struct {
		limit, name string
		want        int
	}{
		{"4 1h", "name x", 0}, // 5 are used: fewer may
		{"7 1h", "name x", 2}, // 5 of 7 are used
		{"7 2h", "name x", 7}, // another window begins anew
		{"9 2h", "", 9},       // without a name it is another limit
	} {
		if x.want == 0 {
			passes(t, c, 5, "/x")
		}
		load(x.limit, x.name)
		if n := passes(t, c, 12, "/x"); n != x.want {
			t.Errorf("%s %s: %d pass, want %d", x.limit, x.name, n, x.want)
		}
	}
}
