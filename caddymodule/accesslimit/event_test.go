package accesslimit_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"flashgate/caddymodule/gatewaytest"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// listener is a handler of events that keeps what it hears.
type listener struct{}

var heard struct {
	sync.Mutex
	events []string
}

func init() { caddy.RegisterModule(listener{}) }

func (listener) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.test_listener", New: func() caddy.Module { return new(listener) }}
}

func (listener) Handle(_ context.Context, e caddy.Event) error {
	heard.Lock()
	defer heard.Unlock()
	heard.events = append(heard.events, fmt.Sprintf("%s %v %v %v from %s", e.Name(), e.Data["limit"], e.Data["refused"], e.Data["remote"], e.Origin().CaddyModule().ID))
	return nil
}

func (listener) UnmarshalCaddyfile(*caddyfile.Dispenser) error { return nil }

// Whoever subscribes hears of each request past a limit, and of no other.
func TestEvent(t *testing.T) {
	heard.Lock()
	heard.events = nil
	heard.Unlock()
	g := gatewaytest.Run(t, `{
	admin ADMIN
	persist_config off
	log {
		output discard
	}
	servers {
		trusted_proxies static 127.0.0.1/32
	}
	events {
		on access_limit_exceeded test_listener
	}
	flashgate {
		data_dir DATA
	}
}
SITE {
	access_limit /hard 2 1h {
		name hard
	}
	access_limit /try 1 1h {
		name tried
		dry_run
	}
	respond origin
}`)
	c := g.Client(t)
	for _, path := range []string{"/hard", "/hard", "/try", "/hard", "/try"} {
		c.Do("GET", path, "X-Forwarded-For", "192.0.2.7")
	}
	heard.Lock()
	defer heard.Unlock()
	want := []string{
		"access_limit_exceeded hard true 192.0.2.7 from http.handlers.access_limit",
		"access_limit_exceeded tried false 192.0.2.7 from http.handlers.access_limit",
	}
	if !slices.Equal(heard.events, want) {
		t.Errorf("%q, want %q", heard.events, want)
	}
}
