package captcha_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flashgate/caddymodule/gatewaytest"
	"flashgate/internal/servers/serverstest"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

var screenshots = flag.Bool("screenshots", false, "write docs/screenshots/captcha-*.png")

// axeVersion of axe-core, which looks for what keeps people out (WCAG 2.2).
const axeVersion = "4.14.1"

// axeSource is axe-core's script, fetched once by npm.
func axeSource(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "flashgate-tests", "axe-core-"+axeVersion)
	file := filepath.Join(dir, "node_modules", "axe-core", "axe.min.js")
	if text, err := os.ReadFile(file); err == nil {
		return string(text)
	}
	cmd := exec.CommandContext(t.Context(), "npm", "install", "--prefix", dir, "--no-audit", "--no-fund", "--ignore-scripts", "axe-core@"+axeVersion)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("npm (deploy/test-tools.sh installs it): %v\n%s", err, out)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// browser is a tab at a site, with the answers that the site tells to load testers.
type browser struct {
	t       *testing.T
	ctx     context.Context
	url     string
	answers chan string
	errs    chan string
}

func newBrowser(t *testing.T, url string) *browser {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Fatal("there is no Chromium: run deploy/test-tools.sh")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(serverstest.BrowserProfile(t)), chromedp.NoSandbox, chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("autoplay-policy", "no-user-gesture-required"), chromedp.WindowSize(600, 900))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, time.Minute)
	t.Cleanup(cancel)
	ctx, _ = chromedp.NewContext(ctx)
	t.Cleanup(func() { _ = chromedp.Cancel(ctx) }) // and waits: it writes into its folder to the end
	b := &browser{t: t, ctx: ctx, url: url, answers: make(chan string, 64), errs: make(chan string, 64)}
	chromedp.ListenTarget(ctx, func(ev any) {
		switch ev := ev.(type) {
		case *network.EventResponseReceived:
			for name, value := range ev.Response.Headers {
				if s, ok := value.(string); ok && strings.EqualFold(name, "Captcha-Answer") {
					b.answers <- s
				}
			}
		case *runtime.EventExceptionThrown:
			b.errs <- ev.ExceptionDetails.Error()
		}
	})
	b.run("start", network.Enable(), network.SetExtraHTTPHeaders(network.Headers{"Flashgate-Loadtest": key}))
	return b
}

func (b *browser) run(what string, actions ...chromedp.Action) {
	b.t.Helper()
	if err := chromedp.Run(b.ctx, actions...); err != nil {
		var text, at string
		ctx, cancel := context.WithTimeout(context.WithoutCancel(b.ctx), 2*time.Second)
		defer cancel()
		_ = chromedp.Run(ctx, chromedp.Location(&at), chromedp.Text("body", &text, chromedp.ByQuery))
		b.t.Fatalf("%s: %v\nat %s:\n%s", what, err, at, text)
	}
}

func (b *browser) answer() string {
	b.t.Helper()
	select {
	case a := <-b.answers:
		return a
	case <-time.After(20 * time.Second):
		b.t.Fatal("no challenge was fetched")
		return ""
	}
}

// passed waits for the origin's page.
func (b *browser) passed() {
	b.t.Helper()
	var text string
	until(b.t, "be let through", func() bool {
		// While the tab goes from page to page there is nothing to ask.
		err := chromedp.Run(b.ctx, chromedp.Evaluate(`document.body ? document.body.innerText : ""`, &text))
		return err == nil && strings.HasPrefix(text, "origin ")
	})
	if !strings.HasPrefix(text, "origin GET /signup?plan=big") {
		b.t.Errorf("the page after it: %s", text)
	}
	for {
		select {
		case e := <-b.errs:
			b.t.Errorf("the page complained: %s", e)
		default:
			return
		}
	}
}

// axe lets axe-core judge the page, and wants nothing serious.
func (b *browser) axe(when string) {
	b.t.Helper()
	var found []struct {
		ID, Impact, Help string
		Nodes            []struct{ HTML string }
	}
	b.run("axe "+when, chromedp.Evaluate(axeSource(b.t)+";0", nil),
		chromedp.Evaluate(`axe.run().then(r => r.violations)`, &found, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
	for _, v := range found {
		line := fmt.Sprintf("%s: axe: %s (%s): %s %v", when, v.ID, v.Impact, v.Help, v.Nodes)
		if v.Impact == "serious" || v.Impact == "critical" {
			b.t.Error(line)
		} else {
			b.t.Log(line)
		}
	}
}

// shot writes what the page looks like, when it is asked for.
func (b *browser) shot(name string) {
	b.t.Helper()
	if !*screenshots {
		return
	}
	var png []byte
	b.run("screenshot", chromedp.FullScreenshot(&png, 100))
	file := filepath.Join("..", "..", "docs", "screenshots", "captcha-"+name+".png")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(file, png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

const signupPage = "/signup?plan=big"

func runSignup(t *testing.T) *gatewaytest.Gateway {
	t.Helper()
	return gatewaytest.Run(t, site(t, strings.Replace(signup, "bits 8 10", "bits 14 16", 1)))
}

// Without JavaScript and with the keyboard alone: the picture.
func TestBrowserKeyboardAndNoScript(t *testing.T) {
	b := newBrowser(t, runSignup(t).URL)
	b.run("open the page", emulation.SetScriptExecutionDisabled(true), chromedp.Navigate(b.url+signupPage), chromedp.WaitReady("#picture"))
	b.answer()
	b.shot("no-script")
	b.run("a wrong answer", chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent("0"), chromedp.KeyEvent(kb.Enter), chromedp.WaitReady("#wrong"))
	b.run("the right answer", chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(b.answer()), chromedp.KeyEvent(kb.Enter))
	b.run("scripts again", chromedp.WaitNotPresent("#answer"), emulation.SetScriptExecutionDisabled(false))
	b.passed()
}

// By listening: the sound loads when it is played, and its digits count.
func TestBrowserAudio(t *testing.T) {
	b := newBrowser(t, runSignup(t).URL)
	b.run("open the page", chromedp.Navigate(b.url+signupPage), chromedp.WaitReady("#picture"))
	b.answer()
	var seconds float64
	b.run("play the sound", chromedp.Focus("#sound"), chromedp.KeyEvent(" "), chromedp.Poll(`document.getElementById("sound").currentTime > 0.2`, nil),
		chromedp.Evaluate(`document.getElementById("sound").duration`, &seconds))
	if seconds < 5 {
		t.Errorf("the sound takes %v s", seconds)
	}
	answer := b.answer()
	for more := true; more; { // a player may ask again: what came last counts
		select {
		case answer = <-b.answers:
		default:
			more = false
		}
	}
	b.run("type what was heard", chromedp.SendKeys("#answer", answer+kb.Enter))
	b.passed()
}

// Without seeing or hearing: the computer works.
func TestBrowserProofOfWork(t *testing.T) {
	b := newBrowser(t, runSignup(t).URL)
	b.run("open the page", chromedp.Navigate(b.url+signupPage), chromedp.WaitVisible("#prove"), chromedp.Focus("#prove"), chromedp.KeyEvent(kb.Enter))
	b.passed()
}

// What axe-core finds, on white and on dark pages, before and after a wrong answer.
func TestBrowserAccessibility(t *testing.T) {
	b := newBrowser(t, runSignup(t).URL)
	for _, scheme := range []string{"light", "dark"} {
		b.run("open the page", emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
			chromedp.Navigate(b.url+signupPage), chromedp.WaitVisible("#prove"), chromedp.WaitReady("#picture"))
		b.axe(scheme)
		b.shot(scheme)
		var ground string
		b.run("look", chromedp.Evaluate(`getComputedStyle(document.body).backgroundColor`, &ground))
		if dark := strings.Contains(ground, "20, 22, 26"); dark != (scheme == "dark") {
			t.Errorf("%s: the ground is %s", scheme, ground)
		}
		b.run("a wrong answer", chromedp.SendKeys("#answer", "0"+kb.Enter), chromedp.WaitVisible("#wrong"), chromedp.WaitVisible("#prove"))
		b.axe(scheme + ", after a wrong answer")
	}
	b.shot("wrong")
}
