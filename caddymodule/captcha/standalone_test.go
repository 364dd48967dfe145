package captcha_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"flashgate"
	"flashgate/caddymodule/gatewaytest"
)

const signup = `captcha /signup* {
	loadtest_key ` + key + `
	alternative pow
	bits 8 10
	pool off
}`

const html = "text/html,application/xhtml+xml,*/*;q=0.8"

// form posts the page's form, as a browser without JavaScript does.
func form(t *testing.T, c *gatewaytest.Client, path, answer string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", c.URL()+path, strings.NewReader(url.Values{"captcha": {answer}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = c.Header.Clone()
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", html)
	res, err := c.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res
}

func TestPage(t *testing.T) {
	g := gatewaytest.Run(t, site(t, signup))
	c := g.Client(t)
	if a := c.Do("GET", "/other"); a.Status != 200 {
		t.Errorf("what is not guarded: %d", a.Status)
	}
	a := c.Do("GET", "/signup?plan=big&x=%22%3Cb%3E", "Accept", html)
	if a.Status != 403 || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") || a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Vary") != "Accept" {
		t.Fatalf("the page: %d %v", a.Status, a.Header)
	}
	if csp := a.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("the page's policy: %q", csp)
	}
	if strings.Contains(a.Body, "<b>") || regexp.MustCompile(`(src|href|action)="(https?:|//)`).MatchString(a.Body) {
		t.Errorf("the page has what is not its own:\n%s", a.Body)
	}
	image := regexp.MustCompile(`src="([^"]*image[^"]*)"`).FindStringSubmatch(a.Body)
	if image == nil {
		t.Fatalf("no picture:\n%s", a.Body)
	}
	action := regexp.MustCompile(`action="([^"]*)"`).FindStringSubmatch(a.Body)[1]
	answer := solve(t, c, strings.ReplaceAll(image[1], "&amp;", "&"))
	res := form(t, c, strings.ReplaceAll(action, "&amp;", "&"), answer)
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/signup?plan=big&x=%22%3Cb%3E" {
		t.Fatalf("solved: %d %v", res.StatusCode, res.Header)
	}
	if a := c.Do("GET", res.Header.Get("Location"), "Accept", html); a.Status != 200 || !strings.HasPrefix(a.Body, "origin GET /signup?plan=big") {
		t.Errorf("after it: %d %s", a.Status, a.Body)
	}
	if a := c.Do("POST", "/signup/now"); a.Status != 200 {
		t.Errorf("a form after it: %d %s", a.Status, a.Body)
	}

	// Wrong: the page again, with a word about it, and nothing is let through.
	other := g.Client(t)
	solve(t, other, "/signup?flashgate-captcha=image")
	if res := form(t, other, "/signup?flashgate-captcha=answer", "0"); res.StatusCode != 403 || res.Header.Get("Location") != "" {
		t.Errorf("a wrong answer: %d %v", res.StatusCode, res.Header)
	}
	if a := other.Do("GET", "/signup", "Accept", html); a.Status != 403 {
		t.Errorf("after a wrong answer: %d", a.Status)
	}
	if a := other.Do("HEAD", "/signup", "Accept", html); a.Status != 403 || a.Body != "" {
		t.Errorf("HEAD: %d %q", a.Status, a.Body)
	}
}

// A program is told where everything is, and needs no page.
func TestProblemSaysWhere(t *testing.T) {
	g := gatewaytest.Run(t, site(t, signup))
	c := g.Client(t)
	a := c.Do("POST", "/signup", "Accept", "application/json")
	if a.Status != 403 || a.Code() != flashgate.CodeCaptchaRequired || a.Header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("%d %v %s", a.Status, a.Header, a.Body)
	}
	for _, where := range []string{`"image":"/signup?flashgate-captcha=image"`, `"audio":"/signup?flashgate-captcha=audio"`, `"pow":"/signup?flashgate-captcha=pow"`, `"answer":"/signup?flashgate-captcha=answer"`} {
		if !strings.Contains(a.Body, where) {
			t.Errorf("%s is not in %s", where, a.Body)
		}
	}
	if links := a.Header.Values("Link"); len(links) != 4 || links[0] != `</signup?flashgate-captcha=image>; rel="captcha"; title="image"` {
		t.Errorf("Link: %q", links)
	}
	expect(t, c, "/signup?flashgate-captcha=answer", "", 403, "captcha_required")
	expect(t, c, "/signup?flashgate-captcha=answer", solve(t, c, "/signup?flashgate-captcha=audio"), 204, "")
	if a := c.Do("POST", "/signup"); a.Status != 200 {
		t.Errorf("with a pass: %d %s", a.Status, a.Body)
	}
	robot := g.Client(t)
	expect(t, robot, "/signup?flashgate-captcha=answer", prove(t, robot, "/signup?flashgate-captcha=pow"), 204, "")
	if a := robot.Do("GET", "/signup"); a.Status != 200 {
		t.Errorf("with a proof: %d %s", a.Status, a.Body)
	}
}

// OAT-009 CAPTCHA Defeat: a pass is bound to the session, or to the network.
func TestPassIsNotForEverybody(t *testing.T) {
	g := gatewaytest.Run(t, site(t, signup))
	c := g.Client(t)
	c.Header.Set("X-Forwarded-For", "192.0.2.1")
	expect(t, c, "/signup?flashgate-captcha=answer", solve(t, c, "/signup?flashgate-captcha=image"), 204, "")
	for address, want := range map[string]int{"192.0.2.1": 200, "192.0.2.200": 200, "192.0.3.1": 403, "2001:db8::1": 403} {
		if a := c.Do("GET", "/signup", "X-Forwarded-For", address); a.Status != want {
			t.Errorf("from %s: %d, want %d", address, a.Status, want)
		}
	}
	ann, bob := g.Login(t, "ann"), g.Login(t, "bob")
	expect(t, ann, "/signup?flashgate-captcha=answer", solve(t, ann, "/signup?flashgate-captcha=image"), 204, "")
	u := mustURL(t, ann)
	bob.HTTP.Jar.SetCookies(u, ann.HTTP.Jar.Cookies(u))
	if a := bob.Do("GET", "/signup"); a.Status != 403 {
		t.Errorf("with ann's pass: %d", a.Status)
	}
	if a := ann.Do("GET", "/signup", "X-Forwarded-For", "203.0.113.9"); a.Status != 200 {
		t.Errorf("ann, from elsewhere: %d", a.Status)
	}
	// It is over in time: a pass of another directive's kind does not count either.
	if err := g.Load(site(t, strings.Replace(signup, "captcha /signup*", "captcha /signup* digits", 1))); err != nil {
		t.Fatal(err)
	}
	if a := ann.Do("GET", "/signup"); a.Status != 403 {
		t.Errorf("with the pass of another kind: %d", a.Status)
	}
}

// A pass from the page is what access_limit asks for where a limit says step_up.
func TestPageStepsUp(t *testing.T) {
	g := gatewaytest.Run(t, site(t, `
	access_limit /checkout 3 1h by user {
		name checkouts
		step_up
	}
	captcha /human {
		penalty checkouts 2
		loadtest_key `+key+`
		pool off
	}`))
	ann := g.Login(t, "ann")
	solve(t, ann, "/human?flashgate-captcha=image")
	expect(t, ann, "/human?flashgate-captcha=answer", "0", 403, "captcha_wrong")
	for i, want := range []int{200, 403, 403} {
		if a := ann.Do("GET", "/checkout"); a.Status != want {
			t.Errorf("checkout %d: %d %s", i, a.Status, a.Body)
		}
	}
	expect(t, ann, "/human?flashgate-captcha=answer", solve(t, ann, "/human?flashgate-captcha=image"), 204, "")
	for range 5 {
		if a := ann.Do("GET", "/checkout"); a.Status != 200 {
			t.Errorf("after a captcha: %d %s", a.Status, a.Body)
		}
	}
}

// With errors caddy the site's own page says it, and the headers say where.
func TestPageByHandleErrors(t *testing.T) {
	g := gatewaytest.Run(t, site(t, "captcha /signup {\npool off\nerrors caddy\n}\nhandle_errors {\nrespond \"own {err.status_code}\"\n}"))
	a := g.Client(t).Do("GET", "/signup", "Accept", html)
	if a.Status != 403 || a.Body != "own 403" || len(a.Header.Values("Link")) != 3 {
		t.Errorf("%d %v %s", a.Status, a.Header, a.Body)
	}
}

// Behind a stripped prefix the page names the addresses that the visitor sees.
func TestPageBehindAPrefix(t *testing.T) {
	g := gatewaytest.Run(t, site(t, "handle_path /shop/* {\ncaptcha {\nloadtest_key "+key+"\npool off\n}\nrespond inside\n}"))
	c := g.Client(t)
	if a := c.Do("GET", "/shop/signup", "Accept", html); !strings.Contains(a.Body, `src="/shop/signup?flashgate-captcha=image"`) {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	expect(t, c, "/shop/signup?flashgate-captcha=answer", solve(t, c, "/shop/signup?flashgate-captcha=image"), 204, "")
	if a := c.Do("GET", "/shop/signup"); a.Body != "inside" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

// The way back stays on the site, whatever the path looks like.
func TestNoOpenRedirect(t *testing.T) {
	g := gatewaytest.Run(t, site(t, "captcha {\nloadtest_key "+key+"\npool off\n}"))
	for _, path := range []string{"//evil.example/x", `/\evil.example`, "/%2f/evil.example", "///evil.example"} {
		c := g.Client(t)
		answer := solve(t, c, "/?flashgate-captcha=image")
		a := c.Do("POST", path+"?flashgate-captcha=answer", "Accept", html)
		if a.Status != 403 {
			t.Fatalf("%s without an answer: %d", path, a.Status)
		}
		req, err := http.NewRequestWithContext(t.Context(), "POST", c.URL(), strings.NewReader("captcha="+answer))
		if err != nil {
			t.Fatal(err)
		}
		req.URL.Opaque, req.URL.RawQuery = "//"+req.URL.Host+path, "flashgate-captcha=answer"
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Accept", html)
		res, err := c.HTTP.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		to, err := mustURL(t, c).Parse(res.Header.Get("Location"))
		if err != nil || res.StatusCode != http.StatusSeeOther || to.Host != mustURL(t, c).Host {
			t.Errorf("%s leads to %d %q, %v", path, res.StatusCode, res.Header.Get("Location"), err)
		}
	}
}
