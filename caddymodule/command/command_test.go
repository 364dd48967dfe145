package command_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"flashgate"
	"flashgate/caddymodule/command"
	"flashgate/caddymodule/gatewaytest"

	"github.com/spf13/cobra"
)

// run runs `caddy flashgate ARGS`.
func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	root := &cobra.Command{Use: "flashgate"}
	command.AddTo(root)
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(io.Discard)
	root.SetArgs(args)
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

func TestDoctor(t *testing.T) {
	g := gatewaytest.Run(t, site)
	g.Client(t).Do("GET", "/")
	out, err := run(t, "doctor", "--address", g.Admin)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{`data +` + regexp.QuoteMeta(g.Dir), `stock +ok +flashgate\.stock\.sqlite`, `state +ok +flashgate\.state\.memory`, `session_auth +unauthenticated +\d+`} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("no line %s in:\n%s", want, out)
		}
	}

	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	g.Dir = file
	if err := g.Load(site); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); ; {
		out, err = run(t, "doctor", "--address", g.Admin)
		if out != "" || time.Now().After(deadline) { // else it found nobody: see admin
			break
		}
	}
	if err == nil || err.Error() != "1 of 2 backends away" || !strings.Contains(out, file) {
		t.Errorf("with a data folder that cannot be: %v\n%s", err, out)
	}
}

func TestDoctorWithoutCaddy(t *testing.T) {
	t.Parallel()
	if out, err := run(t, "doctor", "--address", gatewaytest.FreeAddr(t)); err == nil || strings.Contains(out, "Usage") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestCache(t *testing.T) {
	g := gatewaytest.Run(t, site)
	for _, c := range []struct {
		args string
		ok   bool
	}{
		{"cache purge --all", true},
		{"cache purge --url http://shop.example/goods/1", true},
		{"cache purge --prefix http://shop.example/goods/ --soft", true},
		{"cache purge --tag goods-1", true},
		{"cache purge --url goods/1", false},
		{"cache inspect http://shop.example/goods/1", false}, // nothing is there
		{"cache stats", true},
		{"cache purge", false},
		{"cache purge --all --tag a", false},
	} {
		out, err := run(t, append(strings.Fields(c.args), "--address", g.Admin)...)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v\n%s", c.args, err, out)
		}
		if c.args == "cache stats" && !regexp.MustCompile(`(?m)^memory_max_bytes +67108864$`).MatchString(out) {
			t.Errorf("a number is not whole in:\n%s", out)
		}
	}
}

func TestSign(t *testing.T) {
	key, err := run(t, "sign", "key")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := flashgate.ParseKeyring(key)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("FLASHGATE_KEYS", strings.TrimSpace(key))
	out, err := run(t, "sign", "path", "--sale", "1", "--user", "u1", "--session", "s1", "--ttl", "1h")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`^path: (\S+)\norder: (\S+)\n$`).FindStringSubmatch(out)
	if found == nil {
		t.Fatalf("printed %q", out)
	}
	order, expires, err := keys.Open(found[1], flashgate.Claim{Sale: "1", Session: "s1", User: "u1"}, time.Now())
	if err != nil || string(order) != found[2] || time.Until(expires) < 59*time.Minute {
		t.Errorf("the path opens to %s until %s, %v", order, expires, err)
	}

	t.Setenv("FLASHGATE_KEYS", "")
	dir := t.TempDir()
	for _, args := range [][]string{
		{"--sale", "1", "--user", "u1", "--data-dir", dir},
		{"--sale", "a b", "--user", "u1"},
		{"--sale", "1", "--user", "a b"},
		{"--sale", "1", "--user", "u1", "--ttl", "0s"},
		{"--user", "u1"},
	} {
		if out, err := run(t, append([]string{"sign", "path"}, args...)...); err == nil {
			t.Errorf("%v: %s", args, out)
		}
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
		t.Errorf("signing made %v, %v", files, err)
	}
}

func TestCaptcha(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "sample.png")
	out, err := run(t, "captcha", "--out", file)
	if err != nil || !regexp.MustCompile(`image/png, the answer is \d+\n$`).MatchString(out) {
		t.Fatalf("%v\n%s", err, out)
	}
	if b, err := os.ReadFile(file); err != nil || !bytes.HasPrefix(b, []byte("\x89PNG")) {
		t.Errorf("the file is no picture: %v", err)
	}
	if out, err := run(t, "captcha", "--kind", "digits", "--out", file); err != nil || !regexp.MustCompile(`the answer is \d{6}\n$`).MatchString(out) {
		t.Errorf("digits: %v\n%s", err, out)
	}
	if out, err := run(t, "captcha", "--kind", "runes", "--out", file); err == nil || !strings.Contains(err.Error(), "digits or math") {
		t.Errorf("an unknown kind: %v\n%s", err, out)
	}
}
