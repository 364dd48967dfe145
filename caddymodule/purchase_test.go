package caddymodule_test

import (
	"testing"

	"flashgate"
	"flashgate/caddymodule/gatewaytest"
)

// shop is the purchase path of the demo in front of an origin that says what it got.
const shop = `
SITE {
	flashgate_health
	session_auth optional {
		require POST /api/sales/{sale}/path
		require POST /api/sales/{sale}/orders/{token}
	}
	hidden_path {
		mint POST /api/sales/{sale}/path
		guard POST /api/sales/{sale}/orders/{token}
		sale {sale}
		ttl 60s
	}
	stock_gate POST /api/sales/{sale}/orders {
		path required
	}
	respond "origin {uri} user={http.auth.user.id}"
}
`

func TestPurchase(t *testing.T) {
	g := gatewaytest.Run(t, shop)
	g.Sale(t, "1", 1, 0)
	buyer := g.Login(t, "u1")

	minted := buyer.Do("POST", "/api/sales/1/path")
	path, order := minted.Member("path"), minted.Member("order")
	if minted.Status != 200 || path == "" || order == "" || minted.Member("expires_in") != "60" {
		t.Fatalf("mint: %+v", minted)
	}
	for range 2 { // the second is a repeat and takes nothing
		bought := buyer.Do("POST", "/api/sales/1/orders/"+path)
		if bought.Status != 202 || bought.Member("order") != order || bought.Member("status") != "undecided" ||
			bought.Header.Get("Location") != "/api/orders/"+order || bought.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("buy: %+v", bought)
		}
	}
	view, err := g.Store(t).View(t.Context(), "1")
	if err != nil || view.Free != 0 || view.Held != 1 {
		t.Errorf("the gate: %+v, %v; want one unit held", view, err)
	}

	again := buyer.Do("POST", "/api/sales/1/path").Member("path")
	if a := buyer.Do("POST", "/api/sales/1/orders/"+again); a.Code() != flashgate.CodeAlreadyBought || a.Member("order") != order {
		t.Errorf("a second purchase: %+v", a)
	}
	late := g.Login(t, "u2")
	if a := late.Do("POST", "/api/sales/1/orders/"+late.Do("POST", "/api/sales/1/path").Member("path")); a.Code() != flashgate.CodeSoldOut || a.Status != 409 {
		t.Errorf("sold out: %+v", a)
	}
	if a := late.Do("GET", "/goods/1"); a.Body != "origin /goods/1 user=u2" {
		t.Errorf("another request: %+v", a)
	}
	if a := g.Client(t).Do("GET", "/readyz"); a.Status != 200 || a.Member("status") != "ok" {
		t.Errorf("readiness: %+v", a)
	}
}
