package caddymodule_test

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

// golden reads a file of a Caddyfile and what is expected of it.
func golden(t *testing.T, file string) (caddyfile, want string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	caddyfile, want, _ = strings.Cut(string(text), separator)
	return caddyfile, strings.TrimSpace(want)
}

func compare(t *testing.T, file, caddyfile, got, want string) {
	t.Helper()
	got = strings.TrimSpace(got)
	if *update {
		if err := os.WriteFile(file, []byte(strings.TrimSpace(caddyfile)+separator+got+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func files(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		t.Fatalf("no files %s: %v", pattern, err)
	}
	return found
}

func TestAdaptGood(t *testing.T) {
	t.Parallel()
	for _, file := range files(t, "testdata/good/*.caddyfiletest") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			caddyfile, want := golden(t, file)
			adapted, err := gatewaytest.Adapt(caddyfile)
			if err != nil {
				t.Fatal(err)
			}
			var indented bytes.Buffer
			if err := json.Indent(&indented, adapted, "", "\t"); err != nil {
				t.Fatal(err)
			}
			compare(t, file, caddyfile, indented.String(), want)
		})
	}
}

// Every mistake is named with file and line, and with what would be right.
func TestAdaptBad(t *testing.T) {
	t.Parallel()
	for _, file := range files(t, "testdata/bad/*.caddyfiletest") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			caddyfile, want := golden(t, file)
			_, err := gatewaytest.Adapt(caddyfile)
			if err == nil {
				t.Fatal("it was accepted")
			}
			if !strings.Contains(err.Error(), "Caddyfile:") {
				t.Errorf("the error names no line: %v", err)
			}
			compare(t, file, caddyfile, err.Error(), want)
		})
	}
}
