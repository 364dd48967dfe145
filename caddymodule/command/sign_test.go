package command_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"flashgate"
	"flashgate/caddymodule/gatewaytest"
)

const guarded = `{
	admin off
	persist_config off
	log {
		output discard
	}
	flashgate {
		data_dir DATA
		keys {env.FLASHGATE_TEST_KEYS}
	}
}
SITE {
	hidden_path {
		signed /files/*
	}
	respond "{uri}"
}`

// What the command signs opens the guard, until its key has ended: without a reload.
func TestSignURLAndRotate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "signing")
	t.Setenv("FLASHGATE_KEYS", "file:"+file)
	t.Setenv("FLASHGATE_TEST_KEYS", "file:"+file)
	old := flashgate.NewKey()
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(old + "\n")
	g := gatewaytest.Run(t, guarded)
	c := g.Client(t)
	sign := func() string {
		t.Helper()
		out, err := run(t, "sign", "url", g.URL+"/files/1?a=b")
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(strings.TrimSpace(out))
		if err != nil {
			t.Fatal(err)
		}
		return u.RequestURI()
	}
	first := sign()
	if a := c.Do("GET", first); a.Status != 200 || a.Body != "/files/1?a=b" {
		t.Fatalf("signed by the command: %+v", a)
	}
	out, err := run(t, "sign", "rotate", "--in", "0s")
	if err != nil || strings.Count(out, "\n") != 2 || !strings.Contains(out, "key 1: verifies\nkey 2: verifies, ends at ") {
		t.Fatalf("rotate: %q, %v", out, err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out, old) || strings.HasPrefix(string(text), old) || !strings.Contains(string(text), old) {
		t.Error("the new key must be in front, and no key be shown")
	}
	second := sign()
	until := func(path string, status int) {
		t.Helper()
		eventually(t, func() bool { return c.Do("GET", path).Status == status })
	}
	until(second, 200)
	if a := c.Do("GET", first); a.Status != 200 {
		t.Errorf("signed before the rotation: %+v", a)
	}
	// The old key is taken away: its links are over, on the running gateway.
	write(strings.Split(string(text), "\n")[0])
	until(first, 404)
	if a := c.Do("GET", second); a.Status != 200 {
		t.Errorf("signed with the new key: %+v", a)
	}
	// A damaged file changes nothing.
	write("half a k")
	if a := c.Do("GET", second); a.Status != 200 {
		t.Errorf("with a damaged file: %+v", a)
	}
	if _, err := run(t, "sign", "rotate"); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("rotating a damaged file: %v", err)
	}
}

func TestSignErrors(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("FLASHGATE_KEYS", flashgate.NewKey())
	for want, args := range map[string][]string{
		"holds the keys themselves":          {"rotate"},
		"has no host":                        {"url", "/files/1"},
		"has a fragment":                     {"url", "https://shop.example/a#b"},
		"has the parameter signature":        {"url", "https://shop.example/a?signature=x"},
		"has a dot segment":                  {"url", "https://shop.example/a/../b"},
		"is no address such as":              {"url", "https://shop.example/a", "--address", "here"},
		"is no network such as":              {"url", "https://shop.example/a", "--address", "10.0.0.0/99"},
		"--ttl must be between":              {"url", "https://shop.example/a", "--ttl", "0s"},
		"is not a method in capital letters": {"url", "https://shop.example/a", "--method", "put"},
		"--keep must be between":             {"rotate", "--file", filepath.Join(dir, "x"), "--keep", "1h"},
		"no such file":                       {"rotate", "--file", filepath.Join(dir, "x")},
	} {
		out, err := run(t, append([]string{"sign"}, args...)...)
		if err == nil || !strings.Contains(err.Error(), want) || out != "" {
			t.Errorf("sign %v: %q, %v; want an error with: %s", args, out, err, want)
		}
	}
}
