package main_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"flashgate/internal/servers/serverstest"

	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browserPath finds the browser that deploy/test-tools.sh sees to.
func browserPath(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("there is no Chromium: run deploy/test-tools.sh")
	return ""
}

// newBrowser starts a browser with an empty profile.
func newBrowser(t testing.TB) context.Context {
	t.Helper()
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(browserPath(t)), chromedp.UserDataDir(serverstest.BrowserProfile(t)), chromedp.NoSandbox,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.WindowSize(1000, 900))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	return ctx
}

// tellCaptchas makes the browser send the load tester's key with captcha requests,
// and notes the answers that come back. Nothing else about the requests changes.
func tellCaptchas(answers chan<- string) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		chromedp.ListenTarget(ctx, func(ev any) {
			switch ev := ev.(type) {
			case *fetch.EventRequestPaused:
				go func() {
					headers := []*fetch.HeaderEntry{{Name: "Flashgate-Loadtest", Value: loadtestKey}}
					for name, value := range ev.Request.Headers {
						if s, ok := value.(string); ok {
							headers = append(headers, &fetch.HeaderEntry{Name: name, Value: s})
						}
					}
					_ = chromedp.Run(ctx, fetch.ContinueRequest(ev.RequestID).WithHeaders(headers))
				}()
			case *network.EventResponseReceived:
				for name, value := range ev.Response.Headers {
					if s, ok := value.(string); ok && strings.EqualFold(name, "Captcha-Answer") {
						answers <- s
					}
				}
			}
		})
		return fetch.Enable().WithPatterns([]*fetch.RequestPattern{{URLPattern: "*/captcha*"}}).Do(ctx)
	})
}

// complaints collects what the pages' scripts throw and print as errors.
func complaints(ctx context.Context, into chan<- string) {
	chromedp.ListenTarget(ctx, func(ev any) {
		switch ev := ev.(type) {
		case *runtime.EventExceptionThrown:
			into <- ev.ExceptionDetails.Error()
		case *runtime.EventConsoleAPICalled:
			if ev.Type == runtime.APITypeError {
				into <- string(ev.Args[0].Value)
			}
		}
	})
}

// A visitor logs in, solves the captcha, buys, sees the order placed without
// reloading the page, and pays.
func TestPurchaseInABrowser(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	ctx := newBrowser(t)
	answers, errs := make(chan string, 16), make(chan string, 64)
	complaints(ctx, errs)

	run := func(what string, actions ...chromedp.Action) {
		t.Helper()
		if err := chromedp.Run(ctx, actions...); err != nil {
			var html, url string
			_ = chromedp.Run(ctx, chromedp.Location(&url), chromedp.Text("body", &html, chromedp.ByQuery))
			var shot []byte
			if dir := os.Getenv("FLASHGATE_SCREENSHOTS"); dir != "" && chromedp.Run(ctx, chromedp.FullScreenshot(&shot, 90)) == nil {
				_ = os.WriteFile(dir+"/failed.png", shot, 0o600)
			}
			t.Fatalf("%s: %v\nat %s:\n%s", what, err, url, html)
		}
	}
	run("log in",
		network.Enable(), tellCaptchas(answers),
		chromedp.Navigate(d.url+"/login"),
		chromedp.WaitVisible("#login-form"),
		chromedp.SendKeys(`#login-form [name="mobile"]`, "13800000000"),
		chromedp.SendKeys(`#login-form [name="password"]`, d.password),
		chromedp.Click(`#login-form [type="submit"]`),
		chromedp.WaitNotPresent("#login-form"))
	run("press the button",
		chromedp.Navigate(d.url+"/goods/1"),
		chromedp.WaitEnabled("#buy-button"),
		chromedp.Click("#buy-button"),
		chromedp.WaitVisible("#captcha-image"))
	var answer string
	select {
	case answer = <-answers:
	case <-time.After(20 * time.Second):
		t.Fatal("no captcha was fetched")
	}
	run("solve the captcha and buy",
		chromedp.SendKeys("#captcha-answer", answer),
		chromedp.Click("#buy-submit"))
	run("see the order placed", chromedp.WaitVisible(`#order-status[data-status="pending"]`))
	run("pay", chromedp.WaitEnabled("#pay-button"), chromedp.Click("#pay-button"),
		chromedp.WaitVisible(`#order-status[data-status="paid"]`))
	var status int
	run("be remembered",
		chromedp.Navigate(d.url+"/orders"),
		chromedp.WaitVisible(`a[href^="/orders/1."]`),
		chromedp.Evaluate(`fetch("/api/me").then(r => r.status)`, &status, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
	if status != 200 {
		t.Errorf("GET /api/me in the browser: %d", status)
	}
	b := read(t, d.data, "1")
	b.quiet(t)
	if b.Orders != 1 {
		t.Errorf("%d orders", b.Orders)
	}
	for {
		select {
		case e := <-errs:
			t.Errorf("a page complained: %s", e)
			continue
		default:
		}
		break
	}
}
