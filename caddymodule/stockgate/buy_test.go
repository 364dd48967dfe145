package stockgate_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flashgate"
	"flashgate/caddymodule/gatewaytest"
)

// alone is the gate without our shop and without a hidden path; another provider
// says who asks.
const alone = `
SITE {
	session_auth optional
	stock_gate POST /buy/{sale} {
		units 1
	}
	respond "origin {method} {uri}"
}
`

func TestOutcomes(t *testing.T) {
	g := gatewaytest.Run(t, strings.Replace(alone, "units 1", "units {http.request.header.Units}", 1))
	store := g.Store(t)
	g.Sale(t, "open", 3, 0)
	g.Sale(t, "empty", 0, 0)
	g.Sale(t, "later", 3, 2*time.Hour)
	g.Sale(t, "over", 3, -2*time.Hour)
	c, other := g.Login(t, "u1"), g.Login(t, "u2")
	one := []string{"Units", "1"}

	bought := c.Do("POST", "/buy/open", one...)
	order := bought.Member("order")
	if bought.Status != 202 || bought.Member("status") != "undecided" || bought.Header.Get("Location") != "/api/orders/"+order || bought.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%+v", bought)
	}
	if err := g.Keys(t).VerifyOrder(flashgate.OrderID(order), "u1"); err != nil {
		t.Errorf("the order's id: %v", err)
	}
	if r, held, err := store.Held(t.Context(), flashgate.OrderID(order)); err != nil || !held || r.User != "u1" || r.Units != 1 {
		t.Errorf("held: %+v, %t, %v", r, held, err)
	}
	for name, x := range map[string]struct {
		a      gatewaytest.Answer
		status int
		code   flashgate.Code
	}{
		"the same id again":       {c.Do("POST", "/buy/open", "Units", "1", "Idempotency-Key", order), 202, ""},
		"the same id, more units": {c.Do("POST", "/buy/open", "Units", "2", "Idempotency-Key", order), 404, flashgate.CodePathInvalid},
		"once more":               {c.Do("POST", "/buy/open", one...), 409, flashgate.CodeAlreadyBought},
		"another's id":            {other.Do("POST", "/buy/open", "Units", "1", "Idempotency-Key", order), 400, flashgate.CodeInvalid},
		"an id of another sale":   {c.Do("POST", "/buy/empty", "Units", "1", "Idempotency-Key", order), 400, flashgate.CodeInvalid},
		"an id of one's own":      {c.Do("POST", "/buy/open", "Units", "1", "Idempotency-Key", "5c0b"), 400, flashgate.CodeInvalid},
		"sold out":                {c.Do("POST", "/buy/empty", one...), 409, flashgate.CodeSoldOut},
		"not started":             {c.Do("POST", "/buy/later", one...), 403, flashgate.CodeNotStarted},
		"ended":                   {c.Do("POST", "/buy/over", one...), 410, flashgate.CodeEnded},
		"no such sale":            {c.Do("POST", "/buy/none", one...), 404, flashgate.CodeNotFound},
		"not the name of a sale":  {c.Do("POST", "/buy/a.b", one...), 404, flashgate.CodeNotFound},
		"anonymous":               {g.Client(t).Do("POST", "/buy/open", one...), 401, flashgate.CodeUnauthenticated},
		"no units":                {other.Do("POST", "/buy/open"), 400, flashgate.CodeInvalid},
		"no number":               {other.Do("POST", "/buy/open", "Units", "1.0"), 400, flashgate.CodeInvalid},
		"too many units":          {other.Do("POST", "/buy/open", "Units", "1001"), 400, flashgate.CodeInvalid},
		"another method":          {c.Do("GET", "/buy/open"), 200, ""},
		"below":                   {c.Do("POST", "/buy/open/cancel"), 200, ""},
		"elsewhere":               {c.Do("POST", "/buyers"), 200, ""},
	} {
		if x.a.Status != x.status || x.a.Code() != x.code {
			t.Errorf("%s: %+v, want %d %s", name, x.a, x.status, x.code)
		}
		if x.code == flashgate.CodeNotStarted && x.a.Header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", name)
		}
		if x.code == flashgate.CodeAlreadyBought && x.a.Member("order") != order {
			t.Errorf("%s: carries order %q, want %q", name, x.a.Member("order"), order)
		}
	}
	if view, err := store.View(t.Context(), "open"); err != nil || view.Free != 2 || view.Held != 1 {
		t.Errorf("the stock: %+v, %v; want 2 free, 1 held", view, err)
	}
}

// Spelled in any other way the request that buys must not reach the origin, which
// might take it for the same.
func TestNobodyBuysAroundTheGate(t *testing.T) {
	g := gatewaytest.Run(t, alone)
	g.Sale(t, "1", 3, 0)
	c := g.Login(t, "u1")
	for _, path := range []string{"/buy/1/", "/buy//1", "//buy/1", "/buy/%31/", "/%62uy/1", "/buy%2F1", "/buy/1/.", "/buy/1/x/..", "/x/../buy/1", "/buy/1;a", "/buy/1%2F", "/buy/1//"} {
		if a := c.Do("POST", path); a.Status == 200 || a.Status == 202 {
			t.Errorf("%s: %+v", path, a)
		}
		if a := c.Do("GET", path); a.Status != 200 {
			t.Errorf("GET %s is not the gate's: %+v", path, a)
		}
	}
	if a := c.Do("POST", "/BUY/1"); a.Status != 202 {
		t.Errorf("in capitals: %+v", a)
	}
}

func TestPathRequired(t *testing.T) {
	g := gatewaytest.Run(t, strings.Replace(alone, "units 1", "path required", 1))
	g.Sale(t, "1", 3, 0)
	if a := g.Login(t, "u1").Do("POST", "/buy/1"); a.Code() != flashgate.CodePathInvalid {
		t.Errorf("without a hidden path: %+v", a)
	}
}

func TestBusy(t *testing.T) {
	g := gatewaytest.Run(t, alone)
	store := g.Store(t)
	now := time.Now()
	err := store.CreateSale(t.Context(), flashgate.Sale{ID: "1", Goods: "g", Starts: now.Add(-time.Hour), Ends: now.Add(time.Hour), PerUser: 1000, Seeded: 200_000})
	if err != nil {
		t.Fatal(err)
	}
	var rs []flashgate.Reservation
	for i := range 100 {
		user := fmt.Sprint("bulk", i)
		_, order := g.Keys(t).Mint(flashgate.Claim{Sale: "1", User: user}, now)
		rs = append(rs, flashgate.Reservation{Order: order, User: flashgate.UserID(user), Units: 1000})
	}
	if _, err := store.Reserve(t.Context(), "1", rs); err != nil {
		t.Fatal(err)
	}
	if a := g.Login(t, "u1").Do("POST", "/buy/1"); a.Status != 503 || a.Code() != flashgate.CodeUnavailable || a.Header.Get("Retry-After") != "1" {
		t.Errorf("with 100,000 undecided: %+v", a)
	}
}

func TestTheStoreDoesNotOpen(t *testing.T) {
	g := gatewaytest.Run(t, alone)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	g.Dir = file
	keys := flashgate.NewKey()
	site := strings.Replace(alone, "session_auth optional\n", "", 1)
	site = strings.Replace(site, "POST /buy/{sale} {", "POST /buy/{sale} {\nuser {http.request.header.X-User}", 1)
	err := g.Load("{\nadmin off\npersist_config off\nlog {\noutput discard\n}\nflashgate {\ndata_dir DATA\nkeys " + keys + "\n}\n}\n" + site)
	if err != nil {
		t.Fatal(err)
	}
	if a := g.Client(t).Do("POST", "/buy/1", "X-User", "u1"); a.Status != 503 || a.Code() != flashgate.CodeUnavailable || a.Header.Get("Retry-After") != "1" || strings.Contains(a.Body, file) {
		t.Errorf("%+v", a)
	}
}
