package httpcache_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"flashgate/internal/httpcache"
)

// heap is what is in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// What a cache remembers of requests has a bound in bytes, beside the pages that its store
// weighs: addresses, cookies and fields are as long as clients make them. It runs alone, as
// it looks at all memory.
func TestMemoryOfLongRequests(t *testing.T) {
	const requests, long = 1000, 7 << 10 // 7 MiB, if they stay
	for _, c := range []struct {
		name   string
		cfg    httpcache.Config
		answer []string
		path   func(i int) string
		header func(i int) []string
	}{
		{
			"answers that are nobody else's", httpcache.Config{Key: httpcache.KeyParts{Cookies: []string{"kind"}}}, []string{"Cache-Control: no-store"},
			func(int) string { return "/" },
			func(i int) []string { return []string{"Cookie", fmt.Sprint("kind=", i, strings.Repeat("x", long))} },
		},
		{
			"variants that are asked for and not there", httpcache.Config{}, []string{"Cache-Control: max-age=60", "Vary: Accept-Encoding"},
			func(i int) string { return fmt.Sprint("/?", i%32, strings.Repeat("x", long)) },
			func(i int) []string {
				return []string{"Accept-Encoding", fmt.Sprint("x", i), "Cache-Control", "only-if-cached"}
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newRig(t, c.cfg, fields(c.answer...))
			for i := range 32 {
				g.get(c.path(i))
			}
			before := heap()
			for i := range requests {
				g.do("GET", c.path(i), c.header(i)...)
				for len(g.errs) > 0 {
					<-g.errs
				}
				for len(g.results) > 0 {
					<-g.results
				}
			}
			if grown := heap() - before; grown > 3<<20 {
				t.Errorf("%d KiB more after %d requests", grown>>10, requests)
			}
			runtime.KeepAlive(g)
		})
	}
}
