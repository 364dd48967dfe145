package contract

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"flashgate"
)

// purchase is the way that every visitor takes.
func (s *suite) purchase(t *testing.T) {
	sale := s.openSale(t, "buy", 5)
	c := s.visitor(t)
	m, a, err := c.Path(t.Context(), sale)
	expect(t, 200, "")(a, err)
	if a.Header.Get("Cache-Control") != "no-store" || m.ExpiresIn <= 0 || m.ExpiresIn > 60 {
		t.Errorf("the path came as %s with %v", a, a.Header)
	}
	// Before the purchase the id names nothing.
	expect(t, 404, flashgate.CodeNotFound)(c.Do(t.Context(), "GET", "/api/orders/"+string(m.Order), nil))

	a = expect(t, 202, "")(c.Buy(t.Context(), sale, m.Path))
	if a.Order != m.Order || a.Header.Get("Location") != "/api/orders/"+string(m.Order) || !strings.Contains(string(a.Body), `"undecided"`) {
		t.Errorf("bought: %s with %v, want order %s", a, a.Header, m.Order)
	}
	o := s.decided(t, c, m.Order)
	if o.Status != flashgate.StatusPending || o.Sale != sale || o.Price != 990 || o.ExpiresAt == "" {
		t.Errorf("decided: %+v", o)
	}
	// The same path again is the same order, and takes no second unit.
	if a = expect(t, 202, "")(c.Buy(t.Context(), sale, m.Path)); a.Order != m.Order {
		t.Errorf("the same path gave another order: %s", a)
	}
	if got, err := c.GetSale(t.Context(), sale); err != nil || got.StockLeft != 4 {
		t.Errorf("stock after one purchase of 5: %+v, %v", got, err)
	}
	m2, a, err := c.Path(t.Context(), sale)
	expect(t, 200, "")(a, err)
	if a = expect(t, 409, flashgate.CodeAlreadyBought)(c.Buy(t.Context(), sale, m2.Path)); a.Order != m.Order {
		t.Errorf("already_bought carries %q, want %q", a.Order, m.Order)
	}
	for range 2 { // idempotent
		if a = expect(t, 200, "")(c.Do(t.Context(), "POST", "/api/orders/"+string(m.Order)+"/pay", nil)); !strings.Contains(string(a.Body), `"paid"`) {
			t.Errorf("paid: %s", a)
		}
	}
	expect(t, 409, flashgate.CodeWrongState)(c.Do(t.Context(), "POST", "/api/orders/"+string(m.Order)+"/cancel", nil))
	if a = expect(t, 200, "")(c.Do(t.Context(), "GET", "/api/orders", nil)); !strings.Contains(string(a.Body), string(m.Order)) {
		t.Errorf("the order is not in the list: %s", a)
	}
}

func (s *suite) decided(t *testing.T, c *Client, id flashgate.OrderID) Order {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	o, err := c.Decided(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func (s *suite) refusals(t *testing.T) {
	c := s.visitor(t)
	sale := s.openSale(t, "refuse", 1)
	path := "/api/sales/" + string(sale) + "/path"
	expect(t, 403, flashgate.CodeCaptchaRequired)(c.Do(t.Context(), "POST", path, map[string]string{}))
	answer, a, err := c.Captcha(t.Context(), sale)
	expect(t, 200, "")(a, err)
	if a.Header.Get("Content-Type") != "image/png" || a.Header.Get("Cache-Control") != "no-store" || answer == "" {
		t.Fatalf("captcha: %d %v", a.Status, a.Header)
	}
	expect(t, 403, flashgate.CodeCaptchaWrong)(c.Do(t.Context(), "POST", path, map[string]string{"captcha": answer + "1"}))
	// The right answer comes too late: the first attempt has burnt it.
	expect(t, 403, flashgate.CodeCaptchaWrong)(c.Do(t.Context(), "POST", path, map[string]string{"captcha": answer}))
	a = expect(t, 200, "")(c.Do(t.Context(), "GET", "/api/sales/"+string(sale)+"/captcha?kind=audio", nil))
	if a.Header.Get("Content-Type") != "audio/wav" || a.Header.Get("Captcha-Answer") != "" {
		t.Errorf("audio captcha: %v", a.Header)
	}

	upcoming := s.createSale(t, "soon", 1, time.Now().Add(time.Hour), time.Now().Add(2*time.Hour))
	_, a, err = s.visitor(t).Path(t.Context(), upcoming)
	if expect(t, 403, flashgate.CodeNotStarted)(a, err); a.Header.Get("Retry-After") == "" {
		t.Error("not_started says not when")
	}
	v := s.visitor(t)
	_, a, err = v.Path(t.Context(), "3")
	expect(t, 410, flashgate.CodeEnded)(a, err)
	_, a, err = v.Path(t.Context(), "no-such")
	expect(t, 404, flashgate.CodeNotFound)(a, err)
}

func (s *suite) ownership(t *testing.T) {
	sale, other := s.openSale(t, "mine", 5), s.openSale(t, "other", 5)
	ann, bob := s.visitor(t), s.visitor(t)
	m, a, err := ann.Path(t.Context(), sale)
	expect(t, 200, "")(a, err)
	var bodies []string
	refused := func(c *Client, sale flashgate.SaleID, path string) {
		t.Helper()
		a := expect(t, 404, flashgate.CodePathInvalid)(c.Buy(t.Context(), sale, path))
		bodies = append(bodies, string(a.Body))
	}
	refused(bob, sale, m.Path)          // another's
	refused(ann, other, m.Path)         // another sale's
	refused(ann, sale, m.Path[1:])      // cut
	refused(ann, sale, "made-up")       // wrong
	refused(ann, sale, string(m.Order)) // an order id
	for _, b := range bodies {
		if b != bodies[0] {
			t.Errorf("refusals differ:\n%s\n%s", b, bodies[0])
		}
	}
	// The stripped address and its other spellings are closed.
	for _, tail := range []string{"/orders", "/orders/", "/orders//", "/ORDERS", "/orders%2F" + m.Path, "//orders/" + m.Path, "/orders/" + m.Path + "/"} {
		a, err := ann.Do(t.Context(), "POST", "/api/sales/"+string(sale)+tail, nil)
		if err != nil || a.Status == 202 || a.Status == 200 {
			t.Errorf("POST …%s: %s, %v", tail, a, err)
		}
	}
	expect(t, 202, "")(ann.Buy(t.Context(), sale, m.Path))
	s.decided(t, ann, m.Order)
	order := "/api/orders/" + string(m.Order)
	expect(t, 404, flashgate.CodeNotFound)(bob.Do(t.Context(), "GET", order, nil))
	expect(t, 404, flashgate.CodeNotFound)(bob.Do(t.Context(), "GET", order+"/events", nil))
	expect(t, 404, flashgate.CodeNotFound)(bob.Do(t.Context(), "POST", order+"/pay", nil))
	expect(t, 404, flashgate.CodeNotFound)(bob.Do(t.Context(), "POST", order+"/cancel", nil))
	expect(t, 404, flashgate.CodeNotFound)(ann.Do(t.Context(), "GET", order+"A", nil))
}

func (s *suite) cancelAndSellAgain(t *testing.T) {
	sale := s.openSale(t, "again", 1)
	ann, bob, cid := s.visitor(t), s.visitor(t), s.visitor(t)
	paths := map[*Client]Minted{}
	for _, c := range []*Client{ann, bob, cid} {
		m, a, err := c.Path(t.Context(), sale)
		expect(t, 200, "")(a, err)
		paths[c] = m
	}
	expect(t, 202, "")(ann.Buy(t.Context(), sale, paths[ann].Path))
	expect(t, 409, flashgate.CodeSoldOut)(bob.Buy(t.Context(), sale, paths[bob].Path))
	if got, err := bob.GetSale(t.Context(), sale); err != nil || !got.SoldOut || got.StockLeft != 0 {
		t.Errorf("sold out: %+v, %v", got, err)
	}
	if o := s.decided(t, ann, paths[ann].Order); o.Status != flashgate.StatusPending {
		t.Fatalf("ann's order: %+v", o)
	}
	for range 2 { // idempotent
		expect(t, 200, "")(ann.Do(t.Context(), "POST", "/api/orders/"+string(paths[ann].Order)+"/cancel", nil))
	}
	expect(t, 409, flashgate.CodeWrongState)(ann.Do(t.Context(), "POST", "/api/orders/"+string(paths[ann].Order)+"/pay", nil))
	expect(t, 202, "")(bob.Buy(t.Context(), sale, paths[bob].Path))
	if o := s.decided(t, bob, paths[bob].Order); o.Status != flashgate.StatusPending {
		t.Errorf("bob's order: %+v", o)
	}
	expect(t, 409, flashgate.CodeSoldOut)(cid.Buy(t.Context(), sale, paths[cid].Path))
	admin := s.admin(t)
	expect(t, 200, "")(admin.Do(t.Context(), "PATCH", "/api/admin/sales/"+string(sale), map[string]any{"close": true}))
	expect(t, 410, flashgate.CodeEnded)(cid.Buy(t.Context(), sale, paths[cid].Path))
}

// events follows an order by server-sent events to its end.
func (s *suite) events(t *testing.T) {
	sale := s.openSale(t, "events", 1)
	c := s.visitor(t)
	m, a, err := c.Path(t.Context(), sale)
	expect(t, 200, "")(a, err)
	expect(t, 202, "")(c.Buy(t.Context(), sale, m.Path))
	req, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/api/orders/"+string(m.Order)+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if ct := res.Header.Get("Content-Type"); !strings.HasPrefix(ct, "text/event-stream") {
		t.Fatalf("events came as %d %s", res.StatusCode, ct)
	}
	var last flashgate.Status
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		data, ok := strings.CutPrefix(lines.Text(), "data:")
		if !ok {
			continue
		}
		var o Order
		if err := json.Unmarshal([]byte(data), &o); err != nil || o.Order != m.Order {
			t.Fatalf("event %q: %v", data, err)
		}
		if o.Status == flashgate.StatusPending && last != flashgate.StatusPending {
			expect(t, 200, "")(c.Do(t.Context(), "POST", "/api/orders/"+string(m.Order)+"/pay", nil))
		}
		last = o.Status
	}
	if last != flashgate.StatusPaid {
		t.Errorf("the stream ended at %q", last)
	}
}

func (s *suite) rateLimits(t *testing.T) {
	c := s.visitor(t)
	for range 20 {
		a, err := c.Do(t.Context(), "POST", "/api/sales/1/path", map[string]string{"captcha": "0"})
		if err != nil {
			t.Fatal(err)
		}
		if a.Code == flashgate.CodeRateLimited {
			if a.Header.Get("Retry-After") == "" {
				t.Error("rate_limited says not when")
			}
			// One visitor's limit is not another's, though they share an address.
			expect(t, 403, flashgate.CodeCaptchaWrong)(s.visitor(t).Do(t.Context(), "POST", "/api/sales/1/path", map[string]string{"captcha": "0"}))
			return
		}
	}
	t.Error("20 requests in a row were not limited")
}

// allowances: what the demo lets one address do.
func (s *suite) allowances(t *testing.T) {
	c := s.client()
	for range 10 {
		_, a, err := c.Captcha(t.Context(), "1")
		expect(t, 200, "")(a, err)
	}
	me := Credentials{Mobile: randomMobile(), Password: "correct horse", Name: "Ann"}
	expect(t, 201, "")(c.Register(t.Context(), me))
	for range 5 {
		expect(t, 200, "")(c.Login(t.Context(), me.Mobile, me.Password))
	}
}
