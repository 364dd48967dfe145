package pagecache_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"flashgate/caddymodule/gatewaytest"
	"flashgate/caddymodule/pagecache"
)

var update = flag.Bool("update", false, "write what Caddy makes of testdata as the expected text")

const separator = "\n----------\n"

// Each file of testdata is a Caddyfile and what becomes of it: JSON in good, an
// error that names file and line in bad.
func TestCaddyfile(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*/*.caddyfiletest")
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text, want, _ := strings.Cut(string(b), separator)
			got := adapt(t, text, filepath.Base(filepath.Dir(file)) == "good")
			if *update {
				if err := os.WriteFile(file, []byte(strings.TrimSpace(text)+separator+got+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != strings.TrimSpace(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func adapt(t *testing.T, text string, good bool) string {
	t.Helper()
	adapted, err := gatewaytest.Adapt(text)
	if good != (err == nil) {
		t.Fatalf("adapt: %v", err)
	}
	if err != nil {
		if !strings.Contains(err.Error(), "Caddyfile:") {
			t.Errorf("the error names no line: %v", err)
		}
		return err.Error()
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, adapted, "", "\t"); err != nil {
		t.Fatal(err)
	}
	return indented.String()
}

// What the parser refuses is refused in JSON as well.
func TestValidate(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{}`: "",
		`{"ttl": "1m", "status": {"404": "10s"}, "stale_if_unreachable": -1, "key": {"query": []}, "etag": "weak", "purge_from": ["::1", "private_ranges"], "errors": "caddy"}`: "",

		`{"ttl": -1}`:                        "ttl must be between 1ms and 8760h0m0s",
		`{"ttl_override": 1}`:                "ttl_override must be between 1ms and 8760h0m0s",
		`{"stale_while_revalidate": "400d"}`: "stale_while_revalidate must be between 1ms and 8760h0m0s",
		`{"stale_if_error": -5}`:             "stale_if_error must be between 1ms and 8760h0m0s",
		`{"stale_if_unreachable": "400d"}`:   "stale_if_unreachable must be between 1ms and 8760h0m0s",
		`{"stale_if_unreachable": -2}`:       "stale_if_unreachable must be -1 for off, or a duration",
		`{"status": {"404": 0}}`:             "status: the duration must be between 1ms and 8760h0m0s",
		`{"status": {"206": "10s"}}`:         "status: an answer with 206 cannot be kept: use a code from 200 to 599 other than 206, 304 and 416",
		`{"status": {"100": "10s"}}`:         "status: an answer with 100 cannot be kept: use a code from 200 to 599 other than 206, 304 and 416",
		`{"max_body": -1}`:                   "max_body must be between 1B and 64MiB",
		`{"max_body": 67108865}`:             "max_body must be between 1B and 64MiB",
		`{"browser_cache_control": "a\nb"}`:  "browser_cache_control must be one line",
		`{"etag": "md5"}`:                    "etag md5: write weak or strong, or leave it out for the origin's",
		`{"key": {"header": [""]}}`:          "key: a name must not be empty",
		`{"key": {"query": ["a", ""]}}`:      "key: a name must not be empty",
		`{"purge_from": ["localhost"]}`:      `purge_from: "localhost" is no address or network such as 10.0.0.0/8`,
		`{"errors": "nginx"}`:                "errors nginx: write caddy, or leave it out for problem documents",
	} {
		var h pagecache.Handler
		if err := json.Unmarshal([]byte(text), &h); err != nil {
			t.Fatal(text, err)
		}
		got := ""
		if err := h.Validate(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// A key that a variable should bring, and does not, is seen before anybody is served.
func TestExplainKeyOfAVariable(t *testing.T) {
	site := "SITE {\n\tpage_cache {\n\t\texplain_key {env.FLASHGATE_TEST_EXPLAIN}\n\t}\n\trespond ok\n}"
	g := &gatewaytest.Gateway{URL: "http://" + gatewaytest.FreeAddr(t), Admin: gatewaytest.FreeAddr(t), Dir: t.TempDir()}
	if err := g.Validate(site); err == nil || !strings.Contains(err.Error(), "explain_key must have at least 16 bytes") {
		t.Errorf("without the variable: %v", err)
	}
	t.Setenv("FLASHGATE_TEST_EXPLAIN", "0123456789abcdef")
	if err := g.Validate(site); err != nil {
		t.Error(err)
	}
}
