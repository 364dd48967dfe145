package web_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/memory"
	"flashgate/internal/sqlite"
	"flashgate/shopapp/shop"
	"flashgate/shopapp/web"
)

// stand is a shop without a gateway.
type stand struct {
	store   *sqlite.Store
	keys    *flashgate.Keyring
	crowd   []shop.Member
	handler http.Handler
}

func newStand(t *testing.T, places bool) *stand {
	t.Helper()
	s := &stand{}
	var err error
	must := func() {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	s.store, err = sqlite.Open(filepath.Join(t.TempDir(), "flashgate.db"))
	must()
	t.Cleanup(func() { s.store.Close() })
	state, err := memory.New(memory.Config{})
	must()
	t.Cleanup(func() { state.Close() })
	s.keys, err = flashgate.ParseKeyring(flashgate.NewKey())
	must()
	cfg := shop.Config{Users: s.store, Sessions: s.store, Goods: s.store, Sales: s.store, Orders: s.store, Stock: s.store, Limiter: state, Keys: s.keys}
	if places {
		cfg.Direct = &shop.Direct{Placer: s.store, OrderTTL: time.Hour}
	}
	service, err := shop.New(cfg)
	must()
	s.crowd, err = service.CreateCrowd(t.Context(), 60)
	must()
	now := time.Now().Truncate(time.Millisecond)
	for id, window := range map[flashgate.SaleID][2]time.Duration{"open": {-time.Hour, time.Hour}, "ended": {-2 * time.Hour, -time.Hour}, "upcoming": {time.Hour, 2 * time.Hour}} {
		err = s.store.CreateSale(t.Context(), flashgate.Sale{ID: id, Goods: "goods", FlashPrice: 1, Starts: now.Add(window[0]), Ends: now.Add(window[1]), PerUser: 1, Seeded: 2})
		must()
	}
	site, err := web.New(web.Config{Shop: service, TrustGateway: true})
	must()
	t.Cleanup(func() { site.Close() })
	s.handler = site.Handler()
	return s
}

// press presses the button; order is the id that the gateway has minted, or empty.
func (s *stand) press(t *testing.T, sale string, buyer int, order flashgate.OrderID, peer string) (code int, answer struct{ Order, Code string }) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/sales/"+sale+"/orders", nil)
	r.RemoteAddr = peer
	if buyer >= 0 {
		r.AddCookie(&http.Cookie{Name: "session", Value: string(s.crowd[buyer].Token)})
	}
	if order != "" {
		r.Header.Set(web.OrderHeader, string(order))
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatalf("%d %q: %v", w.Code, w.Body, err)
	}
	if w.Code == http.StatusAccepted && w.Header().Get("Location") != "/api/orders/"+answer.Order {
		t.Errorf("202 with Location %q", w.Header().Get("Location"))
	}
	return w.Code, answer
}

const gateway, stranger = "127.0.0.1:1", "192.0.2.1:1"

// A shop that places orders itself answers as a gate does.
func TestTheShopPlacesOrders(t *testing.T) {
	t.Parallel()
	s := newStand(t, true)
	minted := s.keys.MintOrder("open", s.crowd[0].User)
	want := func(what, sale string, buyer int, order flashgate.OrderID, peer string, code int, says string) string {
		t.Helper()
		got, a := s.press(t, sale, buyer, order, peer)
		if got != code || a.Code != says {
			t.Errorf("%s: %d %+v, want %d %q", what, got, a, code, says)
		}
		return a.Order
	}
	want("nobody", "open", -1, "", gateway, 401, "unauthenticated")
	want("no such sale", "none", 0, "", gateway, 404, "not_found")
	want("a sale that is over", "ended", 0, "", gateway, 410, "ended")
	want("a sale to come", "upcoming", 0, "", gateway, 403, "not_started")
	want("an id of somebody else", "open", 1, minted, gateway, 404, "path_invalid")
	want("an id that is none", "open", 0, "open.x", gateway, 404, "path_invalid")
	if id := want("the first", "open", 0, minted, gateway, 202, ""); id != string(minted) {
		t.Errorf("order %s, minted was %s", id, minted)
	}
	if id := want("again", "open", 0, minted, gateway, 202, ""); id != string(minted) {
		t.Errorf("a repeat is order %s", id)
	}
	if id := want("another one for the same buyer", "open", 0, "", gateway, 409, "already_bought"); id != string(minted) {
		t.Errorf("the earlier order is %q", id)
	}
	second := want("a buyer who names an id without being the gateway", "open", 1, minted, stranger, 202, "")
	if second == string(minted) || !strings.HasPrefix(second, "open.") {
		t.Errorf("order %s", second)
	}
	want("too late", "open", 2, "", gateway, 409, "sold_out")
	v, err := s.store.View(t.Context(), "open")
	sale, err2 := s.store.Sale(t.Context(), "open")
	if err != nil || err2 != nil || sale.StockLeft != 0 || v.Free != 0 || v.Held != 0 {
		t.Errorf("left %d, %v; the gate %+v, %v", sale.StockLeft, err2, v, err)
	}
}

func TestTheShopPlacesNoOrdersByDefault(t *testing.T) {
	t.Parallel()
	s := newStand(t, false)
	if code, a := s.press(t, "open", 0, "", gateway); code != 404 || a.Code != "not_found" {
		t.Errorf("%d %+v", code, a)
	}
}

// Who comes too late at the moment is refused and has no row, however many come at once.
func TestManyPressAtOnce(t *testing.T) {
	t.Parallel()
	s := newStand(t, true)
	type pressed struct {
		code   int
		answer struct{ Order, Code string }
	}
	answers := make(chan pressed, len(s.crowd))
	start := make(chan struct{})
	for i := range s.crowd {
		go func() {
			var p pressed
			defer func() { answers <- p }() // also when press ends the goroutine
			<-start
			p.code, p.answer = s.press(t, "open", i, "", gateway)
		}()
	}
	close(start)
	bought := 0
	for range s.crowd {
		switch a := <-answers; {
		case a.code == 202:
			bought++
		case a.code != 409 || a.answer.Code != "sold_out":
			t.Errorf("%d %+v", a.code, a.answer)
		}
	}
	rows := 0
	for _, m := range s.crowd {
		orders, err := s.store.OrdersOf(t.Context(), m.User, 10)
		if err != nil {
			t.Fatal(err)
		}
		rows += len(orders)
	}
	if bought != 2 || rows != 2 {
		t.Errorf("%d have bought, there are %d rows; want 2 and 2", bought, rows)
	}
}
