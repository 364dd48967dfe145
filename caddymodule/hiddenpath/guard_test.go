package hiddenpath_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"flashgate"
	"flashgate/caddymodule/gatewaytest"
)

const sales = `
SITE {
	session_auth optional
	hidden_path {
		mint POST /api/sales/{sale}/path
		guard POST /api/sales/{sale}/orders/{token}
		sale {sale}
	}
	respond "origin {method} {uri} order={http.hidden_path.order} sale={http.hidden_path.sale}"
}
`

// TestGuardFailsClosed asks for what is behind the guard in every other way than
// with a token where it belongs. TOKEN is a valid one.
func TestGuardFailsClosed(t *testing.T) {
	g := gatewaytest.Run(t, sales)
	g.Sale(t, "1", 10, 0)
	c := g.Login(t, "u1")
	token := c.Do("POST", "/api/sales/1/path").Member("path")
	for _, path := range []string{
		"/api/sales/1/orders",
		"/api/sales/1/orders/",
		"/api/sales/1/orders//",
		"/api/sales/1/orders?x=/TOKEN",
		"/api/sales/1/orders/TOKEN/",
		"/api/sales/1/orders//TOKEN",
		"/api/sales/1//orders/TOKEN",
		"/api//sales/1/orders",
		"//api/sales/1/orders",
		"/api/sales/1/orders/TOKEN/more",
		"/api/sales/1/orders/x/TOKEN",
		"/api/sales/1/orders%2FTOKEN",
		"/api/sales/1/orders%2fTOKEN",
		"/api/sales/1%2Forders/TOKEN",
		"/api/sales/1/orders%252FTOKEN",
		"/api/sales/1/%6Frders",
		"/api/sales/1/%6Frders/TOKEN",
		"/api/sales/%31/orders",
		"/API/Sales/1/ORDERS",
		"/API/Sales/1/ORDERS/",
		"/api/sales/1/./orders",
		"/api/sales/1/x/../orders",
		"/x/../api/sales/1/orders",
		"/api/sales/1/orders/.",
		"/api/sales/1/orders;x=1",
		"/api/sales/1/orders;x/TOKEN",
		`/api/sales/1\orders`,
		"/api/sales/1/orders%00",
		"/api/sales/1/orders.",
		"/api/sales/1/orders%20",
		"/api/sales/1/orders%09",
		"/api/sales/1/orders%09/TOKEN",
		"/api/sales/1/orders/TOKEN%09",
		"/api/sales/1/orders%0A",
		"/api/sales/1/%2e/orders",
		"/api/sales/1/%2E/orders/TOKEN",
		"/api/sales/1/x/%2e%2e/orders",
		"/api/sales/1/x%2f..%2forders",
		"/api/sales/1/x/%2e./orders/TOKEN",
		"/x/%2e%2e/api/sales/1/orders",
		"/api/sales/1/orders/%2e",
		"/api/sales/1/orders/x/%2e%2e",
		"/api/sales/1/orders/TOKEN/%2e%2e",
		"/api/sales/1/orders%C0%AFTOKEN", // overlong /
		"/api/sales/1%C0%AForders",
		"/api/sales/1/%C1%AFrders",          // overlong o
		"/api/sales/1/orders%EF%BC%8FTOKEN", // full-width /
		"/api/sales/1/orders%5CTOKEN",
		"/api/sales/1/orders%3FTOKEN",
		"/api/sales/1/orders%3F/TOKEN",
		"/api/sales/1/orders%23TOKEN",
		"/api/sales/1/orders%3Bx",
		"/api/sales/1/orders/TOKEN%3F",
		"/api/sales/1/orders?/TOKEN",
	} {
		for _, method := range []string{"POST", "GET", "PUT", "DELETE"} {
			a := c.Do(method, strings.ReplaceAll(path, "TOKEN", token))
			if a.Status != 404 || a.Code() != flashgate.CodePathInvalid {
				t.Errorf("%s %s: %d %s, want path_invalid", method, path, a.Status, a.Body)
			}
		}
	}
	if a := c.Do("GET", "/api/sales/1/orders/"+token); a.Code() != flashgate.CodePathInvalid {
		t.Errorf("the token with another method: %+v", a)
	}
	for _, path := range []string{"/", "/api/sales/1", "/api/sales/1/ordersx", "/api/sales", "/orders/" + token, "/api/orders/x"} {
		if a := c.Do("GET", path); a.Status != 200 || !strings.HasPrefix(a.Body, "origin GET "+path+" ") {
			t.Errorf("%s has nothing to do with the guard: %+v", path, a)
		}
	}
}

func TestTheTokenIsTakenOff(t *testing.T) {
	g := gatewaytest.Run(t, sales)
	g.Sale(t, "1", 10, 0)
	c := g.Login(t, "u1")
	minted := c.Do("POST", "/api/sales/1/path")
	if minted.Header.Get("Cache-Control") != "no-store" || minted.Header.Get("Referrer-Policy") != "no-referrer" || minted.Header.Get("Content-Type") != "application/json" {
		t.Errorf("headers of the mint: %v", minted.Header)
	}
	token, order := minted.Member("path"), minted.Member("order")
	for range 2 { // the order id is used up where it is used
		if a := c.Do("POST", "/api/sales/1/orders/"+token+"?a=b"); a.Body != "origin POST /api/sales/1/orders?a=b order="+order+" sale=1" {
			t.Errorf("%+v", a)
		}
	}
	if a := c.Do("POST", "/API/sales/1/Orders/"+token); a.Body != "origin POST /API/sales/1/Orders order="+order+" sale=1" {
		t.Errorf("in capitals: %+v", a)
	}
}

// Whatever is wrong with a token, the answer is the same to the last byte.
func TestRefusalsAreAlike(t *testing.T) {
	g := gatewaytest.Run(t, sales)
	g.Sale(t, "1", 10, 0)
	g.Sale(t, "2", 10, 0)
	c, otherLogin, other := g.Login(t, "u1"), g.Login(t, "u1"), g.Login(t, "u2")
	token := c.Do("POST", "/api/sales/1/path").Member("path")
	claim := flashgate.Claim{Sale: "1", Session: string(c.Session.Key()), User: "u1"}
	expired, _ := g.Keys(t).Mint(claim, time.Now().Add(-time.Second))
	strange, err := flashgate.ParseKeyring(flashgate.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	retired, _ := strange.Mint(claim, time.Now().Add(time.Hour))

	want := c.Do("POST", "/api/sales/1/orders")
	want.Header.Del("Date")
	for name, a := range map[string]gatewaytest.Answer{
		"another session":  otherLogin.Do("POST", "/api/sales/1/orders/"+token),
		"another user":     other.Do("POST", "/api/sales/1/orders/"+token),
		"another sale":     c.Do("POST", "/api/sales/2/orders/"+token),
		"no sale at all":   c.Do("POST", "/api/sales/a.b/orders/"+token),
		"expired":          c.Do("POST", "/api/sales/1/orders/"+expired),
		"a retired key":    c.Do("POST", "/api/sales/1/orders/"+retired),
		"made up":          c.Do("POST", "/api/sales/1/orders/"+strings.Repeat("A", len(token))),
		"cut":              c.Do("POST", "/api/sales/1/orders/"+token[1:]),
		"one slash more":   c.Do("POST", "/api/sales/1/orders/"+token+"/"),
		"another method":   c.Do("DELETE", "/api/sales/1/orders/"+token),
		"another spelling": c.Do("POST", "/api/sales/%31/orders/"+token),
	} {
		a.Header.Del("Date")
		if a.Status != want.Status || a.Body != want.Body || !equalHeaders(a.Header, want.Header) {
			t.Errorf("%s: %+v\nwant %+v", name, a, want)
		}
	}
	if want.Status != 404 || want.Code() != flashgate.CodePathInvalid {
		t.Errorf("%+v", want)
	}
	if a := c.Do("POST", "/api/sales/1/orders/"+token); a.Status != 200 {
		t.Errorf("the token itself: %+v", a)
	}
}

func equalHeaders(a, b http.Header) bool { return maps.EqualFunc(a, b, slices.Equal) }

func TestMintAndGuardAskWhoAndWhen(t *testing.T) {
	g := gatewaytest.Run(t, sales)
	g.Sale(t, "open", 0, 0) // sold out, which is the gate's business
	g.Sale(t, "later", 10, 2*time.Hour)
	g.Sale(t, "over", 10, -2*time.Hour)
	c, visitor := g.Login(t, "u1"), g.Client(t)
	for name, x := range map[string]struct {
		a      gatewaytest.Answer
		status int
		code   flashgate.Code
	}{
		"anonymous mint":           {visitor.Do("POST", "/api/sales/open/path"), 401, flashgate.CodeUnauthenticated},
		"anonymous mint, no sale":  {visitor.Do("POST", "/api/sales/none/path"), 401, flashgate.CodeUnauthenticated},
		"anonymous guard":          {visitor.Do("POST", "/api/sales/open/orders/x"), 401, flashgate.CodeUnauthenticated},
		"no such sale":             {c.Do("POST", "/api/sales/none/path"), 404, flashgate.CodeNotFound},
		"not the name of a sale":   {c.Do("POST", "/api/sales/a.b/path"), 404, flashgate.CodeNotFound},
		"before the window":        {c.Do("POST", "/api/sales/later/path"), 403, flashgate.CodeNotStarted},
		"after the window":         {c.Do("POST", "/api/sales/over/path"), 410, flashgate.CodeEnded},
		"in the window":            {c.Do("POST", "/api/sales/open/path"), 200, ""},
		"another method passes on": {c.Do("GET", "/api/sales/open/path"), 200, ""},
	} {
		if x.a.Status != x.status || x.a.Code() != x.code {
			t.Errorf("%s: %+v, want %d %s", name, x.a, x.status, x.code)
		}
	}
	if a := c.Do("POST", "/api/sales/later/path"); a.Header.Get("Retry-After") != "3600" && a.Header.Get("Retry-After") != "3599" {
		t.Errorf("Retry-After is %q, want an hour", a.Header.Get("Retry-After"))
	}
}
