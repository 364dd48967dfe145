package command_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"flashgate/caddymodule/command"
	"flashgate/caddymodule/gatewaytest"
)

const limited = `
SITE {
	access_limit /x 2 1h {
		name buy
	}
	respond ok
}
`

// runLimit runs a command line of `caddy flashgate limit`.
func runLimit(t *testing.T, g *gatewaytest.Gateway, args ...string) (string, error) {
	t.Helper()
	return run(t, append([]string{"limit", "--address", g.Admin}, args...)...)
}

func TestLimitCommands(t *testing.T) {
	g := gatewaytest.Run(t, limited)
	c := g.Client(t)
	status := func() int { t.Helper(); return c.Do("GET", "/x").Status }
	must := func(args ...string) string {
		t.Helper()
		out, err := runLimit(t, g, args...)
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return out
	}
	const me = "address 127.0.0.1"

	if out := must("list"); !strings.Contains(out, "buy  2 in 1h0m0s  sliding_window") {
		t.Errorf("list:\n%s", out)
	}
	for i, want := range []int{200, 200, 429} {
		if got := status(); got != want {
			t.Errorf("request %d: %d", i, got)
		}
	}
	for range 3 {
		if out := must("inspect", "buy", me); !strings.Contains(out, "allowed      false") || !strings.Contains(out, "remaining    0") {
			t.Errorf("inspect:\n%s", out)
		}
	}
	must("reset", "buy", me)
	if got := status(); got != 200 {
		t.Errorf("after reset: %d", got)
	}
	must("ban", "buy", me, "--for", "10m", "--reason", "a bot")
	if a := c.Do("GET", "/x"); a.Status != 429 || a.Header.Get("Retry-After") == "" || len(a.Header.Get("Retry-After")) < 3 {
		t.Errorf("banned: %+v", a)
	}
	if out := must("list"); !strings.Contains(out, `"buy" "`+me+`"  banned until `) || !strings.Contains(out, `"a bot"`) {
		t.Errorf("list:\n%s", out)
	}
	if out := must("inspect", "buy", me); !strings.Contains(out, "banned until") || !strings.Contains(out, "allowed      false") {
		t.Errorf("inspect:\n%s", out)
	}
	must("pardon", "buy", me)
	must("pardon", "buy", me)
	if got := status(); got != 200 {
		t.Errorf("pardoned: %d", got)
	}
	must("allow", "buy", me, "--for", "1m")
	for range 5 {
		if got := status(); got != 200 {
			t.Errorf("let pass: %d", got)
		}
	}
	// A reload begins with what is true.
	must("ban", "buy", me)
	if err := g.Load(limited + "\nhttp://127.0.0.1:1 {\n}\n"); err != nil {
		t.Fatal(err)
	}
	if got := status(); got != 429 {
		t.Errorf("banned, after a reload: %d", got)
	}

	for _, args := range [][]string{
		{"reset"}, {"reset", "buy"}, {"reset", "sell", me}, {"reset", "buy", "127.0.0.1"}, {"ban", "buy", me, "--for", "soon"},
		{"ban", "buy", me, "--for", "-1s"}, {"ban", "buy", me, "--for", "9000h"}, {"inspect", "sell", me},
	} {
		if out, err := runLimit(t, g, args...); err == nil {
			t.Errorf("%v: no error\n%s", args, out)
		}
	}
}

func TestLimitRoutes(t *testing.T) {
	g := gatewaytest.Run(t, limited)
	for _, x := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/flashgate/limits", "", 200},
		{"POST", "/flashgate/limits", "", 405},
		{"GET", "/flashgate/limits/reset", "", 405},
		{"POST", "/flashgate/limits/reset", `{"limit":"buy","client":"address 192.0.2.1"}`, 204},
		{"POST", "/flashgate/limits/reset", `{"limit":"buy","client":"all"}`, 400},
		{"POST", "/flashgate/limits/reset", `{"limit":"buy","client":"3:abc4:defg"}`, 400},
		{"POST", "/flashgate/limits/reset", `{"limit":"buy"}`, 400},
		{"POST", "/flashgate/limits/reset", `{"limit":"none","client":"all"}`, 404},
		{"POST", "/flashgate/limits/reset", `{"key":"x"}`, 400},
		{"POST", "/flashgate/limits/ban", `{"limit":"buy","client":"address 192.0.2.1"}`, 400},
		{"POST", "/flashgate/limits/ban", `{"limit":"buy","client":"address 192.0.2.1","for":"1m","reason":"` + strings.Repeat("x", 2000) + `"}`, 400},
	} {
		if status, body := admin(t, g, x.method, x.path, x.body); status != x.status {
			t.Errorf("%s %s %s: %d %s, want %d", x.method, x.path, x.body, status, body, x.status)
		}
	}
	_, text := admin(t, g, "POST", "/flashgate/limits/inspect", `{"limit":"buy","client":"address 192.0.2.9"}`)
	var v command.LimitVerdict
	if err := json.Unmarshal([]byte(text), &v); err != nil || !v.Allowed || v.Remaining != 1 {
		t.Errorf("inspect: %s, %v", fmt.Sprint(v), err)
	}
}
