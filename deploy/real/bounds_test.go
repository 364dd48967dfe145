package main_test

import (
	"net/http"
	"testing"
	"time"

	"flashgate"
	"flashgate/deploy/contract"
)

// Without its database the site goes on selling up to the bound, says so quickly past
// it, and decides everything when the database is back.
func TestWithoutDatabase(t *testing.T) {
	const bound = 20
	s := startSite(t, "SALE_BOUND=20")
	a := s.audit(t)
	sale := s.newSale(t, "bounded", 100)
	buyers := s.crowd(t, sale, bound+5)
	must(t, s.maria.Kill())

	var accepted []flashgate.OrderID
	for i, b := range buyers {
		began := time.Now()
		answer, err := b.clients[i%2].Buy(t.Context(), sale, b.minted.Path)
		must(t, err)
		if i < bound {
			if answer.Status != http.StatusAccepted {
				t.Errorf("buyer %d: %s, want 202: the database is not needed to sell", i, answer)
			}
			accepted = append(accepted, b.minted.Order)
			continue
		}
		if answer.Status != http.StatusServiceUnavailable || answer.Code != flashgate.CodeUnavailable || answer.Header.Get("Retry-After") == "" {
			t.Errorf("buyer %d, past the bound: %s, want 503 with Retry-After", i, answer)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("buyer %d was refused after %v: past the bound it must be quick", i, took)
		}
	}
	visitor := contract.NewClient(s.URLs[0], loadtestKey, nil)
	for _, path := range []string{"/api/sales", "/api/sales/1"} {
		if answer, err := visitor.Do(t.Context(), "GET", path, nil); err != nil || answer.Status != http.StatusServiceUnavailable || answer.Code != flashgate.CodeUnavailable {
			t.Errorf("GET %s without a database: %s, %v; want 503", path, answer, err)
		}
	}
	// Undecided, and not lost: the order route cannot say more without a database.
	if _, answer, err := buyers[0].clients[0].GetOrder(t.Context(), accepted[0]); err != nil || answer.Status != http.StatusServiceUnavailable {
		t.Errorf("an order without a database: %s, %v; want 503", answer, err)
	}

	must(t, s.maria.Start())
	if b := a.rest(t, sale); b.Orders != bound {
		t.Errorf("%d orders, want %d", b.Orders, bound)
	}
	if rows := a.rows(t, accepted); rows["pending"] != bound {
		t.Errorf("the rows of what was accepted: %v", rows)
	}
	for i, b := range buyers[bound:] { // room again
		eventually(t, "who was refused can buy", func() bool {
			answer, err := b.clients[i%2].Buy(t.Context(), sale, b.minted.Path)
			return err == nil && answer.Status == http.StatusAccepted
		})
	}

	t.Run("and without Redis", func(t *testing.T) { s.withoutRedis(t, buyers[0]) })
}

// withoutRedis: who is logged in is not told to log in, but to come back.
func (s *site) withoutRedis(t *testing.T, b *buyer) {
	must(t, s.redis.Kill())
	for _, path := range []string{"/api/me", "/api/orders/" + string(b.minted.Order)} {
		// For a second the session is remembered; after that nobody can say.
		eventually(t, path+" answers 503", func() bool {
			answer, err := b.clients[0].Do(t.Context(), "GET", path, nil)
			if err != nil || answer.Status != http.StatusOK && answer.Code != flashgate.CodeUnavailable {
				t.Errorf("GET %s without Redis: %s, %v; want 503", path, answer, err)
			}
			return answer.Status == http.StatusServiceUnavailable || t.Failed()
		})
	}
	must(t, s.redis.Start())
	eventually(t, "the session is known again", func() bool {
		answer, err := b.clients[0].Do(t.Context(), "GET", "/api/me", nil)
		return err == nil && answer.Status == http.StatusOK
	})
}
