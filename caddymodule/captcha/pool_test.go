package captcha_test

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"flashgate"
	"flashgate/caddymodule/gatewaytest"
)

// figure reads one series of the metrics; 0 when it is not there.
func figure(t testing.TB, c *gatewaytest.Client, series string) float64 {
	t.Helper()
	for line := range strings.Lines(c.Do("GET", "/metrics").Body) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	return 0
}

const withMetrics = "route /metrics {\nmetrics\n}\n"

// until waits for something that takes its time.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(20 * time.Second); !ok(); {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("in vain: " + what)
		}
	}
}

// The opening second draws nothing: the pool does it, and a reload keeps it.
func TestPoolServesTheRush(t *testing.T) {
	text := site(t, withMetrics+`captcha math {
	serve GET /captcha
	verify POST /x
	pool 1MiB 100%
}`)
	g := gatewaytest.Run(t, text)
	c := g.Client(t)
	const drawn, pooled = `flashgate_captcha_drawn_total{ahead="false",media="image"}`, `flashgate_captcha_pool_challenges{media="image"}`
	until(t, "the pool fills", func() bool { return figure(t, c, pooled) >= 80 })
	if n := figure(t, c, "flashgate_captcha_pool_bytes"); n > 1<<20 {
		t.Errorf("the pool has %v bytes, more than 1 MiB", n)
	}
	before := figure(t, c, drawn)
	for range 60 {
		if a := c.Do("GET", "/captcha"); a.Status != 200 || a.Header.Get("Content-Type") != "image/png" {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
	}
	if n := figure(t, c, drawn) - before; n != 0 {
		t.Errorf("%v pictures were drawn while visitors waited", n)
	}
	until(t, "the pool fills again", func() bool { return figure(t, c, pooled) >= 80 })
	full, ahead := figure(t, c, pooled), figure(t, c, `flashgate_captcha_drawn_total{ahead="true",media="image"}`)
	for range 2 {
		if err := g.Load(text); err != nil {
			t.Fatal(err)
		}
		if g.Load(text+"\nhttp://127.0.0.1:1 {\nflashgate_nonsense\n}\n") == nil {
			t.Fatal("nonsense was loaded")
		}
	}
	if n := figure(t, c, pooled); n < full {
		t.Errorf("after reloads the pool has %v pictures, before %v", n, full)
	}
	if n := figure(t, c, `flashgate_captcha_drawn_total{ahead="true",media="image"}`) - ahead; n > 40 {
		t.Errorf("reloads drew %v pictures", n)
	}
	if err := g.Load(site(t, withMetrics)); err != nil {
		t.Fatal(err)
	}
	until(t, "the pool goes with its configuration", func() bool { return figure(t, c, pooled) == 0 })
}

// OAT-015 Denial of Service: 5,000 ask for pictures at once. Few are drawn, the others are
// told to come back, and the site goes on answering.
func TestFloodOfTheCaptcha(t *testing.T) {
	g := gatewaytest.Run(t, site(t, `captcha slow {
	serve GET /captcha
	verify POST /x
	pool off
	max_drawing 1
}`))
	const flood, connections = 5000, 250
	clients := make([]*gatewaytest.Client, connections)
	for i := range clients {
		clients[i] = g.Client(t)
		clients[i].HTTP.Transport.(*http.Transport).DisableKeepAlives = false
		defer clients[i].HTTP.CloseIdleConnections()
	}
	drawnBefore := slowDrawn.Load()
	slowMost.Store(0)
	var served, refused atomic.Int64
	var wg sync.WaitGroup
	began := time.Now()
	for i := range flood {
		wg.Go(func() {
			a, err := clients[i%connections].Try(t.Context(), "GET", "/captcha")
			switch {
			case err != nil:
				t.Error(err)
			case a.Status == 200:
				served.Add(1)
			case a.Status == 503 && a.Code() == flashgate.CodeUnavailable && a.Header.Get("Retry-After") != "" && a.Header.Get("Content-Type") == "application/problem+json":
				refused.Add(1)
			default:
				t.Errorf("%d %v %s", a.Status, a.Header, a.Body)
			}
		})
	}
	// Somebody else's page, meanwhile.
	visitor := g.Client(t)
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	var pages []time.Duration
	for open := true; open; {
		asked := time.Now()
		a, err := visitor.Try(t.Context(), "GET", "/page")
		if err != nil || a.Status != 200 {
			t.Fatalf("a page during the flood: %d, %v", a.Status, err)
		}
		pages = append(pages, time.Since(asked))
		select {
		case <-done:
			open = false
		default:
		}
	}
	took := time.Since(began)
	slices.Sort(pages)
	median, slowest := pages[len(pages)/2], pages[len(pages)-1]
	t.Logf("%d served, %d refused in %v; %d pages meanwhile, half of them within %v, the slowest in %v", served.Load(), refused.Load(),
		took.Round(time.Millisecond), len(pages), median.Round(time.Microsecond), slowest.Round(time.Millisecond))
	if n := slowMost.Load(); n != 1 {
		t.Errorf("%d were drawn at once, want max_drawing: 1", n)
	}
	// One after the other, and at the end as many as may wait.
	if n, most := slowDrawn.Load()-drawnBefore, int64(took/slowDrawing)+66; n > most || n < served.Load() {
		t.Errorf("%d were drawn in %v, want at most %d, and %d were served", n, took, most, served.Load())
	}
	if served.Load()+refused.Load() != flood || refused.Load() < flood*3/4 {
		t.Errorf("%d served and %d refused of %d", served.Load(), refused.Load(), flood)
	}
	if median > time.Second || slowest > 8*time.Second {
		t.Errorf("half of the pages took %v and more during the flood, the slowest %v", median, slowest)
	}
}

// While as many wait as may, others are told at once to come back.
func TestRefusalsAreQuick(t *testing.T) {
	g := gatewaytest.Run(t, site(t, `captcha slow {
	serve GET /captcha
	verify POST /x
	pool off
	max_drawing 1
}`))
	gate := make(chan struct{})
	slowGate.Store(&gate)
	defer slowGate.Store(nil)
	var wg sync.WaitGroup
	full := make(chan struct{}, 70)
	for range 70 { // one is drawn, 64 wait: who comes then is the first to be refused
		c := g.Client(t)
		wg.Go(func() {
			a, err := c.Try(t.Context(), "GET", "/captcha")
			if err != nil {
				t.Error(err)
			}
			if a.Status == 503 {
				full <- struct{}{}
			}
		})
	}
	for range 5 {
		<-full
	}
	c := g.Client(t)
	var took []time.Duration
	for range 21 {
		began := time.Now()
		if a := c.Do("GET", "/captcha"); a.Status != 503 {
			t.Errorf("%d", a.Status)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	t.Logf("half of the refusals within %v", took[len(took)/2])
	if median := took[len(took)/2]; median > 500*time.Millisecond {
		t.Errorf("half of the refusals take %v and more", median)
	}
	close(gate)
	wg.Wait()
}

// Validating a configuration draws nothing.
func TestValidateDrawsNothing(t *testing.T) {
	g := gatewaytest.Run(t, site(t, withMetrics))
	c := g.Client(t)
	before := figure(t, c, `flashgate_captcha_drawn_total{ahead="true",media="image"}`)
	if err := g.Validate(site(t, fmt.Sprintf("captcha digits {\nserve GET /c%d\nverify POST /x\n}", time.Now().UnixNano()))); err != nil {
		t.Fatal(err)
	}
	if n := figure(t, c, `flashgate_captcha_drawn_total{ahead="true",media="image"}`); n != before {
		t.Errorf("validating drew %v pictures", n-before)
	}
}
