package httpcache_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"flashgate/internal/httpcache"
)

// sink is a client that is as cheap as can be, so that what is counted is the cache's.
type sink struct {
	header http.Header
	status int
	bytes  int
}

func (s *sink) Header() http.Header               { return s.header }
func (s *sink) WriteHeader(status int)            { s.status = status }
func (s *sink) Write(p []byte) (n int, err error) { s.bytes += len(p); return len(p), nil }

// hits is a cache with a page of 10 KB, and a request that it answers.
func hits(t testing.TB, request ...string) (serve func() *sink) {
	cache, err := httpcache.New(httpcache.Config{Store: newPages(time.Now)})
	if err != nil {
		t.Fatal(err)
	}
	origin := func(w http.ResponseWriter, r *http.Request) error {
		h := w.Header()
		h.Set("Cache-Control", "max-age=3600")
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Etag", `"v1"`)
		h.Set("Vary", "Accept-Encoding")
		_, err := w.Write(make([]byte, 10<<10))
		return err
	}
	r := httptest.NewRequest("GET", "http://shop.example/goods/1?color=red", nil)
	r.Header.Set("Accept-Encoding", "gzip, deflate, br, zstd")
	r.Header.Set("User-Agent", "wrk")
	w := &sink{header: make(http.Header, 16)}
	if err := cache.Serve(w, r, origin); err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(request); i += 2 {
		r.Header.Set(request[i], request[i+1])
	}
	return func() *sink {
		clear(w.header)
		if err := cache.Serve(w, r, origin); err != nil {
			t.Fatal(err)
		}
		return w
	}
}

// A hit costs its key and one slice for the header; the rest is Caddy's.
func TestAllocationsOfAHit(t *testing.T) {
	for name, c := range map[string]struct {
		request []string
		status  int
		most    float64
	}{
		"page": {nil, 200, 2},
		"304":  {[]string{"If-None-Match", `"v1"`}, 304, 2},
	} {
		serve := hits(t, c.request...)
		if w := serve(); w.status != c.status || w.header.Get("Cache-Status")[:14] != "flashgate; hit" {
			t.Fatalf("%s: %d %v", name, w.status, w.header)
		}
		if n := testing.AllocsPerRun(1000, func() { serve() }); n > c.most {
			t.Errorf("%s: %v allocations, want at most %v", name, n, c.most)
		}
	}
}

func BenchmarkHit(b *testing.B) {
	serve := hits(b)
	b.ReportAllocs()
	for b.Loop() {
		serve()
	}
}

func BenchmarkNotModified(b *testing.B) {
	serve := hits(b, "If-None-Match", `"v1"`)
	b.ReportAllocs()
	for b.Loop() {
		serve()
	}
}
