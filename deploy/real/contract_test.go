package main_test

import (
	"net/http"
	"testing"
	"time"

	"flashgate"
	"flashgate/deploy/contract"
	"flashgate/shopapp/shop"
)

// captchaWindow is a little longer than the window of the captcha's limit.
const captchaWindow = 5500 * time.Millisecond

// The whole contract, unchanged, at both gateways.
func TestContract(t *testing.T) {
	s := startSite(t)
	for i, url := range s.URLs {
		target := contract.Target{
			URL: url, LoadtestKey: loadtestKey, Password: s.Password,
			Customer: shop.DemoCustomer, Administrator: shop.DemoAdministrator,
			Without: []flashgate.Code{flashgate.CodeSaleClosed, flashgate.CodeUnknownOutcome, flashgate.CodeUnavailable, flashgate.CodeInternal},
		}
		if i > 0 {
			// The gateways share their limits, and this is one address.
			pause(t.Context(), captchaWindow)
		}
		if i == len(s.URLs)-1 { // what breaks the site comes last
			target.Without = nil
			target.Provoke = map[flashgate.Code]func(*testing.T, *contract.Client){
				flashgate.CodeUnavailable:    s.provokeUnavailable,
				flashgate.CodeUnknownOutcome: s.provokeUnknownOutcome,
				flashgate.CodeSaleClosed:     s.provokeSaleClosed,
				flashgate.CodeInternal:       s.provokeInternal,
			}
		}
		t.Run("gateway "+url, func(t *testing.T) { contract.Run(t, target) })
	}
}

// provokeUnavailable takes the database away: who registers is told to come back.
func (s *site) provokeUnavailable(t *testing.T, c *contract.Client) {
	must(t, s.maria.Kill())
	a, err := c.Register(t.Context(), contract.Credentials{Mobile: "18600000001", Password: "correct horse", Name: "Late"})
	must(t, s.maria.Start())
	if err != nil || a.Status != http.StatusServiceUnavailable || a.Code != flashgate.CodeUnavailable || a.Header.Get("Retry-After") == "" {
		t.Errorf("register without a database: %s %v, %v", a, a.Header, err)
	}
}

// insider is a visitor with a path, and c's notes.
func (s *site) insider(t *testing.T, c *contract.Client, sale flashgate.SaleID) *buyer {
	t.Helper()
	b := s.crowd(t, sale, 1)[0]
	for _, own := range b.clients {
		own.Seen = c.Seen
	}
	return b
}

// provokeUnknownOutcome freezes the broker between reserve and confirm.
func (s *site) provokeUnknownOutcome(t *testing.T, c *contract.Client) {
	sale := s.newSale(t, "unknown-outcome", 5)
	b := s.insider(t, c, sale)
	must(t, s.rabbit.Pause())
	a, err := b.clients[1].Buy(t.Context(), sale, b.minted.Path)
	must(t, s.rabbit.Resume())
	if err != nil || a.Status != http.StatusGatewayTimeout || a.Order != b.minted.Order || a.Header.Get("Location") != "/api/orders/"+string(b.minted.Order) {
		t.Errorf("buy without a confirm: %s %v, %v", a, a.Header, err)
	}
	// It was held, so it becomes an order all the same.
	if word, err := b.decided(t.Context(), 0); err != nil || word != "pending" {
		t.Errorf("the order whose outcome was unknown is %q, %v", word, err)
	}
}

// provokeSaleClosed empties Redis: until the workers have put the sale back together
// nothing is sold.
func (s *site) provokeSaleClosed(t *testing.T, c *contract.Client) {
	sale := s.newSale(t, "sale-closed", 5)
	b := s.insider(t, c, sale)
	must(t, s.redis.Stop())
	must(t, s.redis.Start())
	met := false
	eventually(t, "the sale is open again", func() bool {
		a, err := b.clients[1].Buy(t.Context(), sale, b.minted.Path)
		met = met || err == nil && a.Code == flashgate.CodeSaleClosed
		return err == nil && a.Status == http.StatusAccepted
	})
	if !met {
		t.Error("after Redis had restarted the sale was never closed")
	}
}

// provokeInternal damages a stored password hash.
func (s *site) provokeInternal(t *testing.T, c *contract.Client) {
	ctx := t.Context()
	if _, err := s.audit(t).db.ExecContext(ctx, "UPDATE users SET password = 'damaged' WHERE mobile = ?", shop.DemoCustomer); err != nil {
		t.Fatal(err)
	}
	a, err := c.Login(ctx, shop.DemoCustomer, s.Password)
	if err != nil || a.Code != flashgate.CodeInternal {
		t.Errorf("login with a damaged hash: %s, %v", a, err)
	}
}
