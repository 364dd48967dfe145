package httpcache_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"flashgate/internal/httpcache"
)

// What belongs to a connection is not kept; the rest is, as it was.
func TestHeadersOfAHit(t *testing.T) {
	t.Parallel()
	g := newRig(t, httpcache.Config{}, fields("Cache-Control: max-age=60", "X-Page: a", "X-Page: b", "Keep-Alive: 5",
		"Connection: X-Secret", "X-Secret: 1", "Age: 3", "Cache-Status: inner; hit", "Content-Type: text/plain"))
	g.get("/")
	g.clock.advance(5 * time.Second)
	h := g.get("/").header
	for name, want := range map[string]string{
		"X-Page": "a b", "Age": "8", "Date": epoch.Format(http.TimeFormat), "Cache-Status": "inner; hit flashgate; hit; ttl=52",
		"Keep-Alive": "", "X-Secret": "", "Content-Type": "text/plain", "Content-Length": "4",
	} {
		if got := strings.Join(h[name], " "); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// Early hints and trailers reach the first client.
func TestEarlyHintsAndTrailers(t *testing.T) {
	t.Parallel()
	g := newRig(t, httpcache.Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</s.css>")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Trailer", "X-Sum")
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprint(w, "page")
		w.Header().Set("X-Sum", "1")
		w.Header().Set(http.TrailerPrefix+"X-Late", "2")
	})
	var hints []string
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		hints = append(hints, fmt.Sprint(code, h.Get("Link")))
		return nil
	}})
	req, _ := http.NewRequestWithContext(ctx, "GET", g.url, nil)
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || string(b) != "page" || len(hints) != 1 || hints[0] != "103</s.css>" {
		t.Errorf("%q, %v, hints %q", b, err, hints)
	}
	if res.Trailer.Get("X-Sum") != "1" || res.Trailer.Get("X-Late") != "2" {
		t.Errorf("trailers: %v", res.Trailer)
	}
	if a := g.get("/"); a.cacheStatus() != "flashgate; hit; ttl=60" || a.header.Get("Trailer") != "" || a.header.Get("X-Sum") != "" {
		t.Errorf("hit: %+v", a)
	}
}

// A handler that declares more than it writes, and says nothing about it.
func TestShortBody(t *testing.T) {
	t.Parallel()
	cache, err := httpcache.New(httpcache.Config{Store: newPages(time.Now)})
	if err != nil {
		t.Fatal(err)
	}
	for declared, kept := range map[string]bool{"4": true, "5": false, "3": false} {
		last := ""
		for range 2 {
			w := httptest.NewRecorder()
			err := cache.Serve(w, httptest.NewRequest("GET", "/"+declared, nil), func(w http.ResponseWriter, r *http.Request) error {
				w.Header().Set("Content-Length", declared)
				w.Header().Set("Cache-Control", "max-age=60")
				_, err := io.WriteString(w, "page")
				return err
			})
			if err != nil {
				t.Error(err)
			}
			last = w.Header().Get("Cache-Status")
		}
		if strings.Contains(last, "hit") != kept {
			t.Errorf("declared %s: %q", declared, last)
		}
	}
}
