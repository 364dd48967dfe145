package captcha_test

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"flashgate/caddymodule/gatewaytest"
	"flashgate/internal/challenge"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func init() { caddy.RegisterModule(&slowKind{}) }

// key is a load tester's, who is told the answers.
const key = "a-load-tester"

// slowKind is a kind whose pictures take long, and are counted.
type slowKind struct{ *challenge.Math }

// slowDrawing is how long one takes; slowDrawn how many there were, slowNow how many are
// being drawn and slowMost the most of them at once.
const slowDrawing = 20 * time.Millisecond

// slowGate holds drawings back until it is closed.
var slowGate atomic.Pointer[chan struct{}]

var slowDrawn, slowNow, slowMost atomic.Int64

func (*slowKind) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "flashgate.captcha.slow", New: func() caddy.Module { return &slowKind{challenge.NewMath()} }}
}

func (k *slowKind) Image(seed challenge.Seed) (challenge.Challenge, error) {
	slowMost.Store(max(slowMost.Load(), slowNow.Add(1)))
	defer slowNow.Add(-1)
	if gate := slowGate.Load(); gate != nil {
		<-*gate
	} else {
		<-time.After(slowDrawing)
	}
	slowDrawn.Add(1)
	return k.Math.Image(seed)
}

func (*slowKind) UnmarshalCaddyfile(*caddyfile.Dispenser) error { return nil }

// site is a gateway with these directives in front of an origin that says what it got.
func site(t testing.TB, directives string) string {
	t.Helper()
	return gatewaytest.Site(directives + `
	respond "origin {method} {uri} {http.request.body}"`)
}

// perSale is the demo's captcha, with the answers told to load testers.
const perSale = `captcha math {
	serve GET /api/sales/{sale}/captcha
	verify POST /api/sales/{sale}/path
	loadtest_key ` + key + `
	pool off
}`

// solve fetches a challenge and returns its answer.
func solve(t testing.TB, c *gatewaytest.Client, path string) string {
	t.Helper()
	a := c.Do("GET", path, "Flashgate-Loadtest", key)
	answer := a.Header.Get("Captcha-Answer")
	if a.Status != http.StatusOK || answer == "" {
		t.Fatalf("GET %s: %d %s", path, a.Status, a.Body)
	}
	return answer
}

// post sends an answer and returns status and code.
func post(t testing.TB, c *gatewaytest.Client, path, answer string) (int, string) {
	t.Helper()
	status, code, err := tryPost(c, path, answer)
	if err != nil {
		t.Fatal(err)
	}
	return status, code
}

// tryPost is post from any goroutine. A connection that was reset before it stood is made
// again: Linux resets those that wait in a listener that a reload closes.
func tryPost(c *gatewaytest.Client, path, answer string) (status int, code string, err error) {
	for range 5 {
		status, code, err = postOnce(c, path, answer)
		if op, ok := errors.AsType[*net.OpError](err); !ok || op.Op != "dial" {
			break
		}
	}
	return status, code, err
}

func postOnce(c *gatewaytest.Client, path, answer string) (status int, code string, err error) {
	body, err := json.Marshal(map[string]string{"captcha": answer})
	if err != nil {
		return 0, "", err
	}
	req, err := http.NewRequest("POST", c.URL()+path, strings.NewReader(string(body)))
	if err != nil {
		return 0, "", err
	}
	req.Header = c.Header.Clone()
	req.Header.Set("Content-Type", "application/json")
	res, err := c.HTTP.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, "", err
	}
	var doc struct{ Code string }
	_ = json.Unmarshal(text, &doc) // the origin's answer is none
	return res.StatusCode, doc.Code, nil
}

// expect posts an answer and wants a status and a code.
func expect(t testing.TB, c *gatewaytest.Client, path, answer string, status int, code string) {
	t.Helper()
	if s, got := post(t, c, path, answer); s != status || got != code {
		t.Errorf("POST %s with %q: %d %s, want %d %s", path, answer, s, got, status, code)
	}
}

func mustURL(t testing.TB, c *gatewaytest.Client) *url.URL {
	t.Helper()
	u, err := url.Parse(c.URL())
	if err != nil {
		t.Fatal(err)
	}
	return u
}
