package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"flashgate"
	"flashgate/deploy/contract"
)

// load sends a configuration to the admin API and returns the answer's status and
// body.
func (d *demo) load(t testing.TB, config []byte) (int, string) {
	t.Helper()
	res, err := http.Post(d.admin+"/load", "application/json", bytes.NewReader(config))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// config is what runs now.
func (d *demo) config(t testing.TB) map[string]any {
	t.Helper()
	res, err := http.Get(d.admin + "/config/")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var cfg map[string]any
	if err := json.NewDecoder(res.Body).Decode(&cfg); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// withServer adds a server to a configuration.
func withServer(t testing.TB, cfg map[string]any, server string) []byte {
	t.Helper()
	var s any
	if err := json.Unmarshal([]byte(server), &s); err != nil {
		t.Fatal(err)
	}
	cfg["apps"].(map[string]any)["http"].(map[string]any)["servers"].(map[string]any)["planted"] = s
	out, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// accepted is the gateway's own count of 202s.
func (d *demo) accepted(t testing.TB) int {
	t.Helper()
	res, err := http.Get(d.admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^flashgate_decisions_total\{directive="stock_gate",result="accepted"\} ([0-9e+.]+)$`).FindSubmatch(body)
	if m == nil {
		t.Fatalf("no count of accepted purchases in the metrics:\n%s", grep(string(body), "flashgate"))
	}
	n, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return int(n)
}

func grep(text, what string) string {
	var out []string
	for _, line := range strings.Split(text, "\n") {
		if strings.Contains(line, what) {
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}

// answered repeats a request that got no answer: while Caddy replaces its listener,
// Linux resets the connections that wait in the old one's queue. No answer is unclear;
// a repeat with the same path is what every client does then.
func answered(cut *atomic.Int64, do func() (contract.Answer, error)) (a contract.Answer, err error) {
	for range 4 {
		if a, err = do(); err == nil {
			return a, nil
		}
		cut.Add(1)
	}
	return a, err
}

// A reload, and two kinds of failed reload, in the middle of a sale: no error, no
// reservation lost, no limit reset, and the metrics go on.
func TestReloadInTheMiddleOfASale(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	const buyers = 60
	crowd := d.crowd(t, buyers)
	minted := make([]flashgate.OrderID, buyers)

	// A visitor whose limit is used up.
	limited := d.crowd(t, 1)[0]
	for range 5 {
		if _, err := limited.Do(t.Context(), "POST", "/api/sales/1/path", map[string]string{"captcha": "0"}); err != nil {
			t.Fatal(err)
		}
	}

	var bought, cut atomic.Int64
	third := make(chan struct{})
	var once sync.Once
	var wg sync.WaitGroup
	turns := make(chan struct{}, 4) // in flight at once, so that the sale lasts
	for i, c := range crowd {
		wg.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			var m contract.Minted
			a, err := answered(&cut, func() (a contract.Answer, err error) {
				m, a, err = c.Path(context.Background(), "1")
				return a, err
			})
			if err != nil || a.Status != 200 {
				t.Errorf("path: %s, %v", a, err)
				return
			}
			a, err = answered(&cut, func() (contract.Answer, error) { return c.Buy(context.Background(), "1", m.Path) })
			if err != nil || a.Status != 202 {
				t.Errorf("buy: %s, %v", a, err)
				return
			}
			minted[i] = m.Order
			if bought.Add(1) >= buyers/3 {
				once.Do(func() { close(third) })
			}
		})
	}
	<-third
	before := d.accepted(t)

	// A good reload, with a change, by the command that operators use.
	text, err := os.ReadFile("../../Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	changed := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(changed, bytes.Replace(text, []byte("ttl 10s"), []byte("ttl 11s"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := d.run(t.Context(), "caddy", "reload", "--config", changed, "--address", strings.TrimPrefix(d.admin, "http://")); err != nil {
		t.Fatalf("caddy reload: %v\n%s", err, out)
	}
	if !strings.Contains(fmt.Sprint(d.config(t)), "11000000000") && !strings.Contains(fmt.Sprint(d.config(t)), "1.1e+10") {
		t.Error("the reload did not take effect")
	}
	again := func() (contract.Answer, error) {
		return limited.Do(t.Context(), "POST", "/api/sales/1/path", map[string]string{"captcha": "0"})
	}
	if a, err := answered(&cut, again); err != nil || a.Code != flashgate.CodeRateLimited {
		t.Errorf("the reload reset a limit: %s, %v", a, err)
	}

	// One that fails while it is provisioned, and one that fails when it starts.
	// That one comes last: Caddy's admin API, with its metrics, belongs to the configuration
	// that was loaded last, and the other may end before flashgate has its own in there.
	for _, c := range []struct{ name, server string }{
		{"provision", `{"listen": ["127.0.0.1:0"], "routes": [{"handle": [{"handler": "no_such_handler"}]}]}`},
		{"start", `{"listen": ["203.0.113.1:1"], "routes": []}`},
	} {
		name, server := c.name, c.server
		if status, body := d.load(t, withServer(t, d.config(t), server)); status == 200 {
			t.Errorf("%s: a configuration that cannot work was accepted: %s", name, body)
		}
		ready := func() (contract.Answer, error) { return limited.Do(t.Context(), "GET", "/readyz", nil) }
		if a, err := answered(&cut, ready); err != nil || a.Status != 200 {
			t.Errorf("after a failed reload (%s): %s, %v", name, a, err)
		}
	}
	// The admin routes of flashgate belong to the configuration that lives.
	if res, err := http.Get(d.admin + "/flashgate/status"); err != nil {
		t.Error(err)
	} else if res.Body.Close(); res.StatusCode != 200 {
		t.Errorf("the status route after a failed reload: %d", res.StatusCode)
	}

	wg.Wait()
	t.Logf("%d purchases, %d connections cut without an answer and repeated", bought.Load(), cut.Load())
	if after := d.accepted(t); before == 0 || after < buyers {
		t.Errorf("the metric counted %d before the reloads and %d after %d purchases", before, after, buyers)
	}
	for i, c := range crowd {
		if minted[i] == "" {
			continue
		}
		if o, err := c.Decided(t.Context(), minted[i]); err != nil || o.Status != flashgate.StatusPending {
			t.Errorf("order %s: %+v, %v", minted[i], o, err)
		}
	}
	b := read(t, d.data, "1")
	b.quiet(t)
	if b.Orders != buyers {
		t.Errorf("%d orders of %d purchases", b.Orders, buyers)
	}
}
