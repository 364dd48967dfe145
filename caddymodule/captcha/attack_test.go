package captcha_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"flashgate"
	"flashgate/caddymodule/app"
	"flashgate/caddymodule/gatewaytest"
	"flashgate/internal/challenge"
)

const (
	captcha1, path1 = "/api/sales/1/captcha", "/api/sales/1/path"
	captcha2, path2 = "/api/sales/2/captcha", "/api/sales/2/path"
)

// OAT-009 CAPTCHA Defeat, by replay: an answer counts for one visitor, one sale, one
// session and one time.
func TestReplay(t *testing.T) {
	g := gatewaytest.Run(t, site(t, perSale))
	ann, bob := g.Login(t, "ann"), g.Login(t, "bob")
	annElsewhere := g.Login(t, "ann")
	anon := g.Client(t)

	answer := solve(t, ann, captcha1)
	expect(t, bob, path1, answer, 403, "captcha_wrong")          // another user
	expect(t, annElsewhere, path1, answer, 403, "captcha_wrong") // another session of the same user
	expect(t, anon, path1, answer, 403, "captcha_wrong")         // nobody
	expect(t, ann, path2, answer, 403, "captcha_wrong")          // another sale
	expect(t, ann, path1, answer, 200, "")                       // none of that has burnt it
	expect(t, ann, path1, answer, 403, "captcha_wrong")
	// Another spelling of the same sale is the same sale.
	answer = solve(t, ann, captcha1)
	expect(t, ann, "/API/sales/%31/path", answer, 200, "")
	expect(t, ann, path1, answer, 403, "captcha_wrong")

	// A wrong answer burns it.
	answer = solve(t, ann, captcha1)
	expect(t, ann, path1, answer+"1", 403, "captcha_wrong")
	expect(t, ann, path1, answer, 403, "captcha_wrong")
	// No answer does not.
	answer = solve(t, ann, captcha1)
	expect(t, ann, path1, " \u3000", 403, "captcha_required")
	expect(t, ann, path1, answer, 200, "")

	// The next picture replaces the one before, a sound too.
	first := solve(t, ann, captcha1)
	second := solve(t, ann, captcha1+"?kind=audio")
	expect(t, ann, path1, first, 403, "captcha_wrong")
	expect(t, ann, path1, second, 403, "captcha_wrong") // burnt by the one before

	// A visitor without a login has a cookie, which is not another's.
	other := g.Client(t)
	answer = solve(t, anon, captcha1)
	expect(t, other, path1, answer, 403, "captcha_wrong")
	expect(t, anon, path1, answer, 200, "")
	// Nor does a made-up cookie have an answer.
	other.Header.Set("Cookie", "visitor=made-up")
	expect(t, other, path1, answer, 403, "captcha_wrong")
}

// OAT-009 CAPTCHA Defeat, by going around it: every other spelling of the address is closed.
func TestOtherSpellings(t *testing.T) {
	g := gatewaytest.Run(t, site(t, perSale))
	c := g.Login(t, "ann")
	for _, path := range []string{
		"/api/sales/1/path/", "/api/sales/1//path", "//api/sales/1/path", "/api/sales/1/%70ath", "/api/sales/1%2Fpath",
		"/api/./sales/1/path", "/api/x/../sales/1/path", "/api/sales/1/path%00", "/api/sales/1/path;x=1", "/api/sales/1/%2570ath",
		"/api/sales/1%2f/path", "/api/sales/1/path%20", "/api/sales/1\\path", "/api%5Csales/1/path",
	} {
		if a := c.Do("POST", path); a.Status != 403 || a.Code() != flashgate.CodeCaptchaRequired {
			t.Errorf("POST %s: %d %s", path, a.Status, a.Body)
		}
	}
	for _, path := range []string{"/api/sales/1", "/api/sales/1/paths", "/api/sales/1/path/x", "/other"} {
		if a := c.Do("POST", path); a.Status != 200 {
			t.Errorf("POST %s: %d %s", path, a.Status, a.Body)
		}
	}
	if a := c.Do("POST", "/api/sales/%C3%BC1/path"); a.Header.Get("Link") != `</api/sales/%C3%BC1/captcha>; rel="captcha"` {
		t.Errorf("a refusal says that a challenge is at %q", a.Header.Get("Link"))
	}
	if a := c.Do("GET", "/api/sales/1/path/"); a.Status != 200 {
		t.Errorf("another method: %d %s", a.Status, a.Body)
	}
}

// OAT-009 CAPTCHA Defeat: the answer in the forms in which people type it.
func TestAnswersAreNormalised(t *testing.T) {
	g := gatewaytest.Run(t, site(t, perSale))
	c := g.Login(t, "ann")
	wide := func(s string) string {
		return strings.Map(func(r rune) rune { return r - '0' + '０' }, s)
	}
	for _, form := range []func(string) string{wide, func(s string) string { return " " + s + "\u3000" }} {
		expect(t, c, path1, form(solve(t, c, captcha1)), 200, "")
	}
	answer := solve(t, c, captcha1)
	expect(t, c, path1, "\u2212"+answer, 403, "captcha_wrong")
}

// OAT-009 CAPTCHA Defeat: 50 connections send one right answer at once. One gets through.
func TestRaceOfOneAnswer(t *testing.T) {
	g := gatewaytest.Run(t, site(t, perSale))
	ann := g.Login(t, "ann")
	for range 5 {
		answer := solve(t, ann, captcha1)
		var passed, wrong atomic.Int64
		var wg sync.WaitGroup
		start := make(chan struct{})
		for range 50 {
			c := g.Client(t)
			c.Header = ann.Header
			wg.Go(func() {
				<-start
				switch status, code, err := tryPost(c, path1, answer); {
				case err != nil:
					t.Error(err)
				case status == 200:
					passed.Add(1)
				case code == "captcha_wrong":
					wrong.Add(1)
				default:
					t.Errorf("%d %s", status, code)
				}
			})
		}
		close(start)
		wg.Wait()
		if passed.Load() != 1 || wrong.Load() != 49 {
			t.Errorf("%d passed, %d were told that it is wrong", passed.Load(), wrong.Load())
		}
	}
}

// guess asks for pictures and sends the best blind guess, until it is told to wait.
func guess(t *testing.T, next func() *gatewaytest.Client, most int) (guesses, passed int) {
	t.Helper()
	for range most {
		c := next()
		if a := c.Do("GET", captcha1); a.Status != 200 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		switch status, code := post(t, c, path1, "59"); {
		case status == 200:
			passed++
		case code == "rate_limited":
			return guesses, passed
		case code != "captcha_wrong":
			t.Fatalf("%d %s", status, code)
		}
		guesses++
	}
	return guesses, passed
}

// OAT-009 CAPTCHA Defeat, by guessing: one user soon has to wait, and not his neighbours; an
// address with ever new visitors has to wait too.
func TestGuessingCampaign(t *testing.T) {
	g := gatewaytest.Run(t, site(t, strings.Replace(perSale, "pool off", "pool off\nfailures 10 40 10m", 1)))
	ann, bob := g.Login(t, "ann"), g.Login(t, "bob")
	n, passed := guess(t, func() *gatewaytest.Client { return ann }, 100)
	if failed := n - passed; failed != 10 {
		t.Errorf("ann was wrong %d times before she had to wait, want 10", failed)
	}
	a := ann.Do("POST", path1)
	if a.Code() != flashgate.CodeCaptchaRequired {
		t.Errorf("without an answer: %d %s", a.Status, a.Body)
	}
	// The right answer does not help now, and a new session does not either.
	expect(t, ann, path1, solve(t, ann, captcha1), 429, "rate_limited")
	again := g.Login(t, "ann")
	expect(t, again, path1, solve(t, again, captcha1), 429, "rate_limited")
	expect(t, bob, path1, solve(t, bob, captcha1), 200, "")

	bots := 0
	guesses, lucky := guess(t, func() *gatewaytest.Client { bots++; return g.Client(t) }, 400)
	if failed := guesses - lucky; failed < 28 || failed > 31 {
		t.Errorf("the address was wrong %d times more before it had to wait, want about 30", failed)
	}
	expect(t, bob, path1, solve(t, bob, captcha1), 429, "rate_limited")
	// Another network is not touched.
	cid := g.Login(t, "cid")
	cid.Header.Set("X-Forwarded-For", "192.0.2.7")
	expect(t, cid, path1, solve(t, cid, captcha1), 200, "")
}

// Operators ban and pardon by the names of the counts.
func TestOperatorsBanAndPardon(t *testing.T) {
	g := gatewaytest.Run(t, site(t, strings.Replace(perSale, "pool off", "pool off\nfailures 2 100 10m", 1)))
	ann, bob := g.Login(t, "ann"), g.Login(t, "bob")
	mark := func(client string, ban bool) {
		t.Helper()
		m := flashgate.Mark{Key: app.LimitKey("captcha_failures 2 10m0s", client), Ban: ban, Until: time.Now().Add(time.Hour)}
		if err := app.Live().SetMark(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	mark("key user bob", true)
	expect(t, bob, path1, solve(t, bob, captcha1), 429, "rate_limited")
	for range 2 {
		solve(t, ann, captcha1)
		expect(t, ann, path1, "x", 403, "captcha_wrong")
	}
	solve(t, ann, captcha1)
	expect(t, ann, path1, "x", 429, "rate_limited")
	mark("key user ann", false)
	expect(t, ann, path1, solve(t, ann, captcha1), 200, "")
}

// Answers to challenges that nobody has open teach nothing and cost nothing: after a
// restart nobody is barred for what was lost.
func TestLostChallengesAreNoFailures(t *testing.T) {
	g := gatewaytest.Run(t, site(t, strings.Replace(perSale, "pool off", "pool off\nfailures 3 3 10m", 1)))
	ann := g.Login(t, "ann")
	for range 10 {
		expect(t, ann, path1, "17", 403, "captcha_wrong")
	}
	expect(t, ann, path1, solve(t, ann, captcha1), 200, "")
}

// A wrong answer takes from a limit of access_limit, and a solved captcha lets through where
// a limit says step_up.
func TestPenaltyAndStepUp(t *testing.T) {
	g := gatewaytest.Run(t, site(t, `
	access_limit /buy 10 1h by user {
		name buys
		step_up
	}
	captcha math {
		serve GET /captcha
		verify POST /human
		loadtest_key `+key+`
		pool off
		penalty buys 4
		pass 10m
	}`))
	buys := func(c *gatewaytest.Client, most int) (n int) {
		for range most {
			a := c.Do("GET", "/buy")
			if a.Status != http.StatusOK {
				if a.Code() != flashgate.CodeCaptchaRequired {
					t.Errorf("%d %s", a.Status, a.Body)
				}
				break
			}
			n++
		}
		return n
	}
	ann, bob := g.Login(t, "ann"), g.Login(t, "bob")
	for range 2 { // 8 of 10
		solve(t, ann, "/captcha")
		expect(t, ann, "/human", "0", 403, "captcha_wrong")
	}
	if n := buys(ann, 5); n != 2 {
		t.Errorf("after two wrong answers ann buys %d times, want 2", n)
	}
	for range 3 { // more than is left
		solve(t, bob, "/captcha")
		expect(t, bob, "/human", "0", 403, "captcha_wrong")
	}
	if n := buys(bob, 5); n != 0 {
		t.Errorf("after three wrong answers bob buys %d times, want 0", n)
	}
	expect(t, ann, "/human", solve(t, ann, "/captcha"), 200, "")
	if n := buys(ann, 20); n != 20 {
		t.Errorf("after a captcha ann buys %d times, want 20", n)
	}
	// The pass is hers: another session does not have it, and neither has a cut one.
	thief := g.Login(t, "mallory")
	var pass *http.Cookie
	u := mustURL(t, ann)
	for _, c := range ann.HTTP.Jar.Cookies(u) {
		if c.Name == "captcha_pass_math" {
			pass = c
		}
	}
	if pass == nil {
		t.Fatal("ann has no pass")
	}
	thief.HTTP.Jar.SetCookies(u, []*http.Cookie{pass})
	if n := buys(thief, 20); n != 10 {
		t.Errorf("with ann's pass mallory buys %d times, want 10", n)
	}
	ann.HTTP.Jar.SetCookies(u, []*http.Cookie{{Name: "captcha_pass_math", Value: pass.Value[1:], Path: "/"}})
	if n := buys(ann, 3); n != 0 {
		t.Errorf("with a cut pass ann buys %d times", n)
	}
}

// What is kept of a challenge draws the same picture on any gateway: it is its seed.
func TestTheSeedIsKept(t *testing.T) {
	g := gatewaytest.Run(t, site(t, perSale))
	ann := g.Login(t, "ann")
	served := ann.Do("GET", captcha1)
	value, ok, err := app.Live().OneTime().Take(t.Context(), "captcha/session "+string(ann.Session.Key())+`/"1"`)
	if err != nil || !ok || len(value) < 34 || value[0] != byte(challenge.Image) {
		t.Fatalf("%q, %v, %v", value, ok, err)
	}
	again, err := challenge.NewMath().Image(challenge.Seed(value[1:33]))
	if err != nil || string(again.Body) != served.Body || again.Answer != string(value[33:]) {
		t.Errorf("another gateway draws something else: %v", err)
	}
}

// What the load tester's key shows is shown to nobody else.
func TestAnswersAreForLoadTesters(t *testing.T) {
	g := gatewaytest.Run(t, site(t, perSale))
	c := g.Login(t, "ann")
	for i, header := range []string{"", key + "x", key[1:], strings.ToUpper(key)} {
		a := c.Do("GET", captcha1, "Flashgate-Loadtest", header)
		if a.Header.Get("Captcha-Answer") != "" || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%d: %v", i, a.Header)
		}
	}
	for media, want := range map[string]int{"": 180, "?kind=audio": 999_999} {
		n, err := strconv.Atoi(solve(t, c, captcha1+media))
		if err != nil || n > want {
			t.Errorf("answer %d, %v", n, err)
		}
	}
	if err := g.Load(site(t, fmt.Sprintf("captcha digits {\nserve GET %s\nverify POST %s\nloadtest_key short\n}", captcha1, path1))); err == nil || !strings.Contains(err.Error(), "shorter than 8 bytes") {
		t.Errorf("a short key: %v", err)
	}
}
