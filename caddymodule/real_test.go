package caddymodule_test

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"flashgate"
	"flashgate/caddymodule/gatewaytest"

	"github.com/caddyserver/caddy/v2"
)

// directives are the lines of a Caddyfile without its comments.
func directives(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// Caddyfile.real is the demo's Caddyfile on other backends, and nothing else.
func TestCaddyfileRealDoesNotDriftApart(t *testing.T) {
	t.Parallel()
	demo, real := directives(t, "../Caddyfile"), directives(t, "../Caddyfile.real")
	for _, line := range []string{"redis {env.REDIS_URL}", "rabbitmq {env.AMQP_URL}"} {
		i := slices.Index(real, line)
		if i < 0 {
			t.Fatalf("Caddyfile.real has no line %q", line)
		}
		real = slices.Delete(real, i, i+1)
	}
	demo = slices.DeleteFunc(demo, func(line string) bool { return strings.HasPrefix(line, "data_dir ") })
	if !reflect.DeepEqual(demo, real) {
		t.Errorf("the demo without its folder:\n%s\n\nCaddyfile.real without its servers:\n%s", strings.Join(demo, "\n"), strings.Join(real, "\n"))
	}
}

// validate is what caddy validate does: everything but to start.
func validate(t *testing.T, text string) error {
	t.Helper()
	adapted, err := gatewaytest.Adapt(text)
	if err != nil {
		t.Fatal(err)
	}
	var cfg *caddy.Config
	if err := caddy.StrictUnmarshalJSON(adapted, &cfg); err != nil {
		t.Fatal(err)
	}
	return caddy.Validate(cfg)
}

// Nothing has to run for caddy validate, and no secret is in what Caddy saves.
func TestCaddyfileRealIsValidWithoutServers(t *testing.T) {
	text, err := os.ReadFile("../Caddyfile.real")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("REDIS_URL", "redis://user:hunter2@127.0.0.1:1/0")
	t.Setenv("AMQP_URL", "amqp://user:hunter2@127.0.0.1:1/")
	t.Setenv("FLASHGATE_KEYS", flashgate.NewKey())
	t.Setenv("FLASHGATE_ADDR", "127.0.0.1:0")
	t.Setenv("FLASHGATE_ADMIN", "off")
	if err := validate(t, string(text)); err != nil {
		t.Error(err)
	}
	adapted, err := gatewaytest.Adapt(string(text))
	if err != nil {
		t.Fatal(err)
	}
	var cfg struct {
		Apps struct{ Flashgate json.RawMessage }
	}
	if err := json.Unmarshal(adapted, &cfg); err != nil || len(cfg.Apps.Flashgate) == 0 {
		t.Fatalf("%s, %v", adapted, err)
	}
	if strings.Contains(string(adapted), "hunter2") || strings.Contains(string(adapted), os.Getenv("FLASHGATE_KEYS")) {
		t.Errorf("a secret is in the adapted configuration: %s", cfg.Apps.Flashgate)
	}
}

// What placeholders stand for is judged when the configuration is loaded, and what
// does not fit is named with what to do.
func TestServersAreJudgedWhenLoaded(t *testing.T) {
	key := flashgate.NewKey()
	const (
		redis  = "redis://user:hunter2@127.0.0.1:1/0"
		rabbit = "amqp://user:hunter2@127.0.0.1:1/"
	)
	for name, c := range map[string]struct{ redis, rabbit, keys, site, want string }{
		"good":             {redis, rabbit, key, "respond ok", ""},
		"no redis":         {"", rabbit, key, "respond ok", "redis is empty: leave the line out for the embedded backends"},
		"no rabbitmq":      {redis, "", key, "respond ok", "rabbitmq is empty: leave the line out for the embedded backends"},
		"no keys":          {redis, rabbit, "", "respond ok", "redis without keys: every gateway must sign with the same keys"},
		"no such scheme":   {"http://user:hunter2@127.0.0.1", rabbit, key, "respond ok", "such as redis://"},
		"not a URL":        {"redis://user:hunter2@[", rabbit, key, "respond ok", "such as redis://"},
		"another's scheme": {redis, "redis://user:hunter2@127.0.0.1", key, "respond ok", "such as amqp://"},
		"no AMQP URL":      {redis, "amqp://user:hunter2@[", key, "respond ok", "such as amqp://"},
		"long time-out":    {redis, rabbit, key, "stock_gate POST /buy/{sale} {\ntimeout 3s\n}", "timeout is 3s, at most 2s with a queue"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("FLASHGATE_TEST_REDIS", c.redis)
			t.Setenv("FLASHGATE_TEST_AMQP", c.rabbit)
			t.Setenv("FLASHGATE_TEST_KEYS", c.keys)
			err := validate(t, "{\nadmin off\nflashgate {\nredis {env.FLASHGATE_TEST_REDIS}\nrabbitmq {env.FLASHGATE_TEST_AMQP}\nkeys {env.FLASHGATE_TEST_KEYS}\n}\n}\n:0 {\n"+c.site+"\n}")
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want %q", err, c.want)
			case err != nil && strings.Contains(err.Error(), "hunter2"):
				t.Errorf("the error has the password: %v", err)
			}
		})
	}
}

// JSON can name one server without the other.
func TestServersThatDoNotGoTogether(t *testing.T) {
	key := flashgate.NewKey()
	for config, want := range map[string]string{
		`{"stock":{"backend":"redis","url":"redis://127.0.0.1:1"},"keys":"` + key + `"}`:                                      "redis without rabbitmq",
		`{"queue":{"backend":"rabbitmq","url":"amqp://127.0.0.1:1"}}`:                                                         "rabbitmq without redis",
		`{"stock":{"backend":"redis"}}`:                                                                                       "redis is empty",
		`{"stock":{"backend":"redis","url":"redis://127.0.0.1:1","session_cache":-1}}`:                                        "session_cache must be between 0 and 1000000",
		`{"state":{"backend":"redis"}}`:                                                                                       "redis is empty",
		`{"stock":{"backend":"redis","url":"redis://127.0.0.1:1"},"queue":{"backend":"rabbitmq","url":"amqp://127.0.0.1:1"}}`: "redis without keys",
		`{"state":{"backend":"redis","url":"redis://127.0.0.1:1"}}`:                                                           "",
	} {
		var cfg *caddy.Config
		if err := json.Unmarshal([]byte(`{"admin":{"disabled":true},"apps":{"flashgate":`+config+`}}`), &cfg); err != nil {
			t.Fatal(err)
		}
		if err := caddy.Validate(cfg); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", config, err, want)
		}
	}
}
