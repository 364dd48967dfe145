package caddymodule_test

import (
	"net/http"
	"testing"
	"time"

	"flashgate"
	"flashgate/caddymodule/gatewaytest"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"
)

// A Redis that comes back empty has lost its sales. Until a worker has put them back
// together they are closed, not unknown; one that nobody has ever seen is unknown.
func TestRedisComesBackEmpty(t *testing.T) {
	r := serverstest.OwnRedis(t, servers.RedisConfig{})
	s := runReal(t, r, serverstest.RabbitMQ(t))
	s.open(t, "lost", 2, 10)
	b := s.buyer(t, "lost", "before")
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := r.Wipe(); err != nil {
		t.Fatal(err)
	}
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	c := s.login(t, "after")
	eventually(t, "the gateway has found Redis again", func() bool {
		return c.Do("POST", "/api/sales/lost/path").Code() != flashgate.CodeUnavailable
	})
	if a := c.Do("POST", "/api/sales/lost/path"); a.Status != http.StatusServiceUnavailable || a.Code() != flashgate.CodeSaleClosed || a.Header.Get("Retry-After") == "" {
		t.Errorf("a path of the lost sale: %+v, want 503 sale_closed", a)
	}
	if a := c.Do("POST", "/api/sales/never/path"); a.Status != http.StatusNotFound || a.Code() != flashgate.CodeNotFound {
		t.Errorf("a path of an unknown sale: %+v, want 404", a)
	}
	s.remember(t, b.Client)
	if a := b.Do("POST", b.path); a.Status != http.StatusServiceUnavailable || a.Code() != flashgate.CodeSaleClosed || a.Header.Get("Retry-After") == "" {
		t.Errorf("a purchase of the lost sale: %+v, want 503 sale_closed", a)
	}
	s.open(t, "lost", 3, 10)
	if a := s.buyer(t, "lost", "again"); a.path == "" {
		t.Error("no path after the sale was opened again")
	}
}

// remember puts a session that Redis has lost back, so that its path is good again.
func (s *realSite) remember(t *testing.T, c *gatewaytest.Client) {
	t.Helper()
	err := s.store.CreateSession(t.Context(), flashgate.Session{
		Key: c.Session.Key(), User: "before", Role: flashgate.RoleCustomer, Created: time.Now(), Expires: time.Now().Add(time.Hour), Idle: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
}
