package caddymodule_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"flashgate"
	"flashgate/caddymodule/gatewaytest"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"
)

// guarded is a foreign origin behind hidden paths, on many gateways: one Redis, one keyring.
const guarded = `
{
	admin off
	persist_config off
	grace_period 2s
	log {
		output discard
	}
	flashgate {
		keys {env.FLASHGATE_TEST_KEYS}
		state redis {env.FLASHGATE_TEST_REDIS}
	}
}
SITE {
	hidden_path {
		mint POST /files/{file_id}/link
		guard POST /files/{file_id}/get/{token}
		user {http.request.header.X-User}
		session {http.request.header.X-Session}
	}
	reverse_proxy {env.FLASHGATE_TEST_ORIGIN}
}
`

// guardedOrigin sets the environment of guarded and counts what reaches the origin.
func guardedOrigin(t *testing.T, redis *servers.Redis, key string) *atomic.Int64 {
	t.Helper()
	calls := new(atomic.Int64)
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "call %d", calls.Add(1))
	}))
	t.Cleanup(origin.Close)
	t.Setenv("FLASHGATE_TEST_ORIGIN", strings.TrimPrefix(origin.URL, "http://"))
	t.Setenv("FLASHGATE_TEST_REDIS", redis.URL())
	t.Setenv("FLASHGATE_TEST_KEYS", key)
	return calls
}

func mintFile(t *testing.T, c *gatewaytest.Client, file string, who ...string) string {
	t.Helper()
	a := c.Do("POST", "/files/"+file+"/link", who...)
	if a.Status != 200 {
		t.Fatalf("mint: %+v", a)
	}
	return a.Member("path")
}

// OAT-006 Expediting, by replay: who has the path of somebody else, of another login or for
// another thing, skips the step before it nowhere, at no gateway, before and after its use
// and a restart. Its owner gets the one answer everywhere.
func TestReplayedPathsOnSeveralGateways(t *testing.T) {
	r := serverstest.OwnRedis(t, servers.RedisConfig{Appendonly: "always"})
	key := flashgate.NewKey()
	calls := guardedOrigin(t, r, key)
	first, second := gatewaytest.Run(t, guarded), secondOf(t, guarded)
	gateways := []*gatewaytest.Client{first.Client(t), second.Client(t)}
	ann := []string{"X-User", "ann", "X-Session", "s1"}
	path := mintFile(t, gateways[0], "7", ann...)
	others := func(when string) {
		t.Helper()
		for i, g := range gateways {
			for who, a := range map[string]gatewaytest.Answer{
				"another user":    g.Do("POST", "/files/7/get/"+path, "X-User", "bob", "X-Session", "s1"),
				"another session": g.Do("POST", "/files/7/get/"+path, "X-User", "ann", "X-Session", "s2"),
				"nobody":          g.Do("POST", "/files/7/get/"+path),
				"another file":    g.Do("POST", "/files/8/get/"+path, ann...),
			} {
				if a.Code() != flashgate.CodePathInvalid {
					t.Errorf("%s, %s, gateway %d: %+v", when, who, i, a)
				}
			}
		}
	}
	owner := func(when, want string) {
		t.Helper()
		for i, g := range gateways {
			if a := g.Do("POST", "/files/7/get/"+path, ann...); a.Status != 200 || a.Body != want {
				t.Errorf("%s, gateway %d: %+v, want %s", when, i, a, want)
			}
		}
	}
	others("fresh")
	owner("used", "call 1")
	others("used")
	unused := mintFile(t, gateways[1], "7", ann...)
	if err := first.Load(guarded); err != nil {
		t.Fatal(err)
	}
	gateways = append(gateways, secondOf(t, guarded).Client(t))
	owner("gateways restarted", "call 1")
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	for i, g := range gateways { // closed, and the path stays good
		if a := g.Do("POST", "/files/7/get/"+unused, ann...); a.Status != 503 || a.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("Redis is away, gateway %d: %+v", i, a)
		}
	}
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	for _, g := range gateways {
		eventually(t, "Redis is found again", func() bool { return g.Do("POST", "/files/9/link").Status == 200 })
	}
	owner("Redis restarted", "call 1")
	others("Redis restarted")
	path = unused
	owner("kept by Redis", "call 2")

	// A Redis that has lost everything refuses: it must not let pass twice.
	fresh := mintFile(t, gateways[0], "7", ann...)
	c := r.Client()
	defer c.Close()
	if err := c.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{path, fresh} {
		for i, g := range gateways {
			if a := g.Do("POST", "/files/7/get/"+token, ann...); a.Code() != flashgate.CodePathInvalid {
				t.Errorf("after a loss, gateway %d: %+v", i, a)
			}
		}
	}
	if n := calls.Load(); n != 2 {
		t.Errorf("the origin was called %d times, want 2", n)
	}

	// Whoever reads Redis has no path: the MAC is not there.
	fresh = mintFile(t, gateways[0], "7", ann...)
	names, err := c.Keys(t.Context(), "*once*").Result()
	if err != nil || len(names) != 1 || strings.Contains(names[0], fresh) || !strings.Contains(names[0], fresh[:20]) {
		t.Errorf("keys of Redis: %v, %v; the path is %s", names, err, fresh)
	}
}

// OAT-005 Scalping: 50 connections use one path at once, half of them at each of two
// gateways. The origin is called once; whoever is not the first gets that answer, or is
// told to wait for it.
func TestRaceOfOnePath(t *testing.T) {
	calls := guardedOrigin(t, serverstest.Redis(t), flashgate.NewKey())
	gateways := []*gatewaytest.Client{gatewaytest.Run(t, guarded).Client(t), secondOf(t, guarded).Client(t)}
	told := map[string]int{}
	for round := int64(1); round <= 10; round++ {
		path := mintFile(t, gateways[0], "7")
		var mu sync.Mutex
		var wg sync.WaitGroup
		start := make(chan struct{})
		firsts := 0
		for i := range 50 {
			wg.Go(func() {
				<-start
				a, err := gateways[i%2].Try(t.Context(), "POST", "/files/7/get/"+path)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err != nil:
					t.Error(err)
				case a.Status == 200 && a.Body == fmt.Sprint("call ", round) && a.Header.Get("Idempotent-Replayed") == "":
					firsts++
				case a.Status == 200 && a.Body == fmt.Sprint("call ", round):
					told["given again"]++
				case a.Code() == flashgate.CodeUnknownOutcome && a.Header.Get("Retry-After") == "1":
					told["wait"]++
				default:
					t.Errorf("round %d: %+v", round, a)
				}
			})
		}
		close(start)
		wg.Wait()
		if n := calls.Load(); n != round || firsts != 1 {
			t.Fatalf("round %d: the origin was called %d times, and %d got a first answer", round, n, firsts)
		}
	}
	t.Log(told)
}

// OAT-002 Token Cracking: paths that are made up, cut, extended, written otherwise, put
// together from two or signed with a retired key. None of 5,000 passes, and the origin
// hears of none.
func TestCrackedPaths(t *testing.T) {
	key := flashgate.NewKey()
	calls := guardedOrigin(t, serverstest.Redis(t), key)
	c := keepAlive(gatewaytest.Run(t, guarded).Client(t))
	ann := []string{"X-User", "ann", "X-Session", "s1"}
	one, two := mintFile(t, c, "7", ann...), mintFile(t, c, "7", ann...)
	retired, err := flashgate.ParseKeyring(flashgate.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	claim := flashgate.Claim{Sale: "POST /files/{file_id}/get/{token}\n7", Session: "s1", User: "user ann"}
	old, _ := retired.Mint(claim, time.Now().Add(time.Hour))
	keys, err := flashgate.ParseKeyring(key)
	if err != nil {
		t.Fatal(err)
	}
	expired, _ := keys.Mint(claim, time.Now().Add(-time.Millisecond))
	raw, err := base64.RawURLEncoding.DecodeString(one)
	if err != nil {
		t.Fatal(err)
	}
	bad := map[string]string{
		"empty": "", "a retired key's": old, "expired": expired, "signed, never minted here": func() string {
			p, _ := keys.Mint(claim, time.Now().Add(time.Hour))
			return p // the store does not know it
		}(),
		"front of one, MAC of another": one[:38] + two[38:], "padded": one + "=", "a byte more": one + "A", "twice": one + one,
		"in capitals": strings.ToUpper(one), "in standard base64": base64.RawStdEncoding.EncodeToString(raw) + "/",
		"in hex": fmt.Sprintf("%x", raw), "encoded": "%" + fmt.Sprintf("%02X", one[0]) + one[1:], "encoded twice": "%25" + fmt.Sprintf("%02X", one[0]) + one[1:],
		"with a zero": one + "%00", "with a line": one + "%0A", "with a tab": one + "%09", "with a dot": one + ".", "with a parameter": one + ";a=b",
		"another spelling of the last bits": one[:58] + string(one[58]+1),
	}
	for i := range len(one) {
		bad[fmt.Sprint("cut to ", i)] = one[:i]
	}
	for bit := range len(raw) * 8 {
		other := append([]byte(nil), raw...)
		other[bit/8] ^= 1 << (bit % 8)
		bad[fmt.Sprint("bit ", bit)] = base64.RawURLEncoding.EncodeToString(other)
	}
	for i := len(bad); i < 5000; i++ {
		bad[fmt.Sprint("made up ", i)] = (flashgate.NewKey() + flashgate.NewKey())[:len(one)]
	}
	for name, token := range bad {
		if token == one { // the last bits were that already
			continue
		}
		if a := c.Do("POST", "/files/7/get/"+token, ann...); a.Status != 404 || a.Code() != flashgate.CodePathInvalid {
			t.Errorf("%s: %s: %+v", name, token, a)
		}
	}
	for _, query := range []string{"?token=" + one, "?token=" + one + "&token=" + two, "?" + one, "%3F" + one} {
		if a := c.Do("POST", "/files/7/get"+query, ann...); a.Code() != flashgate.CodePathInvalid {
			t.Errorf("in the query, %s: %+v", query, a)
		}
	}
	if n := calls.Load(); n != 0 {
		t.Errorf("the origin was called %d times", n)
	}
	for _, token := range []string{one, two} { // nothing of it used them up
		if a := c.Do("POST", "/files/7/get/"+token+"?a=1&a=2", ann...); a.Status != 200 {
			t.Errorf("a good path after all that: %+v", a)
		}
	}
}
