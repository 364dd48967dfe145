package caddymodule_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flashgate"
	"flashgate/caddymodule/gatewaytest"
	"flashgate/internal/redis"
	"flashgate/internal/servers"
)

// realShop is the demo's directives on real servers, in front of an origin that says
// what it got.
const realShop = `
{
	admin off
	persist_config off
	grace_period 2s
	log {
		output discard
	}
	flashgate {
		redis {env.FLASHGATE_TEST_REDIS}
		rabbitmq {env.FLASHGATE_TEST_AMQP}
		keys {env.FLASHGATE_TEST_KEYS}
	}
}
SITE {
	flashgate_health
	session_auth optional {
		require POST /api/sales/{sale}/path
		require POST /api/sales/{sale}/orders/{token}
		require GET /me
	}
	access_limit /limited 3 1h by user
	captcha math {
		serve GET /captcha
		verify POST /nowhere
	}
	hidden_path {
		mint POST /api/sales/{sale}/path
		guard POST /api/sales/{sale}/orders/{token}
		sale {sale}
		ttl 10m
	}
	stock_gate POST /api/sales/{sale}/orders {
		path required
	}
	page_cache /goods/*
	route /metrics {
		metrics
	}
	respond "origin {uri} user={http.auth.user.id}"
}
`

// realSite is a gateway on real servers, and a client of the Redis beside it, as a
// shop or a worker has one.
type realSite struct {
	*gatewaytest.Gateway
	store *redis.Store
}

func runReal(t *testing.T, r *servers.Redis, q *servers.RabbitMQ) *realSite {
	t.Helper()
	return runRealThrough(t, r.URL(), r, q)
}

// runRealThrough is runReal with a gateway that reaches Redis at a URL of its own.
func runRealThrough(t *testing.T, url string, r *servers.Redis, q *servers.RabbitMQ) *realSite {
	t.Helper()
	t.Setenv("FLASHGATE_TEST_REDIS", url)
	t.Setenv("FLASHGATE_TEST_AMQP", q.URL())
	t.Setenv("FLASHGATE_TEST_KEYS", flashgate.NewKey())
	store, err := redis.Open(redis.Config{URL: r.URL(), SessionCache: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return &realSite{Gateway: gatewaytest.Run(t, realShop), store: store}
}

// anySale is a sale that a shared Redis has not seen, of this run or an earlier one in the
// same process.
func anySale(name string) flashgate.SaleID {
	return flashgate.SaleID(name + "-" + rand.Text()[:10])
}

// open opens a sale's gate from a snapshot, as a reconciliation does.
func (s *realSite) open(t *testing.T, sale flashgate.SaleID, epoch uint64, units int64) {
	t.Helper()
	incarnation, err := s.store.Incarnation(t.Context(), sale)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	_, err = s.store.Open(t.Context(), incarnation, flashgate.Snapshot{Bound: flashgate.DefaultBound, Sale: flashgate.Sale{
		ID: sale, Goods: "g", Starts: now.Add(-time.Hour), Ends: now.Add(time.Hour), PerUser: 1, Seeded: units, StockLeft: units, Epoch: epoch,
	}})
	if err != nil {
		t.Fatal(err)
	}
}

// held is how many units are held.
func (s *realSite) held(t *testing.T, sale flashgate.SaleID) int64 {
	t.Helper()
	view, err := s.store.View(t.Context(), sale)
	if err != nil {
		t.Fatal(err)
	}
	return view.Held
}

// login writes a session and returns a client with its cookie.
func (s *realSite) login(t *testing.T, user flashgate.UserID) *gatewaytest.Client {
	t.Helper()
	token := flashgate.NewSessionToken()
	err := s.store.CreateSession(t.Context(), flashgate.Session{
		Key: token.Key(), User: user, Role: flashgate.RoleCustomer, Created: time.Now(), Expires: time.Now().Add(time.Hour), Idle: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	c := s.Client(t)
	c.Session, c.Header = token, http.Header{"Cookie": {"session=" + string(token)}}
	return c
}

// buyer is logged in and has a path.
type buyer struct {
	*gatewaytest.Client
	path, order string
}

func (s *realSite) buyer(t *testing.T, sale flashgate.SaleID, user flashgate.UserID) *buyer {
	t.Helper()
	b := &buyer{Client: s.login(t, user)}
	a := b.Do("POST", "/api/sales/"+string(sale)+"/path")
	if a.Status != http.StatusOK {
		t.Fatalf("mint for %s: %+v", user, a)
	}
	b.path, b.order = "/api/sales/"+string(sale)+"/orders/"+a.Member("path"), a.Member("order")
	return b
}

// timed sends a request and says how long the answer took.
func timed(c *gatewaytest.Client, method, path string) (gatewaytest.Answer, time.Duration) {
	start := time.Now()
	a := c.Do(method, path)
	return a, time.Since(start)
}

// refusedAtOnce sees a request refused again and again, each time with 503 and
// Retry-After, and fast: of several the fastest counts, as the machine has other work.
func refusedAtOnce(t *testing.T, c *gatewaytest.Client, method, path string) {
	t.Helper()
	fastest := time.Hour
	for range 5 {
		a, took := timed(c, method, path)
		if a.Status != http.StatusServiceUnavailable || a.Code() != flashgate.CodeUnavailable || a.Header.Get("Retry-After") == "" {
			t.Errorf("%s %s: %+v, want 503 unavailable", method, path, a)
		}
		fastest = min(fastest, took)
	}
	if fastest > 50*time.Millisecond {
		t.Errorf("%s %s: the fastest refusal took %s", method, path, fastest)
	}
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not in 30 s: %s", what)
		}
	}
}

// second starts another gateway, a process of its own, on the same servers.
func second(t *testing.T) *gatewaytest.Gateway { t.Helper(); return secondOf(t, realShop) }

// secondOf starts another gateway with a site of its own.
func secondOf(t *testing.T, text string) *gatewaytest.Gateway {
	t.Helper()
	g := &gatewaytest.Gateway{URL: "http://" + gatewaytest.FreeAddr(t)}
	config, err := gatewaytest.Adapt(strings.ReplaceAll(text, "SITE", g.URL))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "caddy.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprint(gatewayConfig, "=", file))
	cmd.Stderr = os.Stderr
	stop, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "ready\n" {
		t.Fatalf("the second gateway said %q, %v", line, err)
	}
	t.Cleanup(func() {
		stop.Close()
		// It ends by itself; the context of the test may kill it as well.
		_ = cmd.Wait()
	})
	return g
}
