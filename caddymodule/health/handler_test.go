package health_test

import (
	"os"
	"path/filepath"
	"testing"

	"flashgate/caddymodule/gatewaytest"
)

const site = `
SITE {
	flashgate_health
	basic_auth {
		nobody $2a$04$//nPNqRdT5nsJmN04CnXn.mVPQ4mOLuwHPCR3eORgJf4b47.lvmAa
	}
	respond "origin {uri}"
}
`

func TestHealth(t *testing.T) {
	g := gatewaytest.Run(t, site)
	c := g.Client(t)
	check := func(method, path string, status int, body string) {
		t.Helper()
		a := c.Do(method, path)
		if a.Status != status || method == "GET" && a.Body != body {
			t.Errorf("%s %s: %+v, want %d %s", method, path, a, status, body)
		}
		if status != 401 && a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s may be cached", method, path)
		}
	}
	check("GET", "/healthz", 200, `{"status":"ok"}`+"\n")
	check("HEAD", "/healthz", 200, "")
	check("GET", "/readyz", 200, `{"status":"ok","backends":{"state":"ok","stock":"ok"}}`+"\n")
	check("HEAD", "/readyz", 200, "")
	check("POST", "/healthz", 401, "") // not a probe: on to the site, which wants a password
	check("HEAD", "/healthz/", 401, "")

	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	g.Dir = file // a folder cannot be made here
	if err := g.Load(site); err != nil {
		t.Fatal(err)
	}
	check("GET", "/healthz", 200, `{"status":"ok"}`+"\n")
	check("GET", "/readyz", 503, `{"status":"unavailable","backends":{"state":"ok","stock":"away"}}`+"\n")
	check("HEAD", "/readyz", 503, "")
}
