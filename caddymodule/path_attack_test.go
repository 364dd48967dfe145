package caddymodule_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"flashgate"
	"flashgate/caddymodule/gatewaytest"
	"flashgate/internal/servers/serverstest"

	"github.com/caddyserver/caddy/v2"
)

// paths is a site of tokens without a sale whose state is in Redis.
const paths = `{
	admin off
	persist_config off
	grace_period 2s
	log {
		output discard
	}
	flashgate {
		state redis {env.FLASHGATE_TEST_REDIS}
		keys {env.FLASHGATE_TEST_KEYS}
	}
}
SITE {
	hidden_path {
		mint POST /files/{file_id}/link
		guard POST /files/{file_id}/get/{token}
		user {http.request.header.X-User}
		session {http.request.header.X-Session}
	}
	reverse_proxy ORIGIN
}
`

// pathGateways runs two gateways on one Redis, in front of an origin that counts.
func pathGateways(t *testing.T) (text string, calls *atomic.Int64, all []*gatewaytest.Client, first *gatewaytest.Gateway) {
	t.Helper()
	calls = new(atomic.Int64)
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %d", r.URL.Path, calls.Add(1))
	}))
	t.Cleanup(origin.Close)
	t.Setenv("FLASHGATE_TEST_REDIS", serverstest.Redis(t).URL())
	t.Setenv("FLASHGATE_TEST_KEYS", flashgate.NewKey())
	text = strings.Replace(paths, "ORIGIN", strings.TrimPrefix(origin.URL, "http://"), 1)
	first = gatewaytest.Run(t, text)
	return text, calls, []*gatewaytest.Client{keepAlive(first.Client(t)), keepAlive(secondOf(t, text).Client(t))}, first
}

// OAT-005, scalping, and OAT-006, expediting: one token from 50 connections at two gateways
// is one request of the origin's; everybody else gets its answer again, or is told that it
// is not known yet. It stays so when a gateway is started anew, and whoever else has the
// token gets nothing.
func TestOneTokenAtManyGateways(t *testing.T) {
	text, calls, gateways, first := pathGateways(t)
	ann := []string{"X-User", "ann", "X-Session", "s1"}
	for round := range 5 {
		before := calls.Load()
		token := gateways[round%2].Do("POST", "/files/7/link", ann...).Member("path")
		want := fmt.Sprintf("/files/7/get %d", before+1)
		var wg sync.WaitGroup
		var fresh, again, unknown atomic.Int64
		for i := range 50 {
			wg.Go(func() {
				a, err := gateways[i%2].Try(t.Context(), "POST", "/files/7/get/"+token, ann...)
				switch {
				case err != nil:
					t.Error(err)
				case a.Status == 200 && a.Body == want && a.Header.Get("Idempotent-Replayed") == "":
					fresh.Add(1)
				case a.Status == 200 && a.Body == want:
					again.Add(1)
				case a.Code() == flashgate.CodeUnknownOutcome && a.Header.Get("Retry-After") == "1":
					unknown.Add(1)
				default:
					t.Errorf("%+v", a)
				}
			})
		}
		wg.Wait()
		if calls.Load() != before+1 || fresh.Load() != 1 || again.Load()+unknown.Load() != 49 {
			t.Errorf("the origin was asked %d times; %d new answers, %d again, %d not known", calls.Load()-before, fresh.Load(), again.Load(), unknown.Load())
		}
		for name, c := range map[string]gatewaytest.Answer{
			"another user":    gateways[0].Do("POST", "/files/7/get/"+token, "X-User", "bob", "X-Session", "s1"),
			"another session": gateways[1].Do("POST", "/files/7/get/"+token, "X-User", "ann", "X-Session", "s2"),
			"another file":    gateways[1].Do("POST", "/files/8/get/"+token, ann...),
		} {
			if c.Code() != flashgate.CodePathInvalid {
				t.Errorf("%s: %+v", name, c)
			}
		}
		if round == 2 { // a restart: the state is Redis' alone
			if err := caddy.Stop(); err != nil {
				t.Fatal(err)
			}
			if err := first.Load(text); err != nil {
				t.Fatal(err)
			}
			for _, g := range gateways {
				if a := g.Do("POST", "/files/7/get/"+token, ann...); a.Body != want || a.Header.Get("Idempotent-Replayed") != "true" {
					t.Errorf("after a restart: %+v", a)
				}
			}
		}
	}
}

// OAT-002, token cracking: guesses, and what can be made of a token that is known, open
// nothing at any gateway and reach no origin.
func TestGuessedTokens(t *testing.T) {
	_, calls, gateways, _ := pathGateways(t)
	ann := []string{"X-User", "ann", "X-Session", "s1"}
	token := gateways[0].Do("POST", "/files/7/link", ann...).Member("path")
	other := gateways[0].Do("POST", "/files/7/link", "X-User", "bob", "X-Session", "s2").Member("path")
	tries := []string{
		token[:len(token)-1], token[1:], token + "A", "A" + token, token + "=", token + "%00", token + "%20", token + ".",
		strings.ToUpper(token), strings.ToLower(token),
		token[:37] + other[37:], // with another's MAC
		other[:37] + token[37:],
		other,
		"%" + fmt.Sprintf("%02x", token[0]) + token[1:], // the same by RFC 3986, and another spelling
		strings.Repeat("A", len(token)), strings.Repeat("_", len(token)),
		token + "/../" + other, token + ";x", token + "%2F", "..%2f" + token, "%2e%2e/" + token, "\uff0f" + token,
	}
	for i := range len(token) {
		c := byte('A')
		if token[i] == c {
			c = 'B'
		}
		tries = append(tries, token[:i]+string(c)+token[i+1:])
	}
	for _, guess := range tries {
		for i, g := range gateways {
			a := g.Do("POST", "/files/7/get/"+guess, ann...)
			if a.Status != 404 || a.Code() != flashgate.CodePathInvalid {
				t.Errorf("gateway %d, %s: %+v", i, guess, a)
			}
		}
	}
	// The same query twice, with a token in it, is no token.
	for _, query := range []string{"?token=" + token, "?token=" + token + "&token=" + token, "?" + token} {
		if a := gateways[1].Do("POST", "/files/7/get"+query, ann...); a.Code() != flashgate.CodePathInvalid {
			t.Errorf("%s: %+v", query, a)
		}
	}
	if n := calls.Load(); n != 0 {
		t.Errorf("the origin was asked %d times", n)
	}
	if a := gateways[1].Do("POST", "/files/7/get/"+token, ann...); a.Status != 200 {
		t.Errorf("the token itself, after all of that: %+v", a)
	}
}
