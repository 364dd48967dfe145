package pagecache_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"flashgate/caddymodule/app"
	"flashgate/caddymodule/gatewaytest"

	_ "flashgate/caddymodule/pagecache"
)

// origin is a foreign server; asked counts its requests.
func origin(t *testing.T, h http.HandlerFunc) (addr string, asked *atomic.Int64) {
	t.Helper()
	asked = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		h(w, r)
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://"), asked
}

func page(lines ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, l := range lines {
			name, value, _ := strings.Cut(l, ": ")
			w.Header().Set(name, value)
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprint(w, r.URL.Path, strings.Repeat(" page", 1000))
	}
}

func wantStatus(t *testing.T, a gatewaytest.Answer, want string) {
	t.Helper()
	if got := a.Header.Get("Cache-Status"); got != want {
		t.Errorf("Cache-Status %q, want %q (%d)", got, want, a.Status)
	}
}

// Compressed and plain bytes of one page are two variants: page_cache stands in
// front of encode, which says Vary.
func TestEncode(t *testing.T) {
	addr, asked := origin(t, page("Cache-Control: max-age=60", `ETag: "v1"`))
	g := gatewaytest.Run(t, "SITE {\n\tpage_cache\n\tencode gzip\n\treverse_proxy "+addr+"\n}")
	c := g.Client(t)
	text := "/a" + strings.Repeat(" page", 1000)
	for i, status := range []string{"flashgate; fwd=uri-miss; stored", "flashgate; hit; ttl="} {
		a := c.Do("GET", "/a", "Accept-Encoding", "gzip")
		if a.Header.Get("Content-Encoding") != "gzip" || unzip(t, a.Body) != text || a.Header.Get("Etag") != `"v1-gzip"` {
			t.Errorf("gzip %d: %v", i, a.Header)
		}
		if !strings.HasPrefix(a.Header.Get("Cache-Status"), status) {
			t.Errorf("gzip %d: %v", i, a.Header)
		}
	}
	for i, status := range []string{"flashgate; fwd=vary-miss; stored", "flashgate; hit; ttl="} {
		a := c.Do("GET", "/a", "Accept-Encoding", "identity")
		if a.Header.Get("Content-Encoding") != "" || a.Body != text || !strings.HasPrefix(a.Header.Get("Cache-Status"), status) {
			t.Errorf("plain %d: %.20q %v", i, a.Body, a.Header)
		}
	}
	if a := c.Do("GET", "/a", "Accept-Encoding", "gzip", "If-None-Match", `"v1-gzip"`); a.Status != 304 || a.Body != "" {
		t.Errorf("condition: %d %v", a.Status, a.Header)
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("the origin was asked %d times", n)
	}
}

func unzip(t *testing.T, s string) string {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader([]byte(s)))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// What encode made of an answer that broke off is never kept.
func TestBrokenOff(t *testing.T) {
	addr, asked := origin(t, func(w http.ResponseWriter, r *http.Request) {
		page("Cache-Control: max-age=60")(w, r)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	g := gatewaytest.Run(t, "SITE {\n\tpage_cache\n\tencode gzip\n\treverse_proxy "+addr+"\n}")
	for i := range 3 {
		_, err := g.Client(t).Try(t.Context(), "GET", "/", "Accept-Encoding", "gzip")
		if err == nil || asked.Load() != int64(i+1) {
			t.Errorf("request %d: %v, the origin was asked %d times", i, err, asked.Load())
		}
	}
}

func TestCrowd(t *testing.T) {
	const n = 50
	arrived := make(chan struct{})
	addr, asked := origin(t, func(w http.ResponseWriter, r *http.Request) {
		<-arrived
		page("Cache-Control: max-age=60")(w, r)
	})
	before := app.Decisions()["page_cache"]
	g := gatewaytest.Run(t, "SITE {\n\tpage_cache\n\treverse_proxy "+addr+"\n}")
	var wg sync.WaitGroup
	for range n {
		c := g.Client(t)
		wg.Go(func() {
			if a, err := c.Try(t.Context(), "GET", "/a"); err != nil || a.Status != 200 || !strings.HasPrefix(a.Body, "/a page") {
				t.Errorf("%v, %d %q", err, a.Status, a.Header)
			}
		})
	}
	close(arrived)
	wg.Wait()
	if asked.Load() != 1 {
		t.Errorf("the origin was asked %d times", asked.Load())
	}
	after := app.Decisions()["page_cache"]
	count := func(r string) uint64 { return after[r] - before[r] }
	if count("uri-miss") != 1 || count("collapsed")+count("hit") != n-1 {
		t.Errorf("decisions: %v, before %v", after, before)
	}
}

// What is one visitor's own stays so.
func TestPersonal(t *testing.T) {
	for _, line := range []string{"Set-Cookie: a=b", "Cache-Control: private, max-age=60", "Cache-Control: no-store", "Vary: *"} {
		t.Run(line, func(t *testing.T) {
			addr, asked := origin(t, page(line))
			g := gatewaytest.Run(t, "SITE {\n\tpage_cache {\n\t\tttl 1h\n\t\tstale_while_revalidate 1h\n\t}\n\treverse_proxy "+addr+"\n}")
			for range 3 {
				wantStatus(t, g.Client(t).Do("GET", "/"), "flashgate; fwd=uri-miss")
			}
			if asked.Load() != 3 {
				t.Errorf("the origin was asked %d times", asked.Load())
			}
		})
	}
}

// A reload, also one that fails, keeps the pages.
func TestReload(t *testing.T) {
	addr, asked := origin(t, page("Cache-Control: max-age=600"))
	site := "SITE {\n\tpage_cache {\n\t\tttl 10s\n\t}\n\treverse_proxy " + addr + "\n}"
	g := gatewaytest.Run(t, site)
	c := g.Client(t)
	wantStatus(t, c.Do("GET", "/"), "flashgate; fwd=uri-miss; stored")
	if err := g.Load(strings.Replace(site, "10s", "20s", 1)); err != nil {
		t.Fatal(err)
	}
	hit := func() {
		t.Helper()
		if a := c.Do("GET", "/"); !strings.HasPrefix(a.Header.Get("Cache-Status"), "flashgate; hit; ttl=") {
			t.Errorf("%v", a.Header)
		}
	}
	hit()
	if err := g.Load("SITE {\n\tpage_cache\n\ttls /no/such.pem /no/such.key\n\trespond x\n}"); err == nil {
		t.Fatal("a configuration without its certificate was loaded")
	}
	hit()
	if asked.Load() != 1 {
		t.Errorf("the origin was asked %d times", asked.Load())
	}
}

// A refresh in the background is a whole request of Caddy's: placeholders, variables
// and route groups are there, and nothing literal reaches the origin.
func TestRefresh(t *testing.T) {
	seen := make(chan *http.Request, 10)
	addr, _ := origin(t, func(w http.ResponseWriter, r *http.Request) {
		seen <- r
		w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
		w.Header().Set("Age", "60") // an inner cache had it: stale when it is stored
		page("Cache-Control: max-age=61, stale-while-revalidate=600")(w, r)
	})
	g := gatewaytest.Run(t, `SITE {
	session_auth optional
	vars colour red
	map {path} {kind} {
		default thing
	}
	handle /a/* {
		page_cache
		reverse_proxy `+addr+` {
			header_up User "<{http.auth.user.id}>"
			header_up Colour {vars.colour}
			header_up Kind {kind}
			header_up Path {path}
			header_up Client {client_ip}
			header_up Original {http.request.orig_uri.path}
		}
	}
	handle {
		respond 404
	}
}`)
	c := g.Client(t)
	first := c.Do("GET", "/a/1?x")
	wantStatus(t, first, "flashgate; fwd=uri-miss; stored")
	asked := []*http.Request{<-seen}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(10 * time.Second); len(asked) < 2; {
		select {
		case r := <-seen:
			asked = append(asked, r)
		case <-tick.C:
			if a := c.Do("GET", "/a/1?x"); !strings.HasPrefix(a.Header.Get("Cache-Status"), "flashgate; hit; ttl=") || a.Body != first.Body {
				t.Fatalf("%d %v", a.Status, a.Header)
			}
		case <-late:
			t.Fatal("the page was never refreshed")
		}
	}
	for i, r := range asked {
		for name, want := range map[string]string{"User": "<>", "Colour": "red", "Kind": "thing", "Path": "/a/1", "Client": "127.0.0.1", "Original": "/a/1"} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("request %d: %s is %q, want %q", i, name, got, want)
			}
		}
		if r.RequestURI != "/a/1?x" || r.Method != "GET" {
			t.Errorf("request %d: %s %s", i, r.Method, r.RequestURI)
		}
	}
}

// Behind a rewrite of everything to one address the pages stay apart.
func TestFrontController(t *testing.T) {
	addr, _ := origin(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("X-Uri")) })
	g := gatewaytest.Run(t, "SITE {\n\trewrite * /index.php\n\tpage_cache {\n\t\tttl 1h\n\t}\n\treverse_proxy "+addr+" {\n\t\theader_up X-Uri {http.request.orig_uri.path}\n\t}\n}")
	c := g.Client(t)
	for range 2 {
		for _, path := range []string{"/goods/1", "/goods/2"} {
			if a := c.Do("GET", path); a.Body != path {
				t.Errorf("%s got %s", path, a.Body)
			}
		}
	}
}

// Caddy answers for an origin that is away; nothing is kept.
func TestDeadOrigin(t *testing.T) {
	dead := gatewaytest.FreeAddr(t)
	g := gatewaytest.Run(t, "SITE {\n\tpage_cache {\n\t\tttl 1h\n\t}\n\treverse_proxy "+dead+"\n\thandle_errors {\n\t\trespond \"sorry {err.status_code}\"\n\t}\n}")
	for range 2 {
		a := g.Client(t).Do("GET", "/")
		if a.Status != 502 || a.Body != "sorry 502" {
			t.Errorf("%+v", a)
		}
		wantStatus(t, a, "flashgate; fwd=uri-miss")
	}
}

func TestOnlyIfCached(t *testing.T) {
	for _, errs := range []string{"", "errors caddy"} {
		g := gatewaytest.Run(t, "SITE {\n\tpage_cache {\n\t\t"+errs+"\n\t}\n\trespond page\n\thandle_errors {\n\t\trespond \"site {err.status_code}\"\n\t}\n}")
		a := g.Client(t).Do("GET", "/", "Cache-Control", "only-if-cached")
		if a.Status != 504 || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%q: %+v", errs, a)
		}
		if errs == "" && (a.Member("status") != "504" || a.Header.Get("Content-Type") != "application/problem+json") || errs != "" && a.Body != "site 504" {
			t.Errorf("%q: %+v", errs, a)
		}
	}
}
