package caddymodule_test

import (
	"encoding/json"
	"strings"
	"testing"

	"flashgate/caddymodule/gatewaytest"

	"github.com/caddyserver/caddy/v2"
)

// With `errors caddy` the site's own handle_errors answers, with our status and
// headers.
func TestErrorsCaddy(t *testing.T) {
	g := gatewaytest.Run(t, `
SITE {
	session_auth optional
	hidden_path {
		mint POST /api/sales/{sale}/path
		guard POST /api/sales/{sale}/orders/{token}
		sale {sale}
		errors caddy
	}
	stock_gate POST /buy/{sale} {
		errors caddy
	}
	handle_errors {
		respond "own page {err.status_code}"
	}
}
`)
	g.Sale(t, "1", 0, 0)
	c := g.Login(t, "u1")
	for path, status := range map[string]int{
		"/api/sales/1/orders":       404,
		"/api/sales/1/orders/x":     404,
		"/api/sales/unknown/path":   404,
		"/buy/1":                    409,
		"/buy/unknown":              404,
		"/buy/1/":                   404,
		"/api/sales/1/orders/x/y/z": 404,
	} {
		a := c.Do("POST", path)
		if a.Status != status || !strings.HasPrefix(a.Body, "own page ") || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %+v, want our own page for %d", path, a, status)
		}
	}
}

// JSON is checked as the Caddyfile is, when it is loaded.
func TestBadJSON(t *testing.T) {
	for handler, want := range map[string]string{
		`{"handler":"hidden_path"}`:               "hidden_path needs a line such as: mint",
		`{"handler":"hidden_path","mint":"POST"}`: `pattern "POST": write a method and a path`,
		`{"handler":"hidden_path","mint":"POST /a","guard":"POST /b/{token}","sale":"sale"}`:   "sale {sale} is not a named segment",
		`{"handler":"hidden_path","mint":"POST /a","guard":"POST /b/{token}","ttl":1}`:         "ttl must be between",
		`{"handler":"hidden_path","mint":"POST /a","guard":"POST /b/{token}","errors":"json"}`: "errors json: write caddy",
		`{"handler":"stock_gate"}`: "stock_gate needs a method and a pattern",
		`{"handler":"stock_gate","match":"POST /buy/{sale}","path":"optional"}`:                         "path optional: write required",
		`{"handler":"stock_gate","match":"POST /buy/{sale}","max_waiting":-1}`:                          "max_waiting must be a number between",
		`{"handler":"stock_gate","match":"POST /buy/{sale}","sold_out_probe":1}`:                        "sold_out_probe must be between",
		`{"handler":"session_require","patterns":[""]}`:                                                 "empty pattern",
		`{"handler":"session_require","errors":"x"}`:                                                    "errors x: write caddy",
		`{"handler":"authentication","providers":{"session":{"cookies":"a"}}}`:                          "unknown field",
		`{"handler":"stock_gate","match":"POST /buy/{sale}","units":"0"}`:                               "units must be a placeholder or a number",
		`{"handler":"hidden_path","mint":"POST /a","guard":"POST /b/{token}","user":"{x}","sales":"s"}`: "unknown field",
	} {
		text := `{"admin":{"disabled":true},"apps":{"http":{"servers":{"s":{"listen":["127.0.0.1:0"],"routes":[{"handle":[` + handler + `]}]}}}}}`
		var cfg *caddy.Config
		if err := json.Unmarshal([]byte(text), &cfg); err != nil {
			t.Fatal(err)
		}
		if err := caddy.Validate(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", handler, err, want)
		}
	}
}
