package hiddenpath_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"flashgate/caddymodule/app"
	"flashgate/caddymodule/gatewaytest"
	"flashgate/caddymodule/hiddenpath"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// What the handler costs by itself, on the embedded state, with an origin that answers
// two bytes at once. docs/hidden_path.md has the figures:
//
//	go test -run '^$' -bench Handler -benchmem ./caddymodule/hiddenpath
func BenchmarkHandler(b *testing.B) {
	g := gatewaytest.Run(b, "SITE {\nrespond ok\n}\n")
	g.Sale(b, "7", 10, 0)
	origin := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		h := w.Header()
		h["Content-Type"], h["Content-Length"] = []string{"text/plain"}, []string{"2"}
		_, err := w.Write([]byte("ok"))
		return err
	})
	alone, sale := provision(b, ""), provision(b, "id")
	run := func(name string, f func() (h *hiddenpath.Handler, path string), want int) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				h, path := f()
				r := request(b.Context(), path)
				w := httptest.NewRecorder()
				w.Body = nil
				b.StartTimer()
				if err := h.ServeHTTP(w, r, origin); err != nil || w.Code != want {
					b.Fatalf("%d, %v", w.Code, err)
				}
			}
		})
	}
	token := func(h *hiddenpath.Handler) string {
		w := httptest.NewRecorder()
		if err := h.ServeHTTP(w, request(b.Context(), "/files/7/link"), origin); err != nil {
			b.Fatal(err)
		}
		var minted struct{ Path string }
		if err := json.Unmarshal(w.Body.Bytes(), &minted); err != nil {
			b.Fatal(err)
		}
		return "/files/7/get/" + minted.Path
	}
	used, held := token(alone), token(sale)
	if err := alone.ServeHTTP(httptest.NewRecorder(), request(b.Context(), used), origin); err != nil {
		b.Fatal(err)
	}
	run("mint", func() (*hiddenpath.Handler, string) { return alone, "/files/7/link" }, 200)
	run("guard with a sale", func() (*hiddenpath.Handler, string) { return sale, held }, 200)
	run("guard, first use", func() (*hiddenpath.Handler, string) { return alone, token(alone) }, 200)
	run("guard, given again", func() (*hiddenpath.Handler, string) { return alone, used }, 200)
	run("guard, refused", func() (*hiddenpath.Handler, string) { return alone, used[:len(used)-1] + "x" }, 404)
	run("another path", func() (*hiddenpath.Handler, string) { return alone, "/goods/7" }, 200)
}

// A path that is no good, refused before any look into the store, allocates no more than
// Caddy's own `respond` with the same answer.
func TestRefusalAllocations(t *testing.T) {
	gatewaytest.Run(t, "SITE {\nrespond ok\n}\n")
	none := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	alone, sale := provision(t, ""), provision(t, "id")
	minted := httptest.NewRecorder()
	if err := alone.ServeHTTP(minted, request(t.Context(), "/files/7/link"), none); err != nil {
		t.Fatal(err)
	}
	var token struct{ Path string }
	if err := json.Unmarshal(minted.Body.Bytes(), &token); err != nil {
		t.Fatal(err)
	}
	for what, x := range map[string]struct {
		h    *hiddenpath.Handler
		path string
	}{
		"made up":           {alone, "/files/7/get/made-up"},
		"of another place":  {alone, "/files/8/get/" + token.Path},
		"below the token":   {alone, "/files/7/get/" + token.Path + "/x"},
		"made up, a sale":   {sale, "/files/7/get/made-up"},
		"without the sale":  {sale, "/files/7/get/" + token.Path},
		"the place, a sale": {sale, "/files/7/get"},
	} {
		t.Run(what, func(t *testing.T) {
			r, w := request(t.Context(), x.path), httptest.NewRecorder()
			if err := x.h.ServeHTTP(w, r, none); err != nil {
				t.Fatal(err)
			}
			ours := gatewaytest.Allocs(t, 404, func(w http.ResponseWriter) error { return x.h.ServeHTTP(w, r, none) })
			respond := gatewaytest.RespondAllocs(t, r, w)
			t.Logf("%.0f allocations, respond %.0f", ours, respond)
			if ours > respond {
				t.Errorf("%.0f allocations; respond with the same answer has %.0f", ours, respond)
			}
		})
	}
}

// provision is a handler of the running app, with a sale or without.
func provision(tb testing.TB, sale string) *hiddenpath.Handler {
	tb.Helper()
	h := &hiddenpath.Handler{Sale: sale}
	for p, text := range map[*app.Pattern]string{&h.Mint: "POST /files/{id}/link", &h.Guard: "POST /files/{id}/get/{token}"} {
		if err := p.UnmarshalText([]byte(text)); err != nil {
			tb.Fatal(err)
		}
	}
	if err := h.Provision(caddy.ActiveContext()); err != nil {
		tb.Fatal(err)
	}
	return h
}

// request is a POST of the user u1 as Caddy hands it on.
func request(ctx context.Context, path string) *http.Request {
	repl := caddy.NewReplacer()
	repl.Set("http.auth.user.id", "u1")
	repl.Set("http.auth.user.session", "mine")
	return httptest.NewRequestWithContext(context.WithValue(ctx, caddy.ReplacerCtxKey, repl), "POST", path, nil)
}
