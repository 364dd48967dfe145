package httpcache_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"flashgate/internal/httpcache"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// epoch is when every test begins.
var epoch = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// clock is set by hand. Cache, store and origin go by it.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// rig is a cache between a server and an origin that are both real.
type rig struct {
	t       testing.TB
	url     string
	clock   *clock
	cache   *httpcache.Cache
	store   *pages
	asked   atomic.Int64 // requests that reached the origin
	results chan httpcache.Result
	errs    chan error // what Serve returned, if not nil
	// outside is what stands in front of the cache, if not nil. Set it before the first request.
	outside func(h http.Header, r *http.Request)
}

func newRig(t testing.TB, cfg httpcache.Config, origin http.HandlerFunc) *rig {
	t.Helper()
	g := &rig{t: t, clock: &clock{at: epoch}, results: make(chan httpcache.Result, 1000), errs: make(chan error, 100)}
	back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.asked.Add(1)
		w.Header().Set("Date", g.clock.now().Format(http.TimeFormat))
		origin(w, r)
	}))
	t.Cleanup(back.Close)
	to, err := url.Parse(back.URL)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	next := func(w http.ResponseWriter, r *http.Request) (err error) {
		proxy := &httputil.ReverseProxy{
			Transport:    transport,
			Rewrite:      func(p *httputil.ProxyRequest) { p.SetURL(to) },
			ErrorHandler: func(_ http.ResponseWriter, _ *http.Request, e error) { err = e },
		}
		proxy.ServeHTTP(w, r)
		return err
	}
	g.store = newPages(g.clock.now)
	cfg.Now, cfg.Observe = g.clock.now, func(r httpcache.Result) { g.results <- r }
	if cfg.Store == nil {
		cfg.Store = g.store
	}
	g.cache, err = httpcache.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.outside != nil {
			g.outside(w.Header(), r)
		}
		if err := g.cache.Serve(w, r, next); err != nil {
			g.errs <- err
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	t.Cleanup(front.Close)
	g.url = front.URL
	return g
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) cacheStatus() string { return a.header.Get("Cache-Status") }

var client = &http.Client{
	Transport:     &http.Transport{DisableCompression: true, DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func (g *rig) do(method, path string, header ...string) answer {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.t.Context(), method, g.url+path, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	res, err := client.Do(req)
	if err != nil {
		g.t.Error(err)
		return answer{}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		g.t.Error(err)
	}
	return answer{res.StatusCode, res.Header, string(body)}
}

func (g *rig) get(path string, header ...string) answer {
	g.t.Helper()
	return g.do("GET", path, header...)
}

// until waits for a result.
func (g *rig) until(want httpcache.Result) {
	g.t.Helper()
	late := time.After(10 * time.Second)
	for {
		select {
		case got := <-g.results:
			if got == want {
				return
			}
		case <-late:
			g.t.Fatalf("no result %q", want)
		}
	}
}

// wantAsked checks how often the origin was asked.
func (g *rig) wantAsked(n int64) {
	g.t.Helper()
	if got := g.asked.Load(); got != n {
		g.t.Errorf("the origin was asked %d times, want %d", got, n)
	}
}

// poll waits until a condition holds.
func poll(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	late := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
