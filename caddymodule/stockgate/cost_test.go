package stockgate_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"flashgate"
	"flashgate/caddymodule/gatewaytest"
	"flashgate/caddymodule/stockgate"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// writer keeps nothing but the header and the status, so that it costs nothing itself.
type writer struct {
	header http.Header
	status int
}

func (w *writer) Header() http.Header         { return w.header }
func (w *writer) WriteHeader(status int)      { w.status = status }
func (w *writer) Write(b []byte) (int, error) { return len(b), nil }

// The answer of the flag allocates no more than Caddy's own `respond` with the same
// status, body and headers, but for the row that the embedded stock reads to see what
// other processes have freed.
func TestSoldOutAllocations(t *testing.T) {
	g := gatewaytest.Run(t, "SITE {\nrespond ok\n}\n")
	g.Sale(t, "7", 1, 0)
	h := &stockgate.Handler{SoldOutProbe: caddy.Duration(60e9)}
	if err := h.Match.UnmarshalText([]byte("POST /buy/{sale}")); err != nil {
		t.Fatal(err)
	}
	if err := h.Provision(caddy.ActiveContext()); err != nil {
		t.Fatal(err)
	}
	next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	request := func(user string) *http.Request {
		repl := caddy.NewReplacer()
		repl.Set("http.auth.user.id", user)
		return httptest.NewRequestWithContext(context.WithValue(t.Context(), caddy.ReplacerCtxKey, repl), "POST", "/buy/7", nil)
	}
	var body string
	for i, user := range []string{"u1", "u2"} {
		w := httptest.NewRecorder()
		if err := h.ServeHTTP(w, request(user), next); err != nil || w.Code != []int{202, 409}[i] {
			t.Fatalf("%s: %d, %v", user, w.Code, err)
		}
		body = w.Body.String()
	}
	constant := caddyhttp.StaticResponse{StatusCode: "409", Body: body, Headers: http.Header{
		"Content-Type": {"application/problem+json"}, "Cache-Control": {"no-store"},
	}}
	r, w := request("u3"), &writer{header: http.Header{}}
	cost := func(answer func() error) float64 {
		return testing.AllocsPerRun(200, func() {
			clear(w.header)
			w.status = 0
			if err := answer(); err != nil || w.status != 409 {
				t.Fatalf("%d, %v", w.status, err)
			}
		})
	}
	_, before := flagged()
	ours := cost(func() error { return h.ServeHTTP(w, r, next) })
	if _, after := flagged(); after-before != 201 {
		t.Fatalf("%d answers by the flag, want 201", after-before)
	}
	bare := cost(func() error { return constant.ServeHTTP(w, r, next) })
	watcher := g.Store(t).(flashgate.FreedWatcher)
	news := testing.AllocsPerRun(200, func() { watcher.Freed(r.Context(), "7") })
	t.Logf("%.0f allocations, %.0f of them SQLite's; respond %.0f", ours, news, bare)
	const others = 2 // what else goes on in the process is counted along
	if ours > bare+news+others {
		t.Errorf("%.0f allocations; respond with the same answer has %.0f, and SQLite %.0f", ours, bare, news)
	}
}
