package app_test

import (
	"testing"

	"flashgate/caddymodule/app"

	"github.com/caddyserver/caddy/v2"
)

func TestSetting(t *testing.T) {
	repl := caddy.NewReplacer()
	for name, value := range map[string]any{"a": "A", "n": 7, "nil": nil, "empty": "", "b c": "BC"} {
		repl.Set(name, value)
	}
	for _, text := range []string{"", "1", "{a}", "{n}", "{nil}", "{empty}", "{b c}", "{unknown}", "{}", "{", "}", "}{", "{a", "a}", "{a}{n}", "{{a}}", "{a{n}}",
		"x{a}", "{a}x", `\{a}`, `{a\}`, `{\a}`, "{ a }"} {
		if got, want := app.Setting(repl, text), repl.ReplaceAll(text, ""); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	for _, text := range []string{"1", "{a}"} {
		if n := testing.AllocsPerRun(100, func() { app.Setting(repl, text) }); n > 0 {
			t.Errorf("%q: %.0f allocations", text, n)
		}
	}
}
