package accesslimit_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"flashgate"
	"flashgate/caddymodule/gatewaytest"
)

func run(t *testing.T, directives string) *gatewaytest.Gateway {
	t.Helper()
	return gatewaytest.Run(t, gatewaytest.Site(directives+`
	respond /after "{http.access_limit.remaining} {http.access_limit.exceeded}"
	respond "origin"`))
}

// passes says how many of n requests pass, and that the others are refused as they should.
func passes(t *testing.T, c *gatewaytest.Client, n int, path string, header ...string) (passed int) {
	t.Helper()
	for range n {
		switch a := c.Do("GET", path, header...); {
		case a.Status == 200:
			passed++
		case a.Status != 429 || a.Code() != flashgate.CodeRateLimited || a.Header.Get("Retry-After") == "" || a.Header.Get("Cache-Control") != "no-store":
			t.Errorf("%s: %+v", path, a)
		}
	}
	return passed
}

func TestOneLine(t *testing.T) {
	g := run(t, `access_limit /x 5 1h by user`)
	c, other := g.Login(t, "u1"), g.Login(t, "u2")
	a := c.Do("GET", "/x")
	if p, r := a.Header.Get("RateLimit-Policy"), a.Header.Get("RateLimit"); p != `"/x 5 1h0m0s user";q=5;w=3600` || r != `"/x 5 1h0m0s user";r=4;t=3600` {
		t.Errorf("RateLimit-Policy %q, RateLimit %q", p, r)
	}
	if n := passes(t, c, 8, "/x"); n != 4 {
		t.Errorf("%d of 8 more pass, want 4", n)
	}
	a = c.Do("GET", "/x")
	if r := a.Header.Get("RateLimit"); !strings.HasPrefix(r, `"/x 5 1h0m0s user";r=0;t=`) {
		t.Errorf("refused, RateLimit %q", r)
	}
	if n := passes(t, other, 8, "/x"); n != 5 {
		t.Errorf("another user: %d of 8 pass, want 5", n)
	}
	if n := passes(t, c, 8, "/y"); n != 8 {
		t.Errorf("another route: %d of 8 pass", n)
	}
}

// OWASP OAT-011, scraping, with headers that claim another address: the address is the
// one that Caddy knows.
func TestHeaderSpoofing(t *testing.T) {
	g := run(t, `access_limit /x 5 1h`)
	c := g.Client(t)
	passed := 0
	for i := range 20 {
		for _, h := range []string{"X-Real-IP", "Forwarded", "X-Client-IP", "CF-Connecting-IP", "True-Client-IP"} {
			passed += passes(t, c, 1, "/x", h, fmt.Sprint("for=192.0.2.", i))
		}
	}
	if passed != 5 {
		t.Errorf("%d pass, want 5", passed)
	}
}

// OWASP OAT-007, credential cracking, from all addresses of one network. The proxy that
// Caddy trusts says where the visitor is.
func TestAddressHopping(t *testing.T) {
	g := run(t, `
	access_limit /default 5 1h
	access_limit /wide 5 1h {
		prefix 24 48
	}`)
	c := g.Client(t)
	hop := func(path, format string, n int) (passed int) {
		t.Helper()
		for i := range n {
			passed += passes(t, c, 1, path, "X-Forwarded-For", fmt.Sprintf(format, i+1))
		}
		return passed
	}
	for _, x := range []struct {
		path, format string
		want         int
	}{
		{"/default", "2001:db8:1:2::%x", 5}, {"/default", "2001:db8:2:%x::1", 20}, {"/default", "192.0.2.%d", 20},
		{"/wide", "2001:db8:3:%x::1", 5}, {"/wide", "198.51.100.%d", 5}, {"/wide", "203.0.%d.1", 20},
	} {
		if n := hop(x.path, x.format, 20); n != x.want {
			t.Errorf("%s from %s: %d of 20 pass, want %d", x.path, x.format, n, x.want)
		}
	}
}

func TestSeveralLimits(t *testing.T) {
	g := run(t, `
	access_limit /x {
		limit 3 1h by header X-User {
			name each
		}
		limit 5 1h by all {
			name everybody
		}
	}
	access_limit /shared 5 1h by all {
		name everybody
	}`)
	c := g.Client(t)
	if n := passes(t, c, 10, "/x", "X-User", "a"); n != 3 {
		t.Errorf("a: %d pass, want 3", n)
	}
	// What was refused has cost nothing: two of the five are left.
	if n := passes(t, c, 10, "/x", "X-User", "b"); n != 2 {
		t.Errorf("b: %d pass, want 2", n)
	}
	a := c.Do("GET", "/x", "X-User", "a")
	if r := a.Header.Get("RateLimit"); strings.Count(r, "r=0") != 2 {
		t.Errorf("both refuse: RateLimit %q", r)
	}
	if n := passes(t, c, 3, "/shared"); n != 0 {
		t.Errorf("a limit of the same name: %d pass", n)
	}
}

func TestCost(t *testing.T) {
	g := run(t, `
	access_limit /x 10 1h {
		cost {http.request.header.X-Items}
	}`)
	c := g.Client(t)
	for _, x := range []struct {
		items  string
		status int
	}{{"4", 200}, {"", 200}, {"-9", 200}, {"5", 429}, {"11", 429}, {"4", 200}, {"1", 429}} {
		if a := c.Do("GET", "/x", "X-Items", x.items); a.Status != x.status {
			t.Errorf("%q items: %d, want %d", x.items, a.Status, x.status)
		}
	}
}

func TestDryRun(t *testing.T) {
	g := run(t, `
	access_limit /after 2 1h {
		name try
		dry_run
	}`)
	c := g.Client(t)
	before := dryRuns(t, g)
	for i := range 5 {
		a := c.Do("GET", "/after")
		if want := strings.TrimSpace(map[bool]string{true: "0 try", false: "0"}[i >= 2]); a.Status != 200 || strings.TrimSpace(a.Body) != want {
			t.Errorf("request %d: %d %q, want %q", i, a.Status, a.Body, want)
		}
		if len(a.Header.Values("RateLimit"))+len(a.Header.Values("RateLimit-Policy")) > 0 {
			t.Errorf("it is told to visitors: %v", a.Header)
		}
	}
	if n := dryRuns(t, g) - before; n != 3 {
		t.Errorf("%d were counted, want 3", n)
	}
}

// dryRuns is what the process has counted past the limit "try".
func dryRuns(t *testing.T, g *gatewaytest.Gateway) int {
	t.Helper()
	_, after, found := strings.Cut(metrics(t, g), `flashgate_access_limit_exceeded_total{limit="try",refused="false"} `)
	if !found {
		return 0
	}
	value, _, _ := strings.Cut(after, "\n")
	n, err := strconv.Atoi(value)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func metrics(t *testing.T, g *gatewaytest.Gateway) string {
	t.Helper()
	c := g.Client(t)
	res, err := c.HTTP.Get("http://" + g.Admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var b strings.Builder
	buf := make([]byte, 32<<10)
	for {
		n, err := res.Body.Read(buf)
		b.Write(buf[:n])
		if err != nil {
			break
		}
	}
	return b.String()
}

func TestExemptAndSensitive(t *testing.T) {
	g := run(t, `
	access_limit /x 2 1h {
		exempt {
			header X-Probe yes
		}
		sensitive
	}`)
	c := g.Client(t)
	if n := passes(t, c, 10, "/x", "X-Probe", "yes"); n != 10 {
		t.Errorf("exempt: %d of 10 pass", n)
	}
	if n := passes(t, c, 10, "/x"); n != 2 {
		t.Errorf("%d of 10 pass, want 2", n)
	}
	if a := c.Do("GET", "/x"); a.Header.Get("RateLimit") != "" || a.Header.Get("RateLimit-Policy") != "" || a.Header.Get("Retry-After") == "" {
		t.Errorf("sensitive: %v", a.Header)
	}
}

// Nothing provides a captcha here, so the limit is one.
func TestStepUpWithoutACaptcha(t *testing.T) {
	g := run(t, `
	access_limit /x 2 1h {
		step_up
	}`)
	if n := passes(t, g.Client(t), 5, "/x"); n != 2 {
		t.Errorf("%d of 5 pass, want 2", n)
	}
}

func TestErrorsCaddy(t *testing.T) {
	g := run(t, `
	access_limit /x 1 1h {
		errors caddy
	}
	handle_errors {
		respond "own page {http.error.status_code}"
	}`)
	c := g.Client(t)
	c.Do("GET", "/x")
	if a := c.Do("GET", "/x"); a.Status != 429 || a.Body != "own page 429" || a.Header.Get("Retry-After") == "" {
		t.Errorf("%+v", a)
	}
}

// OWASP OAT-021, denial of inventory, by somebody who never stops: refused often enough
// the client is banned, and the ban is seen at once.
func TestEscalation(t *testing.T) {
	g := run(t, `
	access_limit /x 2 100ms {
		by header X-User
		ban 1h after 5 in 1h
	}`)
	c := g.Client(t)
	for deadline := time.Now().Add(10 * time.Second); ; {
		a := c.Do("GET", "/x", "X-User", "bot")
		if wait, _ := strconv.Atoi(a.Header.Get("Retry-After")); a.Status == 429 && wait > 3000 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody is banned")
		}
	}
	if n := passes(t, c, 1, "/x", "X-User", "person"); n != 1 {
		t.Error("somebody else is banned too")
	}
}

func TestBlock(t *testing.T) {
	g := run(t, `
	access_limit /x 2 1h {
		block {
			header User-Agent *curl*
		}
		exempt {
			header X-Probe yes
		}
	}`)
	c := g.Client(t)
	if a := c.Do("GET", "/x", "User-Agent", "a curl", "X-Probe", "yes"); a.Status != 403 || a.Code() != flashgate.CodeForbidden {
		t.Errorf("blocked: %+v", a)
	}
	if n := passes(t, c, 3, "/x"); n != 2 {
		t.Errorf("%d of 3 pass, want 2", n)
	}
}

// A limit in the middle of its window survives a reload.
func TestReloadInTheWindow(t *testing.T) {
	site := `SITE {
	access_limit /x 5 1h
	respond "origin"
}`
	g := gatewaytest.Run(t, site)
	c := g.Client(t)
	if n := passes(t, c, 3, "/x"); n != 3 {
		t.Fatalf("%d of 3 pass", n)
	}
	if err := g.Load(site + "\nhttp://127.0.0.1:1 {\n}\n"); err != nil {
		t.Fatal(err)
	}
	if n := passes(t, c, 5, "/x"); n != 2 {
		t.Errorf("after a reload %d of 5 pass, want 2", n)
	}
}
