package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"flashgate"
	"flashgate/internal/gate"
	"flashgate/internal/redis"

	"github.com/caddyserver/caddy/v2"
)

func init() {
	caddy.RegisterModule(&Redis{})
	caddy.RegisterModule(&RedisState{})
}

// maxSessionCache bounds session_cache.
const maxSessionCache = 1_000_000

// Redis keeps stock and sessions on a Redis server, so that any number of gateways
// sell the same sale. It needs a queue and signing keys that all gateways share. It
// connects when it is first used: nothing has to run when a configuration is loaded.
type Redis struct {
	// Where the server is, with user, password and TLS:
	//
	//	redis://user:password@host:6379/0
	//	rediss://host:6380                                      TLS
	//	redis://host1:26379,host2:26379?sentinel=mymaster       Sentinel
	//	redis://host1:7000,host2:7001,host3:7002?cluster=true   Cluster
	//
	// Write {env.REDIS_URL}: a password in the configuration itself lands in the
	// autosave. Placeholders are replaced when the configuration is loaded.
	URL string `json:"url"`

	// How many sessions this process remembers; a logout is felt at once all the
	// same. 0 to 1,000,000, 0 for none. Default: 10000.
	SessionCache *int `json:"session_cache,omitempty"`

	server redisServer
}

// CaddyModule returns the Caddy module information.
func (*Redis) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "flashgate.stock.redis", New: func() caddy.Module { return new(Redis) }}
}

// Provision reads the settings. It dials nobody.
func (r *Redis) Provision(caddy.Context) (err error) {
	if err := r.Validate(); err != nil {
		return err
	}
	r.server, err = newRedisServer(caddy.NewReplacer().ReplaceAll(r.URL, ""), r.SessionCache)
	return err
}

// Validate checks the range.
func (r *Redis) Validate() error {
	if r.SessionCache != nil && (*r.SessionCache < 0 || *r.SessionCache > maxSessionCache) {
		return fmt.Errorf("session_cache must be between 0 and %d", maxSessionCache)
	}
	return nil
}

// StockKey names the server and its settings, without showing them.
func (r *Redis) StockKey(string) string { return r.server.key() }

// OpenStock makes the client, or joins the one that this process has.
func (r *Redis) OpenStock(string) (StockBackend, error) { return r.server.open() }

// RedisState keeps short-lived state on a Redis server, so that all gateways count a
// visitor together and a captcha fetched at one counts at another. With the same URL
// as the stock it shares that one's connections.
type RedisState struct {
	// As the stock's. Placeholders are replaced when the configuration is loaded.
	URL string `json:"url"`

	server redisServer
}

// CaddyModule returns the Caddy module information.
func (*RedisState) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "flashgate.state.redis", New: func() caddy.Module { return new(RedisState) }}
}

// Provision reads the settings. It dials nobody.
func (r *RedisState) Provision(caddy.Context) (err error) {
	r.server, err = newRedisServer(caddy.NewReplacer().ReplaceAll(r.URL, ""), nil)
	return err
}

// StateKey names the server, without showing it.
func (r *RedisState) StateKey(string) string { return r.server.key() }

// OpenState makes the client, or joins the one that this process has.
func (r *RedisState) OpenState() (StateBackend, error) { return r.server.open() }

// join lets the state share the stock's client where both are one server.
func (r *RedisState) join(stock *Redis) {
	if r.server.url == stock.server.url {
		r.server = stock.server
	}
}

// redisServer is a server and how to talk to it. Its URL is a secret.
type redisServer struct {
	url      string
	sessions int // as redis.Config.SessionCache
}

// newRedisServer checks the URL by making a client of it.
func newRedisServer(url string, sessions *int) (redisServer, error) {
	s := redisServer{url: url}
	if sessions != nil {
		if s.sessions = *sessions; s.sessions == 0 {
			s.sessions = -1
		}
	}
	return s, checkRedisURL(url)
}

// checkRedisURL says what is wrong with a URL, and nothing of the URL.
func checkRedisURL(url string) error {
	if strings.TrimSpace(url) == "" {
		return errEmpty("redis")
	}
	store, err := redis.Open(redis.Config{URL: url, SessionCache: -1})
	if err != nil {
		return public(err)
	}
	return store.Close()
}

func (s redisServer) key() string {
	sum := sha256.Sum256([]byte(s.url))
	return fmt.Sprintf("%s %d", hex.EncodeToString(sum[:]), s.sessions)
}

// redises holds one client for each server: stock and state share it, and so do the
// configurations before and after a reload.
var redises = caddy.NewUsagePool()

func (s redisServer) open() (*redisClient, error) {
	v, _, err := redises.LoadOrNew(s.key(), func() (caddy.Destructor, error) {
		store, err := redis.Open(redis.Config{URL: s.url, SessionCache: s.sessions})
		if err != nil {
			return nil, err
		}
		return &redisConn{Store: store, circuit: newCircuit("redis", store.Check)}, nil
	})
	if err != nil {
		return nil, err
	}
	return &redisClient{v.(*redisConn), s.key()}, nil
}

// redisConn is what the pool holds.
type redisConn struct {
	*redis.Store
	circuit *gate.Circuit
	seen    seenSales
}

// Destruct ends the connections.
func (c *redisConn) Destruct() error {
	closeCircuit("redis", c.circuit)
	return c.Close()
}

// redisClient is one user's reference to a redisConn.
type redisClient struct {
	*redisConn
	key string
}

// Destruct gives the reference back.
func (c *redisClient) Destruct() error {
	_, err := redises.Delete(c.key)
	return err
}

// Reserve is ReserveAfter with nothing before.
func (c *redisClient) Reserve(ctx context.Context, sale flashgate.SaleID, rs []flashgate.Reservation) ([]flashgate.Reserved, error) {
	return c.ReserveAfter(ctx, sale, nil, rs)
}

// ReserveAfter tells the gate when nothing was reserved for certain.
func (c *redisClient) ReserveAfter(ctx context.Context, sale flashgate.SaleID, published []flashgate.OrderID, rs []flashgate.Reservation) ([]flashgate.Reserved, error) {
	out, err := c.redisConn.ReserveAfter(ctx, sale, published, rs)
	if errors.Is(err, redis.ErrNotReserved) {
		err = errors.Join(gate.ErrNotSent, err)
	}
	if len(out) > 0 && out[0].Outcome != flashgate.OutcomeClosed && out[0].Outcome != flashgate.OutcomeUnset {
		c.seen.add(sale)
	}
	return out, err
}

// View says that a sale which the server has had and lost is closed.
func (c *redisClient) View(ctx context.Context, sale flashgate.SaleID) (flashgate.StockView, error) {
	v, err := c.redisConn.View(ctx, sale)
	return v, c.seen.judge(sale, err)
}

// Circuit keeps calls away from the server while it does not answer.
func (c *redisClient) Circuit() *gate.Circuit { return c.circuit }

// Interface guards.
var (
	_ StockModule       = (*Redis)(nil)
	_ caddy.Provisioner = (*Redis)(nil)
	_ caddy.Validator   = (*Redis)(nil)
	_ StateModule       = (*RedisState)(nil)
	_ caddy.Provisioner = (*RedisState)(nil)
	_ StockBackend      = (*redisClient)(nil)
	_ StateBackend      = (*redisClient)(nil)
	_ Remote            = (*redisClient)(nil)

	_ flashgate.FreedWatcher   = (*redisClient)(nil)
	_ flashgate.OutboxReserver = (*redisClient)(nil)
)
