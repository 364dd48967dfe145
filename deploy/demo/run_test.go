package main_test

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"flashgate"
	"flashgate/deploy/contract"
	"flashgate/shopapp/shop"
)

// login is a visitor with the demo's own account.
func (d *demo) login(t *testing.T, mobile string) *contract.Client {
	t.Helper()
	c := contract.NewClient(d.url, loadtestKey, nil)
	if a, err := c.Login(t.Context(), mobile, d.password); err != nil || a.Status != 200 {
		t.Fatalf("login: %s, %v", a, err)
	}
	return c
}

// One Ctrl-C drains and stops, also with an event stream open, and the next run
// keeps what was sold.
func TestStopAndRunAgain(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	password := d.password
	c := d.login(t, shop.DemoCustomer)
	m, a, err := c.Path(t.Context(), "1")
	if err != nil || a.Status != 200 {
		t.Fatalf("path: %s, %v", a, err)
	}
	if a, err := c.Buy(t.Context(), "1", m.Path); err != nil || a.Status != 202 {
		t.Fatalf("buy: %s, %v", a, err)
	}
	// A pending order's stream stays open until the demo itself ends it.
	if _, err := c.Decided(t.Context(), m.Order); err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), "GET", d.url+"/api/orders/"+string(m.Order)+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := c.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	lines := bufio.NewScanner(stream.Body)
	if !lines.Scan() || lines.Text() != "event: order" {
		t.Fatalf("the stream begins with %q", lines.Text())
	}

	if err := d.interrupt(t); err != nil {
		t.Fatalf("it ended with %v\n%s", err, d.log.tail(4<<10))
	}
	for lines.Scan() { // the rest of the stream; that it ends is what counts
	}
	if err := lines.Err(); err != nil {
		t.Errorf("the stream was cut, not ended: %v", err)
	}
	read(t, d.data, "1").quiet(t)

	d.start(t)
	if d.password != password {
		t.Errorf("another password after the restart: %s, before %s", d.password, password)
	}
	c = d.login(t, shop.DemoCustomer)
	if o, _, err := c.GetOrder(t.Context(), m.Order); err != nil || o.Status != flashgate.StatusPending {
		t.Errorf("the order after the restart: %+v, %v", o, err)
	}
	if s, err := c.GetSale(t.Context(), "1"); err != nil || s.StockLeft != 99 || s.Phase != flashgate.PhaseOpen {
		t.Errorf("sale 1 after the restart: %+v, %v", s, err)
	}
	if s, err := c.GetSale(t.Context(), "2"); err != nil || s.Phase != flashgate.PhaseUpcoming {
		t.Errorf("sale 2 after the restart: %+v, %v", s, err)
	}
}

func TestATakenPortIsOneClearLine(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	for _, name := range []string{"FLASHGATE_ADDR", "FLASHGATE_ADMIN", "SHOP_ADDR", "WORKER_ADDR"} {
		second := *d
		second.env = nil
		taken := ""
		for _, e := range d.env {
			key, value, _ := strings.Cut(e, "=")
			switch {
			case key == name:
				taken = value
			case strings.HasSuffix(key, "_ADDR") || key == "FLASHGATE_ADMIN":
				e = key + "=" + freeAddr(t)
			case key == "FLASHGATE_DATA":
				e = key + "=" + t.TempDir()
			}
			second.env = append(second.env, e)
		}
		out, err := second.run(t.Context())
		if err == nil || strings.Count(out, "\n") != 1 || !strings.Contains(out, taken) || !strings.Contains(out, name) {
			t.Errorf("%s taken: %v, %q", name, err, out)
		}
	}
}

func TestReset(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	mine := filepath.Join(d.data, "mine.txt")
	if err := os.WriteFile(mine, []byte("keep"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := d.run(t.Context(), "reset"); err == nil || !strings.Contains(out, "stop it first") {
		t.Errorf("reset of a running demo: %v, %s", err, out)
	}
	if err := d.interrupt(t); err != nil {
		t.Fatal(err)
	}
	if out, err := d.run(t.Context(), "reset"); err != nil {
		t.Fatalf("reset: %v, %s", err, out)
	}
	left, err := filepath.Glob(filepath.Join(d.data, "*"))
	if err != nil || len(left) != 1 || left[0] != mine {
		t.Errorf("after the reset: %v, %v", left, err)
	}
}

func TestVersionAndUnknownCommand(t *testing.T) {
	t.Parallel()
	if out, err := exec.CommandContext(t.Context(), binary, "version").CombinedOutput(); err != nil || !strings.HasPrefix(string(out), "flashgate-demo ") {
		t.Errorf("version: %s, %v", out, err)
	}
	if out, err := exec.CommandContext(t.Context(), binary, "sell").CombinedOutput(); err == nil || !strings.Contains(string(out), `unknown command "sell"`) {
		t.Errorf("unknown command: %s, %v", out, err)
	}
}
