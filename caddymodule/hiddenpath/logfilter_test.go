package hiddenpath_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flashgate/caddymodule/gatewaytest"
	"flashgate/caddymodule/hiddenpath"

	"go.uber.org/zap"
)

func TestLogFilter(t *testing.T) {
	t.Parallel()
	token := strings.Repeat("aZ0-_", 12)[:59]
	order := "/api/orders/1." + strings.Repeat("b", 48)
	for in, want := range map[string]string{
		"/api/sales/1/orders/" + token:            "/api/sales/1/orders/REDACTED",
		"/" + token + "/" + token + "?x=" + token: "/REDACTED/REDACTED?x=REDACTED",
		token:                     "REDACTED",
		token + "/":               "REDACTED/",
		"/orders/" + token + "x":  "/orders/REDACTED",
		"/orders/%61" + token[1:]: "/orders/REDACTED",
		"/orders%2F" + token:      "/REDACTED",
		order:                     order,
		"/" + token[1:]:           "/" + token[1:],
		"":                        "",
		"/goods/1":                "/goods/1",
		"/a/" + token + "/b/c":    "/a/REDACTED/b/c",
		"/a." + token + ".html":   "/a.REDACTED.html",
		"https://shop.example/x/" + token + "#top": "https://shop.example/x/REDACTED#top",
	} {
		if got := new(hiddenpath.LogFilter).Filter(zap.String("uri", in)); got.String != want {
			t.Errorf("%s became %s, want %s", in, got.String, want)
		}
	}
	if f := new(hiddenpath.LogFilter).Filter(zap.Int("n", 7)); f.Integer != 7 {
		t.Errorf("a number became %+v", f)
	}
}

// Neither the access log nor the error log holds a token. The origin is dead, so
// that Caddy has an error to log.
func TestNoLogHoldsAToken(t *testing.T) {
	logs := t.TempDir()
	format := "format filter {\nrequest>uri path_token\nwrap json\n}\n"
	config := `
{
	admin off
	persist_config off
	debug
	log {
		output file LOGS/default
		FORMAT
	}
	flashgate {
		data_dir DATA
	}
}

SITE {
	log {
		output file LOGS/access
		FORMAT
	}
	session_auth optional
	hidden_path {
		mint POST /api/sales/{sale}/path
		guard POST /api/sales/{sale}/orders/{token}
		sale {sale}
	}
	reverse_proxy DEAD
}
`
	fill := func(format string) string {
		return strings.NewReplacer("LOGS", logs, "FORMAT", format, "DEAD", gatewaytest.FreeAddr(t)).Replace(config)
	}
	token, read := visit(t, fill(format), logs)
	if strings.Contains(read, token) {
		t.Errorf("a log holds the token:\n%s", read)
	}
	if !strings.Contains(read, "/api/sales/1/orders/REDACTED") || !strings.Contains(read, `"logger":"http.log.error`) || !strings.Contains(read, `"logger":"http.log.access`) {
		t.Errorf("access or error log lacks the request:\n%s", read)
	}
	// Without the filter the token is there: this test can fail.
	logs = t.TempDir()
	if token, read := visit(t, fill("format json"), logs); !strings.Contains(read, token) {
		t.Errorf("without the filter no log holds the token:\n%s", read)
	}
}

// visit uses a token in good and bad ways and returns it with all that was logged.
func visit(t *testing.T, config, logs string) (token, read string) {
	t.Helper()
	g := gatewaytest.Run(t, config)
	g.Sale(t, "1", 10, 0)
	c := g.Login(t, "u1")
	token = c.Do("POST", "/api/sales/1/path").Member("path")
	c.Do("POST", "/api/sales/1/orders/"+token+"/")
	c.Do("GET", "/api/sales/1/orders/"+token+"x")
	if a := c.Do("POST", "/api/sales/1/orders/"+token); a.Status != 502 {
		t.Fatalf("the dead origin: %+v", a)
	}
	deadline := time.Now().Add(5 * time.Second)
	for tick := time.NewTicker(5 * time.Millisecond); ; <-tick.C {
		read = ""
		for _, name := range []string{"default", "access"} {
			text, err := os.ReadFile(filepath.Join(logs, name))
			if err != nil {
				t.Fatal(err)
			}
			read += string(text)
		}
		// The access log is written after the answer.
		if strings.Count(read, `"logger":"http.log.access`) >= 4 || time.Now().After(deadline) {
			return token, read
		}
	}
}
