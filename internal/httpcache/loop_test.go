package httpcache_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"flashgate/internal/httpcache"
)

// A request that comes back to the cache that it was sent by does not wait for itself.
func TestLoop(t *testing.T) {
	t.Parallel()
	var g *rig
	g = newRig(t, httpcache.Config{}, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Again") == "" {
			ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
			defer cancel()
			back, _ := http.NewRequestWithContext(ctx, "GET", g.url, nil)
			back.Header = r.Header.Clone()
			back.Header.Set("X-Again", "1")
			res, err := client.Do(back)
			if err != nil {
				t.Error(err)
				return
			}
			_ = res.Body.Close()
			if status := res.Header.Get("Cache-Status"); status != "flashgate; fwd=bypass" {
				t.Errorf("%q", status)
			}
		}
		fields("Cache-Control: max-age=60")(w, r)
	})
	if a := g.get("/", "CDN-Loop", "other; v=1"); a.body != "page" {
		t.Errorf("%+v", a)
	}
	if a := g.get("/"); a.cacheStatus() != "flashgate; hit; ttl=60" {
		t.Errorf("%+v", a)
	}
}
