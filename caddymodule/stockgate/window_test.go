package stockgate_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"flashgate"
	"flashgate/caddymodule/app"
	"flashgate/caddymodule/gatewaytest"
)

// Outside the window each gate asks once, and from then on answers by itself until the
// window moves.
func TestWindowFlags(t *testing.T) {
	g := gatewaytest.Run(t, twoGates)
	store := g.Store(t).(embedded)
	soon := time.Now().Add(time.Hour)
	past := time.Now().Add(-time.Hour)
	for _, x := range []struct {
		sale   flashgate.SaleID
		shift  time.Duration
		code   flashgate.Code
		status int
		after  int // Retry-After, or a little less
		change flashgate.SaleChange
	}{
		{"over", -2 * time.Hour, flashgate.CodeEnded, 410, 0, flashgate.SaleChange{Ends: &soon}},
		{"later", 2 * time.Hour, flashgate.CodeNotStarted, 403, 3600, flashgate.SaleChange{Starts: &past}},
	} {
		g.Sale(t, x.sale, 2, x.shift)
		paths := []string{"/buy/" + string(x.sale), "/also/" + string(x.sale)}
		before := app.Decisions()["stock_gate"]
		for range 5 {
			for _, path := range paths {
				a := g.Login(t, "u1").Do("POST", path)
				after, _ := strconv.Atoi(a.Header.Get("Retry-After"))
				if a.Code() != x.code || a.Status != x.status || after > x.after || after < x.after-60 || a.Header.Get("Cache-Control") != "no-store" {
					t.Errorf("%s: %+v, want %d %s and Retry-After %d", path, a, x.status, x.code, x.after)
				}
			}
		}
		now := app.Decisions()["stock_gate"]
		code := string(x.code)
		if asked, flags := now[code]-before[code], now[code+"_flag"]-before[code+"_flag"]; asked != 2 || flags != 8 {
			t.Errorf("%s: the stock was asked %d times, the flags %d times; want 2 and 8", x.sale, asked, flags)
		}
		if _, err := store.ChangeSale(t.Context(), x.sale, x.change); err != nil {
			t.Fatal(err)
		}
		for i, path := range paths {
			if a := g.Login(t, flashgate.UserID("u"+string(rune('2'+i)))).Do("POST", path); a.Status != 202 {
				t.Errorf("%s after the window has moved: %+v", path, a)
			}
		}
	}
}

// The flag ends with the opening: who asks after it buys, and nobody does before.
func TestNotStartedFlagAndTheOpening(t *testing.T) {
	g := gatewaytest.Run(t, twoGates)
	c := g.Login(t, "u1")
	opens := time.Now().Add(300 * time.Millisecond).Truncate(time.Millisecond)
	err := g.Store(t).(embedded).CreateSale(t.Context(), flashgate.Sale{ID: "1", Goods: "g", Starts: opens, Ends: opens.Add(time.Hour), PerUser: 1, Seeded: 1})
	if err != nil {
		t.Fatal(err)
	}
	before := app.Decisions()["stock_gate"]["not_started_flag"]
	for {
		sent := time.Now()
		a := c.Do("POST", "/buy/1")
		if a.Status == 202 {
			if time.Now().Before(opens) {
				t.Error("sold before the opening")
			}
			break
		}
		if a.Code() != flashgate.CodeNotStarted || a.Header.Get("Retry-After") != "1" || !sent.Before(opens) {
			t.Fatalf("%s after the opening: %+v", sent.Sub(opens), a)
		}
	}
	if app.Decisions()["stock_gate"]["not_started_flag"] == before {
		t.Error("the flag has answered nobody")
	}
}

// After the end a repeat of an id is told what everybody is told: the id says what became
// of it.
func TestEndedFlagAndARepeat(t *testing.T) {
	g := gatewaytest.Run(t, strings.Replace(alone, "units 1", "sold_out_probe 1m", 1))
	g.Sale(t, "1", 2, 0)
	c := g.Login(t, "u1")
	order := c.Do("POST", "/buy/1").Member("order")
	if _, err := g.Store(t).(embedded).ChangeSale(t.Context(), "1", flashgate.SaleChange{Close: true}); err != nil {
		t.Fatal(err)
	}
	repeat := func() gatewaytest.Answer { return c.Do("POST", "/buy/1", "Idempotency-Key", order) }
	if a := repeat(); a.Status != 202 || a.Member("order") != order {
		t.Errorf("before it is known to have ended: %+v", a)
	}
	if a := g.Login(t, "u2").Do("POST", "/buy/1"); a.Code() != flashgate.CodeEnded {
		t.Fatalf("%+v", a)
	}
	if a := repeat(); a.Code() != flashgate.CodeEnded {
		t.Errorf("after it is known: %+v", a)
	}
	if r, held, err := g.Store(t).Held(t.Context(), flashgate.OrderID(order)); err != nil || !held || r.User != "u1" {
		t.Errorf("the order: %+v, %t, %v", r, held, err)
	}
}
