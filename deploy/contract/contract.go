package contract

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"flashgate"
)

// Target is a running site with the seeded demo.
type Target struct {
	URL           string
	LoadtestKey   string
	Password      string // of both demo users
	Customer      string // mobile number
	Administrator string // mobile number

	// Provoke makes the site give codes that need a fault behind it. Each function
	// brings the fault about, lets the client meet it, and takes it away again.
	Provoke map[flashgate.Code]func(t *testing.T, c *Client)
	// Without lists codes that this deployment cannot give.
	Without []flashgate.Code
}

// Run checks the whole contract against the target, and that every code of the
// table was met on the way.
func Run(t *testing.T, target Target) {
	s := &suite{Target: target, codes: &Codes{}, name: randomDigits(6)}
	for _, step := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"anonymous", s.anonymous},
		{"account", s.account},
		{"half read", s.halfRead},
		{"administrator", s.administrator},
		{"purchase", s.purchase},
		{"refusals", s.refusals},
		{"ownership", s.ownership},
		{"cancel and sell again", s.cancelAndSellAgain},
		{"events", s.events},
		{"rate limits", s.rateLimits},
		{"allowances", s.allowances},
	} {
		if !t.Run(step.name, step.run) {
			return // the steps build on each other
		}
	}
	for code, provoke := range target.Provoke {
		t.Run("provoke "+string(code), func(t *testing.T) { provoke(t, s.client()) })
	}
	s.everyCode(t)
}

type suite struct {
	Target
	codes *Codes
	name  string // makes the sales of one run its own
}

func (s *suite) client() *Client { return NewClient(s.URL, s.LoadtestKey, s.codes) }

// visitor registers somebody new.
func (s *suite) visitor(t *testing.T) *Client {
	t.Helper()
	c := s.client()
	expect(t, 201, "")(c.Register(t.Context(), Credentials{Mobile: randomMobile(), Password: "correct horse", Name: "Visitor"}))
	return c
}

func (s *suite) admin(t *testing.T) *Client {
	t.Helper()
	c := s.client()
	expect(t, 200, "")(c.Login(t.Context(), s.Administrator, s.Password))
	return c
}

// createSale makes a sale of this run.
func (s *suite) createSale(t *testing.T, suffix string, stock int, starts, ends time.Time) flashgate.SaleID {
	t.Helper()
	id := flashgate.SaleID("t" + s.name + "-" + suffix)
	expect(t, 201, "")(s.admin(t).Do(t.Context(), "POST", "/api/admin/sales", map[string]any{
		"id": id, "goods": "1", "flash_price": 990, "stock": stock, "per_user": 1, "starts_at": starts.UTC(), "ends_at": ends.UTC(),
	}))
	return id
}

func (s *suite) openSale(t *testing.T, suffix string, stock int) flashgate.SaleID {
	t.Helper()
	return s.createSale(t, suffix, stock, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
}

func (s *suite) anonymous(t *testing.T) {
	c := s.client()
	for _, page := range []string{"/", "/goods/1", "/login", "/register"} {
		a := expect(t, 200, "")(c.Do(t.Context(), "GET", page, nil))
		if ct := a.Header.Get("Content-Type"); !strings.HasPrefix(ct, "text/html") {
			t.Errorf("%s is %s", page, ct)
		}
	}
	for _, path := range []string{"/healthz", "/readyz", "/api/sales"} {
		expect(t, 200, "")(c.Do(t.Context(), "GET", path, nil))
	}
	for _, path := range []string{"/api/me", "/api/orders", "/api/orders/1.x", "/api/orders/1.x/events"} {
		expect(t, 401, flashgate.CodeUnauthenticated)(c.Do(t.Context(), "GET", path, nil))
	}
	expect(t, 401, flashgate.CodeUnauthenticated)(c.Do(t.Context(), "POST", "/api/sales/1/path", map[string]string{"captcha": "1"}))
	expect(t, 401, flashgate.CodeUnauthenticated)(c.Buy(t.Context(), "1", "made-up"))
	expect(t, 401, flashgate.CodeUnauthenticated)(c.Do(t.Context(), "POST", "/api/admin/sales", map[string]any{}))
	expect(t, 404, flashgate.CodeNotFound)(c.Do(t.Context(), "GET", "/api/sales/no-such", nil))
	expect(t, 404, flashgate.CodeNotFound)(c.Do(t.Context(), "GET", "/api/nothing/here", nil))
	// The header that says who is asking is the gateway's, not the visitor's.
	expect(t, 401, flashgate.CodeUnauthenticated)(c.Do(t.Context(), "GET", "/api/me", nil, "Flashgate-User", "1"))

	sale, err := c.GetSale(t.Context(), "1")
	if err != nil {
		t.Fatal(err)
	}
	if sale.Phase != flashgate.PhaseOpen || sale.Goods.Title == "" || sale.FlashPrice <= 0 || sale.FlashPrice >= sale.Price || time.Since(sale.ServerTime).Abs() > time.Minute {
		t.Errorf("sale 1: %+v", sale)
	}
}

func (s *suite) account(t *testing.T) {
	c := s.client()
	me := Credentials{Mobile: randomMobile(), Password: "correct horse", Name: "Ann"}
	for field, bad := range map[string]Credentials{
		"mobile":   {Mobile: "123", Password: me.Password, Name: me.Name},
		"password": {Mobile: me.Mobile, Password: "short", Name: me.Name},
		"name":     {Mobile: me.Mobile, Password: me.Password, Name: strings.Repeat("n", 200)},
	} {
		a := expect(t, 400, flashgate.CodeInvalid)(c.Register(t.Context(), bad))
		if a.Field != field {
			t.Errorf("a bad %s: the error names the field %q", field, a.Field)
		}
	}
	expect(t, 400, flashgate.CodeInvalid)(c.Do(t.Context(), "POST", "/api/login", strings.NewReader("{")))
	expect(t, 413, flashgate.CodeTooLarge)(c.Do(t.Context(), "POST", "/api/login", strings.NewReader(`{"mobile":"`+strings.Repeat("1", 1<<20)+`"}`)))
	expect(t, 201, "")(c.Register(t.Context(), me))
	expect(t, 409, flashgate.CodeMobileTaken)(s.client().Register(t.Context(), me))
	expect(t, 200, "")(c.Do(t.Context(), "GET", "/api/me", nil))
	expect(t, 204, "")(c.Do(t.Context(), "POST", "/api/logout", nil))
	expect(t, 401, flashgate.CodeUnauthenticated)(c.Do(t.Context(), "GET", "/api/me", nil))
	wrong := expect(t, 401, flashgate.CodeLoginFailed)(c.Login(t.Context(), me.Mobile, "wrong horse"))
	unknown := expect(t, 401, flashgate.CodeLoginFailed)(c.Login(t.Context(), randomMobile(), "wrong horse"))
	if string(wrong.Body) != string(unknown.Body) {
		t.Errorf("a wrong password and an unknown number are told apart:\n%s\n%s", wrong.Body, unknown.Body)
	}
	a := expect(t, 200, "")(c.Login(t.Context(), me.Mobile, me.Password))
	cookie := a.Header.Get("Set-Cookie")
	for _, part := range []string{"HttpOnly", "SameSite=Lax", "Path=/"} {
		if !strings.Contains(cookie, part) {
			t.Errorf("the session cookie lacks %s: %s", part, cookie)
		}
	}
}

func (s *suite) administrator(t *testing.T) {
	c := s.client()
	expect(t, 200, "")(c.Login(t.Context(), s.Customer, s.Password))
	expect(t, 403, flashgate.CodeForbidden)(c.Do(t.Context(), "POST", "/api/admin/sales", map[string]any{"id": "x"}))
	expect(t, 403, flashgate.CodeForbidden)(c.Do(t.Context(), "PATCH", "/api/admin/sales/1", map[string]any{"restock": 1}))

	sale := s.openSale(t, "admin", 1)
	admin := s.admin(t)
	expect(t, 200, "")(admin.Do(t.Context(), "PATCH", "/api/admin/sales/"+string(sale), map[string]any{"restock": 2}))
	got, err := c.GetSale(t.Context(), sale)
	if err != nil || got.StockLeft != 3 {
		t.Errorf("after a restock by 2: %+v, %v", got, err)
	}
	expect(t, 200, "")(admin.Do(t.Context(), "PATCH", "/api/admin/sales/"+string(sale), map[string]any{"close": true}))
	if got, err = c.GetSale(t.Context(), sale); err != nil || got.Phase != flashgate.PhaseEnded {
		t.Errorf("after a close: %+v, %v", got, err)
	}
	expect(t, 404, flashgate.CodeNotFound)(admin.Do(t.Context(), "PATCH", "/api/admin/sales/no-such", map[string]any{"restock": 1}))
	a := expect(t, 400, flashgate.CodeInvalid)(admin.Do(t.Context(), "PATCH", "/api/admin/sales/"+string(sale), map[string]any{"restock": -1}))
	if a.Field != "restock" {
		t.Errorf("a bad restock names the field %q", a.Field)
	}
}

func (s *suite) everyCode(t *testing.T) {
	without := map[flashgate.Code]bool{}
	for _, c := range s.Without {
		without[c] = true
	}
	for _, c := range flashgate.Codes {
		if s.codes.Count(c.Code) == 0 && !without[c.Code] {
			t.Errorf("the code %s was never provoked through the gateway", c.Code)
		}
	}
}

// expect checks status and code; the code is empty where no problem is expected.
func expect(t *testing.T, status int, code flashgate.Code) func(Answer, error) Answer {
	t.Helper()
	return func(a Answer, err error) Answer {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if a.Status != status || a.Code != code {
			t.Fatalf("got %s, want %d %s", a, status, code)
		}
		return a
	}
}

func randomDigits(n int) string {
	v, err := rand.Int(rand.Reader, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil))
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf("%0*d", n, v)
}

func randomMobile() string { return "19" + randomDigits(9) }
