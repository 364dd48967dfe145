package stockgate_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"flashgate"
	"flashgate/caddymodule/app"
	"flashgate/caddymodule/gatewaytest"
	"flashgate/caddymodule/stockgate"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

var noNext = caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })

// flaggedSales is a handler of the running app with the probe so seldom that no test sees
// one, and a sale for each refusal that it knows by now.
func flaggedSales(tb testing.TB) *stockgate.Handler {
	tb.Helper()
	g := gatewaytest.Run(tb, "SITE {\nrespond ok\n}\n")
	h := &stockgate.Handler{SoldOutProbe: caddy.Duration(time.Minute)}
	if err := h.Match.UnmarshalText([]byte("POST /buy/{sale}")); err != nil {
		tb.Fatal(err)
	}
	if err := h.Provision(caddy.ActiveContext()); err != nil {
		tb.Fatal(err)
	}
	for _, x := range flaggedAnswers {
		g.Sale(tb, x.sale, 0, x.shift)
		for range 2 {
			if w := answered(tb, h, x.sale); w.Code != x.status {
				tb.Fatalf("%s: %d %s", x.sale, w.Code, w.Body)
			}
		}
	}
	return h
}

var flaggedAnswers = []struct {
	sale   flashgate.SaleID
	shift  time.Duration
	status int
	flag   string
}{
	{"sold-out", 0, 409, "sold_out_flag"},
	{"over", -2 * time.Hour, 410, "ended_flag"},
	{"later", 2 * time.Hour, 403, "not_started_flag"},
}

// purchase is a request as Caddy hands it on.
func purchase(ctx context.Context, sale flashgate.SaleID) *http.Request {
	repl := caddy.NewReplacer()
	repl.Set("http.auth.user.id", "u1")
	return httptest.NewRequestWithContext(context.WithValue(ctx, caddy.ReplacerCtxKey, repl), "POST", "/buy/"+string(sale), nil)
}

func answered(tb testing.TB, h *stockgate.Handler, sale flashgate.SaleID) *httptest.ResponseRecorder {
	tb.Helper()
	w := httptest.NewRecorder()
	if err := h.ServeHTTP(w, purchase(tb.Context(), sale), noNext); err != nil {
		tb.Fatal(err)
	}
	return w
}

// The answer of a flag allocates no more than Caddy's own `respond` with the same answer.
func TestFlagAllocations(t *testing.T) {
	h := flaggedSales(t)
	for _, x := range flaggedAnswers {
		t.Run(x.flag, func(t *testing.T) {
			w, r := answered(t, h, x.sale), purchase(t.Context(), x.sale)
			before := app.Decisions()["stock_gate"][x.flag]
			ours := gatewaytest.Allocs(t, x.status, func(w http.ResponseWriter) error { return h.ServeHTTP(w, r, noNext) })
			if n := app.Decisions()["stock_gate"][x.flag] - before; n != 5*201 {
				t.Fatalf("%d answers by the flag, want %d", n, 5*201)
			}
			respond := gatewaytest.RespondAllocs(t, r, w)
			t.Logf("%.0f allocations, respond %.0f", ours, respond)
			if ours > respond {
				t.Errorf("%.0f allocations; respond with the same answer has %.0f", ours, respond)
			}
		})
	}
}

// What the directive costs by itself when it refuses without the stock:
//
//	go test -run '^$' -bench Flag -benchmem ./caddymodule/stockgate
func BenchmarkFlag(b *testing.B) {
	h := flaggedSales(b)
	for _, x := range flaggedAnswers {
		b.Run(x.flag, func(b *testing.B) {
			r, w := purchase(b.Context(), x.sale), &gatewaytest.Sink{Fields: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.Fields)
				if err := h.ServeHTTP(w, r, noNext); err != nil || w.Status != x.status {
					b.Fatalf("%d, %v", w.Status, err)
				}
			}
		})
	}
}
