package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"flashgate"
	"flashgate/caddymodule/gatewaytest"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"
)

// manyGateways is a captcha whose challenges are everywhere: one Redis, one keyring.
const manyGateways = `
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
	captcha digits {
		serve GET /captcha/{sale}
		verify POST /path/{sale}
		loadtest_key a-load-tester
		failures 5 500 10m
		alternative pow
		bits 6 8
		pool off
	}
	respond "origin"
}
`

// visitor is somebody with one cookie, at any gateway.
type visitor struct{ cookie string }

func (v *visitor) do(t *testing.T, g *gatewaytest.Gateway, method, path, body string) (status int, code string, header http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, g.URL+path, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0, "", nil
	}
	req.Header.Set("Flashgate-Loadtest", "a-load-tester")
	req.Header.Set("Cookie", v.cookie)
	req.Close = true // a POST on a connection that a reload has just closed would not be repeated
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return 0, "", nil
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	var doc struct{ Code string }
	_ = json.Unmarshal(text, &doc) // pictures are none
	for _, c := range res.Cookies() {
		v.cookie = c.Name + "=" + c.Value
	}
	return res.StatusCode, doc.Code, res.Header
}

func (v *visitor) fetch(t *testing.T, g *gatewaytest.Gateway) string {
	t.Helper()
	status, code, header := v.do(t, g, "GET", "/captcha/1", "")
	if status != http.StatusOK || header.Get("Captcha-Answer") == "" {
		t.Fatalf("a captcha: %d %s", status, code)
	}
	return header.Get("Captcha-Answer")
}

func (v *visitor) answer(t *testing.T, g *gatewaytest.Gateway, answer string) string {
	t.Helper()
	status, code, _ := v.do(t, g, "POST", "/path/1", fmt.Sprintf(`{"captcha":%q}`, answer))
	if code == "" {
		return fmt.Sprint(status)
	}
	return code
}

// OAT-009 CAPTCHA Defeat, on several gateways: one answer counts once on all of them, also
// after a restart, and failures at one count at the other.
func TestCaptchaOnSeveralGateways(t *testing.T) {
	r := serverstest.OwnRedis(t, servers.RedisConfig{})
	t.Setenv("FLASHGATE_TEST_REDIS", r.URL())
	t.Setenv("FLASHGATE_TEST_KEYS", flashgate.NewKey())
	a := gatewaytest.Run(t, manyGateways)
	b := secondOf(t, manyGateways)

	ann := &visitor{}
	answer := ann.fetch(t, a)
	if got := ann.answer(t, b, answer); got != "200" {
		t.Errorf("fetched at one, answered at the other: %s", got)
	}
	for _, g := range []*gatewaytest.Gateway{a, b} {
		if got := ann.answer(t, g, answer); got != "captcha_wrong" {
			t.Errorf("again: %s", got)
		}
	}

	// A proof of work as well.
	_, _, header := ann.do(t, a, "GET", "/captcha/1?kind=pow", "")
	proof := header.Get("Captcha-Answer")
	for i, want := range []string{"200", "captcha_wrong", "captcha_wrong"} {
		if got := ann.answer(t, []*gatewaytest.Gateway{b, a, b}[i], proof); got != want {
			t.Errorf("a proof, the %d. time: %s, want %s", i+1, got, want)
		}
	}

	// 50 connections, half of them at each.
	answer = ann.fetch(t, b)
	var mu sync.Mutex
	counts := map[string]int{}
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range 50 {
		racer := *ann
		wg.Go(func() {
			<-start
			got := racer.answer(t, []*gatewaytest.Gateway{a, b}[i%2], answer)
			mu.Lock()
			defer mu.Unlock()
			counts[got]++
		})
	}
	close(start)
	wg.Wait()
	if counts["200"] != 1 || counts["captcha_wrong"] != 49 {
		t.Errorf("a race over two gateways: %v", counts)
	}

	// A gateway restarts: what is open stays open, what is burnt stays burnt.
	answer = ann.fetch(t, a)
	if err := a.Load(manyGateways); err != nil {
		t.Fatal(err)
	}
	c := secondOf(t, manyGateways)
	if got := ann.answer(t, c, answer); got != "200" {
		t.Errorf("after a restart: %s", got)
	}
	if got := ann.answer(t, a, answer); got != "captcha_wrong" {
		t.Errorf("again after a restart: %s", got)
	}

	// Five wrong answers, spread; the sixth is refused wherever it comes.
	for i := range 5 {
		g := []*gatewaytest.Gateway{a, b, c}[i%3]
		ann.fetch(t, g)
		if got := ann.answer(t, g, "x"); got != "captcha_wrong" {
			t.Errorf("wrong answer %d: %s", i+1, got)
		}
	}
	for _, g := range []*gatewaytest.Gateway{a, b, c} {
		ann.fetch(t, g)
		if got := ann.answer(t, g, "x"); got != "rate_limited" {
			t.Errorf("one more wrong answer: %s", got)
		}
	}
}

// In memory an open captcha ends with the process.
func TestCaptchaAfterARestartInMemory(t *testing.T) {
	t.Setenv("FLASHGATE_TEST_KEYS", flashgate.NewKey())
	text := strings.Replace(manyGateways, "state redis {env.FLASHGATE_TEST_REDIS}", "", 1)
	ann := &visitor{}
	answer := ann.fetch(t, secondOf(t, text))
	again := secondOf(t, text)
	if got := ann.answer(t, again, answer); got != "captcha_wrong" {
		t.Errorf("after a restart: %s", got)
	}
	if got := ann.answer(t, again, ann.fetch(t, again)); got != "200" {
		t.Errorf("a new one: %s", got)
	}
}
