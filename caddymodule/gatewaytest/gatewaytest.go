// Package gatewaytest runs a real Caddy with all flashgate modules inside a test:
// it adapts a Caddyfile, loads it on free ports and talks to it over TCP.
//
// The tests of caddymodule and of its directives call it. Nothing else may import
// it: Caddy is one per process, and so is what Run loads.
package gatewaytest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"
	"time"

	"flashgate"
	"flashgate/caddymodule/app"
	"flashgate/internal/keyfile"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	_ "flashgate/caddymodule" // the directives

	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

// Gateway is a running Caddy.
type Gateway struct {
	URL   string // of the site
	Admin string // of the admin API
	Dir   string // data folder
}

// Run loads a configuration and stops Caddy when the test ends. In text, SITE
// stands for the site's address, ADMIN for the admin API's, DATA for a data folder
// of the test. Without a global block of its own it gets one with the data folder.
func Run(t testing.TB, text string) *Gateway {
	t.Helper()
	site, admin := FreeAddr(t), FreeAddr(t)
	for admin == site { // Caddy would listen there twice, and answer as it comes
		admin = FreeAddr(t)
	}
	g := &Gateway{URL: "http://" + site, Admin: admin, Dir: t.TempDir()}
	if err := g.Load(text); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	return g
}

// Site is the Caddyfile of a gateway with these directives in front of what is asked for.
// Who asks is read from a session, or from X-Forwarded-For.
func Site(directives string) string {
	return `{
	admin ADMIN
	persist_config off
	grace_period 2s
	log {
		output discard
	}
	servers {
		trusted_proxies static 127.0.0.1/32
	}
	metrics
	flashgate {
		data_dir DATA
	}
}
SITE {
	session_auth optional
` + directives + `
}`
}

// Load adapts and loads a configuration, as a reload does.
func (g *Gateway) Load(text string) error {
	cfg, err := Adapt(g.fill(text))
	if err != nil {
		return err
	}
	return caddy.Load(cfg, true)
}

// Validate adapts a configuration and checks it, as `caddy validate` does.
func (g *Gateway) Validate(text string) error {
	adapted, err := Adapt(g.fill(text))
	if err != nil {
		return err
	}
	var cfg *caddy.Config
	if err := caddy.StrictUnmarshalJSON(adapted, &cfg); err != nil {
		return err
	}
	return caddy.Validate(cfg)
}

// LoadJSON loads an adapted configuration with other settings of the app, for what
// a Caddyfile cannot say.
func (g *Gateway) LoadJSON(adapted []byte, app map[string]any) error {
	var cfg map[string]any
	if err := json.Unmarshal(adapted, &cfg); err != nil {
		return err
	}
	cfg["admin"] = map[string]any{"disabled": true, "config": map[string]any{"persist": false}}
	cfg["logging"] = map[string]any{"logs": map[string]any{"default": map[string]any{"writer": map[string]any{"output": "discard"}}}}
	cfg["apps"].(map[string]any)["flashgate"] = app
	text, err := json.Marshal(cfg)
	if err != nil {
		return err
	}
	return caddy.Load(text, true)
}

func (g *Gateway) fill(text string) string {
	if !strings.HasPrefix(strings.TrimSpace(text), "{") {
		text = "{\nadmin ADMIN\npersist_config off\ngrace_period 2s\nlog {\noutput discard\n}\nflashgate {\ndata_dir DATA\n}\n}\n" + text
	}
	return strings.NewReplacer("SITE", g.URL, "ADMIN", g.Admin, "DATA", g.Dir).Replace(text)
}

// Adapt turns a Caddyfile into JSON; its name in errors is Caddyfile.
func Adapt(text string) ([]byte, error) {
	cfg, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	return cfg, err
}

// FreeAddr is an address on the loopback where nobody listens now.
func FreeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Store opens the gateway's own data file and closes it when the test ends. It has
// the ports that a shop and a worker use as well.
func (g *Gateway) Store(t testing.TB) interface {
	app.StockBackend
	flashgate.SaleStore
} {
	t.Helper()
	backend, err := new(app.SQLite).OpenStock(g.Dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := backend.Destruct(); err != nil {
			t.Error(err)
		}
	})
	return backend.(interface {
		app.StockBackend
		flashgate.SaleStore
	})
}

// Sale writes a sale that is open from an hour ago until in an hour, moved by shift.
func (g *Gateway) Sale(t testing.TB, id flashgate.SaleID, units int64, shift time.Duration) {
	t.Helper()
	now := time.Now().Add(shift)
	err := g.Store(t).CreateSale(t.Context(), flashgate.Sale{
		ID: id, Goods: "goods", FlashPrice: 100, Starts: now.Add(-time.Hour), Ends: now.Add(time.Hour), PerUser: 1, Seeded: units,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Keys are the gateway's own signing keys.
func (g *Gateway) Keys(t testing.TB) *flashgate.Keyring {
	t.Helper()
	keys, err := keyfile.LoadOrCreate(g.Dir)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// Login writes a session of a user and returns a client with its cookie.
func (g *Gateway) Login(t testing.TB, user flashgate.UserID) *Client {
	t.Helper()
	token := flashgate.NewSessionToken()
	err := g.Store(t).CreateSession(t.Context(), flashgate.Session{
		Key: token.Key(), User: user, Role: flashgate.RoleCustomer,
		Created: time.Now(), Expires: time.Now().Add(time.Hour), Idle: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	c := g.Client(t)
	c.Session, c.Header = token, http.Header{"Cookie": {"session=" + string(token)}}
	return c
}

// Client is a visitor.
type Client struct {
	Session flashgate.SessionToken
	Header  http.Header // sent with every request

	HTTP *http.Client // for whatever Do cannot say; no keep-alive, no redirects

	t    testing.TB
	base string
}

// Client returns an anonymous visitor. It follows no redirects.
func (g *Gateway) Client(t testing.TB) *Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	// A POST on a connection that a reload has just closed would not be repeated.
	transport.DisableKeepAlives = true
	return &Client{t: t, base: g.URL, Header: http.Header{}, HTTP: &http.Client{
		Jar: jar, Transport: transport, Timeout: 10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// URL is the site's address, for requests that are not sent by Do.
func (c *Client) URL() string { return c.base }

// Answer is a response that has been read.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Code is the `code` of a problem document; empty for anything else.
func (a Answer) Code() flashgate.Code { return flashgate.Code(a.Member("code")) }

// Member is a member of a JSON body as text; empty when there is none.
func (a Answer) Member(name string) string {
	var doc map[string]any
	if json.Unmarshal([]byte(a.Body), &doc) != nil || doc[name] == nil {
		return ""
	}
	return fmt.Sprint(doc[name])
}

// Do sends a request with the path exactly as it is written.
func (c *Client) Do(method, path string, header ...string) Answer {
	c.t.Helper()
	a, err := c.Try(c.t.Context(), method, path, header...)
	if err != nil {
		c.t.Fatal(err)
	}
	return a
}

// Try is Do for a request that may fail, from any goroutine. It repeats a request
// that got no answer at all: Linux resets connections that wait in a listener that
// closes, as Caddy's old one does in a reload. An answer that breaks off is an
// answer: it is not asked for again.
func (c *Client) Try(ctx context.Context, method, path string, header ...string) (Answer, error) {
	for deadline := time.Now().Add(5 * time.Second); ; {
		a, answered, err := c.once(ctx, method, path, header)
		if err == nil || answered || ctx.Err() != nil || time.Now().After(deadline) {
			return a, err
		}
	}
}

// once sends one request; answered reports whether the head of an answer came.
func (c *Client) once(ctx context.Context, method, path string, header []string) (a Answer, answered bool, err error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base, nil)
	if err != nil {
		return Answer{}, false, err
	}
	path, query, _ := strings.Cut(path, "?")
	req.URL.Opaque, req.URL.RawQuery = path, query
	if strings.HasPrefix(path, "//") { // only the absolute form (RFC 9112, section 3.2.2) can say this
		req.URL.Opaque = "//" + req.URL.Host + path
	}
	req.Header = c.Header.Clone()
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := c.HTTP.Do(req)
	if err != nil {
		return Answer{}, false, err
	}
	defer res.Body.Close()
	var body bytes.Buffer
	if _, err := io.Copy(&body, res.Body); err != nil {
		return Answer{}, true, err
	}
	return Answer{Status: res.StatusCode, Header: res.Header, Body: body.String()}, true, nil
}
