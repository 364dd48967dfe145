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
