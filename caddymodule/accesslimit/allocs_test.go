package accesslimit_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"flashgate/caddymodule/accesslimit"
	"flashgate/caddymodule/gatewaytest"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// denied is a handler of the running app whose limit is used up.
func denied(tb testing.TB, by string, sensitive bool) *accesslimit.Handler {
	tb.Helper()
	h := &accesslimit.Handler{
		Limits:    []*accesslimit.Limit{{Name: fmt.Sprint("denied ", by, sensitive), Limit: 1, Window: caddy.Duration(time.Hour), By: []string{by}}},
		Sensitive: sensitive,
	}
	if err := h.Provision(caddy.ActiveContext()); err != nil {
		tb.Fatal(err)
	}
	for _, status := range []int{200, 429} {
		if w := limited(tb, h); w.Code != status {
			tb.Fatalf("%d %s, want %d", w.Code, w.Body, status)
		}
	}
	return h
}

// let is what comes behind.
var let = caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })

// visit is a new request as Caddy hands it on.
func visit(ctx context.Context, from *http.Request) *http.Request {
	repl := caddy.NewReplacer()
	repl.Set("http.auth.user.id", "u1")
	ctx = context.WithValue(ctx, caddyhttp.VarsCtxKey, map[string]any{caddyhttp.ClientIPVarKey: "192.0.2.1"})
	return from.WithContext(context.WithValue(ctx, caddy.ReplacerCtxKey, repl))
}

func limited(tb testing.TB, h *accesslimit.Handler) *httptest.ResponseRecorder {
	tb.Helper()
	w := httptest.NewRecorder()
	if err := h.ServeHTTP(w, visit(tb.Context(), httptest.NewRequest("GET", "/", nil)), let); err != nil {
		tb.Fatal(err)
	}
	return w
}

// A request past its limit allocates hardly more than Caddy's own `respond` with the same
// answer: the key of who is counted is one more.
func TestDenialAllocations(t *testing.T) {
	gatewaytest.Run(t, "SITE {\nrespond ok\n}\n")
	for _, by := range []string{"all", "address", "user"} {
		for _, sensitive := range []bool{false, true} {
			h := denied(t, by, sensitive)
			plain, ctx := httptest.NewRequest("GET", "/", nil), t.Context()
			w := limited(t, h)
			request := testing.AllocsPerRun(200, func() { visit(ctx, plain) })
			ours := gatewaytest.Allocs(t, 429, func(w http.ResponseWriter) error { return h.ServeHTTP(w, visit(ctx, plain), let) }) - request
			respond := gatewaytest.RespondAllocs(t, visit(ctx, plain), w)
			t.Logf("by %s, sensitive %t: %.0f allocations, respond %.0f", by, sensitive, ours, respond)
			if ours > respond+1 {
				t.Errorf("by %s, sensitive %t: %.0f allocations; respond with the same answer has %.0f, and the key is one", by, sensitive, ours, respond)
			}
		}
	}
}
