package caddymodule_test

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"flashgate"
	"flashgate/caddymodule/gatewaytest"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"
)

// slack is what an answer may take beyond the promised time on a busy machine.
const slack = 2 * time.Second

func TestPurchaseOnServers(t *testing.T) {
	s := runReal(t, serverstest.Redis(t), serverstest.RabbitMQ(t))
	sale := anySale("purchase")
	s.open(t, sale, 2, 2)
	b := s.buyer(t, sale, "u1")
	for range 2 { // the second is a repeat and takes nothing
		a := b.Do("POST", b.path)
		if a.Status != http.StatusAccepted || a.Member("order") != b.order || a.Header.Get("Location") != "/api/orders/"+b.order {
			t.Errorf("buy: %+v", a)
		}
	}
	view, err := s.store.View(t.Context(), sale)
	if err != nil || view.Free != 1 || view.Held != 1 {
		t.Errorf("the gate: %+v, %v; want one unit held and one free", view, err)
	}
	// It leaves the outbox after the answer: nothing is left for the relay.
	eventually(t, "the order is out of the outbox", func() bool {
		waiting, err := s.store.Waiting(t.Context(), sale, 0, 10)
		return err == nil && len(waiting) == 1 && string(waiting[0].Order) == b.order
	})
	if a := s.Client(t).Do("GET", "/metrics"); !strings.Contains(a.Body, `flashgate_reserve_batch_reservations_bucket{le="1"}`) {
		t.Errorf("no metric of batches: %+v", a)
	}
	if a := s.Client(t).Do("GET", "/readyz"); a.Status != http.StatusOK || !strings.Contains(a.Body, `{"queue":"ok","state":"ok","stock":"ok"}`) {
		t.Errorf("readiness: %+v", a)
	}
}

func TestRedisIsAway(t *testing.T) {
	for name, c := range map[string]struct{ away, back func(*servers.Redis) error }{
		"stopped": {(*servers.Redis).Stop, (*servers.Redis).Start},
		"paused":  {(*servers.Redis).Pause, (*servers.Redis).Resume},
	} {
		t.Run(name, func(t *testing.T) {
			r := serverstest.OwnRedis(t, servers.RedisConfig{})
			s := runReal(t, r, serverstest.RabbitMQ(t))
			s.open(t, "1", 2, 10)
			first, next := s.buyer(t, "1", "first"), s.buyer(t, "1", "next")
			if a := s.buyer(t, "1", "before").Do("POST", s.buyer(t, "1", "before2").path); a.Code() != flashgate.CodePathInvalid {
				t.Errorf("another's path: %+v", a)
			}
			if err := c.away(r); err != nil {
				t.Fatal(err)
			}
			a, took := timed(first.Client, "POST", first.path)
			if a.Status != http.StatusServiceUnavailable && a.Status != http.StatusGatewayTimeout || a.Header.Get("Retry-After") == "" || took > flashgate.PublishWindow+slack {
				t.Errorf("the first answer: %+v after %s", a, took)
			}
			refusedAtOnce(t, next.Client, "POST", next.path)
			refusedAtOnce(t, next.Client, "POST", "/api/sales/1/path")
			refusedAtOnce(t, next.Client, "GET", "/me")
			refusedAtOnce(t, next.Client, "GET", "/captcha")
			refusedAtOnce(t, next.Client, "GET", "/limited")
			if a, took := timed(next.Client, "GET", "/goods/1"); a.Status != http.StatusOK || took > slack {
				t.Errorf("a page of the origin: %+v after %s", a, took)
			}
			if a := next.Do("GET", "/readyz"); a.Status != http.StatusServiceUnavailable || !strings.Contains(a.Body, `{"queue":"ok","state":"away","stock":"away"}`) {
				t.Errorf("readiness: %+v", a)
			}
			if err := c.back(r); err != nil {
				t.Fatal(err)
			}
			eventually(t, "Redis is found again", func() bool { return next.Do("GET", "/me").Status == http.StatusOK })
			if name == "stopped" {
				// Another incarnation: the sale is closed until somebody reconciles it.
				if a := next.Do("POST", next.path); a.Status != http.StatusServiceUnavailable || a.Code() != flashgate.CodeSaleClosed {
					t.Errorf("with another incarnation: %+v", a)
				}
				s.open(t, "1", 3, 10)
			}
			for _, b := range []*buyer{next, first} {
				if a := b.Do("POST", b.path); a.Status != http.StatusAccepted || a.Member("order") != b.order {
					t.Errorf("with Redis back: %+v", a)
				}
			}
		})
	}
}

func TestRabbitMQIsAway(t *testing.T) {
	q := serverstest.OwnRabbitMQ(t)
	s := runReal(t, serverstest.Redis(t), q)
	for name, c := range map[string]struct{ away, back func(*servers.RabbitMQ) error }{
		"stopped": {(*servers.RabbitMQ).Stop, (*servers.RabbitMQ).Start},
		"paused":  {(*servers.RabbitMQ).Pause, (*servers.RabbitMQ).Resume},
	} {
		t.Run(name, func(t *testing.T) {
			sale := anySale("rabbit-" + name)
			s.open(t, sale, 2, 10)
			var buyers []*buyer
			for i := range 3 {
				buyers = append(buyers, s.buyer(t, sale, flashgate.UserID(fmt.Sprint("u", i))))
			}
			warm, first, next := buyers[0], buyers[1], buyers[2]
			// The broker is slow to greet on a busy machine.
			eventually(t, "RabbitMQ is found", func() bool { return warm.Do("POST", warm.path).Status == http.StatusAccepted })
			if err := c.away(q); err != nil {
				t.Fatal(err)
			}
			a, took := timed(first.Client, "POST", first.path)
			held := s.held(t, sale)
			switch {
			case took > flashgate.PublishWindow+slack || a.Header.Get("Retry-After") == "":
				t.Errorf("the first answer: %+v after %s", a, took)
			case a.Status == http.StatusGatewayTimeout && a.Member("order") == first.order && a.Header.Get("Location") == "/api/orders/"+first.order && held == 2:
			case a.Status == http.StatusServiceUnavailable && held == 1 && name == "stopped": // it was known before
			default:
				t.Errorf("the first answer: %+v, and %d are held", a, held)
			}
			// It opens with the first answer, and may be a moment behind it.
			eventually(t, "the circuit is open", func() bool {
				return strings.Contains(next.Do("GET", "/metrics").Body, `flashgate_circuits_open{server="rabbitmq"} 1`)
			})
			refusedAtOnce(t, next.Client, "POST", next.path)
			if now := s.held(t, sale); now != held {
				t.Errorf("%d are held, %d were: a refusal has reserved", now, held)
			}
			if a := next.Do("GET", "/readyz"); a.Status != http.StatusServiceUnavailable || !strings.Contains(a.Body, `{"queue":"away","state":"ok","stock":"ok"}`) {
				t.Errorf("readiness: %+v", a)
			}
			if err := c.back(q); err != nil {
				t.Fatal(err)
			}
			eventually(t, "RabbitMQ is found again", func() bool {
				a := next.Do("POST", next.path)
				if a.Status == http.StatusGatewayTimeout {
					t.Fatalf("a request was sacrificed: %+v", a)
				}
				return a.Status == http.StatusAccepted
			})
			if a := first.Do("POST", first.path); a.Status != http.StatusAccepted || a.Member("order") != first.order {
				t.Errorf("the first, again: %+v", a)
			}
			if now := s.held(t, sale); now != 3 {
				t.Errorf("%d are held, want 3", now)
			}
		})
	}
}

// Nothing has to run when a gateway starts.
func TestServersComeUpLater(t *testing.T) {
	r := serverstest.OwnRedis(t, servers.RedisConfig{})
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	s := runReal(t, r, serverstest.RabbitMQ(t))
	c := s.Client(t)
	if a := c.Do("GET", "/healthz"); a.Status != http.StatusOK {
		t.Errorf("alive: %+v", a)
	}
	open := func() bool {
		return strings.Contains(c.Do("GET", "/metrics").Body, `flashgate_circuits_open{server="redis"} 1`)
	}
	if a := c.Do("GET", "/limited"); a.Status != http.StatusServiceUnavailable || a.Code() != flashgate.CodeUnavailable {
		t.Errorf("before Redis: %+v", a)
	}
	if !open() {
		t.Error("the metric says that Redis is there")
	}
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "Redis is found", func() bool { return c.Do("GET", "/limited").Status == http.StatusOK })
	if open() {
		t.Error("the metric says that Redis is away")
	}
}

func TestReloadKeepsConnections(t *testing.T) {
	r, q := serverstest.OwnRedis(t, servers.RedisConfig{}), serverstest.OwnRabbitMQ(t)
	s := runReal(t, r, q)
	s.open(t, "1", 2, 100)
	buy := func(user string) {
		t.Helper()
		if b := s.buyer(t, "1", flashgate.UserID(user)); b.Do("POST", b.path).Status != http.StatusAccepted {
			t.Errorf("%s could not buy", user)
		}
	}
	rdb := r.Client()
	t.Cleanup(func() { rdb.Close() })
	connections := func() (redis []string, rabbit string) {
		t.Helper()
		list, err := rdb.ClientList(t.Context()).Result()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(list) {
			id, _, _ := strings.Cut(line, " ")
			redis = append(redis, id)
		}
		rabbit, err = q.Ctl("-q", "list_connections", "pid")
		if err != nil {
			t.Fatal(err)
		}
		return redis, rabbit
	}
	buy("before")
	redisBefore, rabbitBefore := connections()
	for i := range 3 {
		if err := s.Load(realShop); err != nil {
			t.Fatal(err)
		}
		buy(fmt.Sprint("after", i))
	}
	redisAfter, rabbitAfter := connections()
	for _, id := range redisBefore {
		if !slices.Contains(redisAfter, id) {
			t.Errorf("connections to Redis: %v, before %v", redisAfter, redisBefore)
		}
	}
	if rabbitAfter != rabbitBefore || strings.TrimSpace(rabbitAfter) == "" {
		t.Errorf("connections to RabbitMQ: %q, before %q", rabbitAfter, rabbitBefore)
	}
}

// Two gateways are two processes. What one counts, the other knows; a logout is felt
// at both at once.
func TestTwoGateways(t *testing.T) {
	s := runReal(t, serverstest.Redis(t), serverstest.RabbitMQ(t))
	other := second(t)
	one := s.login(t, flashgate.UserID("shared-"+rand.Text()))
	two := other.Client(t)
	two.Header = one.Header.Clone()

	for i, want := range []int{http.StatusOK, http.StatusOK, http.StatusOK, http.StatusTooManyRequests, http.StatusTooManyRequests} {
		c := one
		if i%2 == 1 {
			c = two
		}
		if a := c.Do("GET", "/limited"); a.Status != want {
			t.Errorf("request %d of 3 allowed: %+v", i+1, a)
		}
	}

	sale := anySale("two")
	s.open(t, sale, 2, 10)
	b := s.buyer(t, sale, "buys")
	elsewhere := other.Client(t)
	elsewhere.Header = b.Header.Clone()
	for _, c := range []*gatewaytest.Client{b.Client, elsewhere} {
		if a := c.Do("POST", b.path); a.Status != http.StatusAccepted || a.Member("order") != b.order {
			t.Errorf("buy: %+v", a)
		}
	}
	if held := s.held(t, sale); held != 1 {
		t.Errorf("%d units held after the same order at both gateways", held)
	}

	for _, c := range []*gatewaytest.Client{one, two} { // both have it in their cache now
		if a := c.Do("GET", "/me"); a.Status != http.StatusOK {
			t.Errorf("logged in: %+v", a)
		}
	}
	if err := s.store.DeleteSession(t.Context(), one.Session.Key()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*gatewaytest.Client{one, two} {
		eventually(t, "the logout is felt", func() bool { return c.Do("GET", "/me").Status == http.StatusUnauthorized })
	}
}
