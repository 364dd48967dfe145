package accesslimit_test

import (
	"net/http"
	"testing"

	"flashgate"
	"flashgate/caddymodule/app"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// solver stands for a captcha directive: whoever sends its header has solved one.
type solver struct{}

func init() {
	caddy.RegisterModule(solver{})
	httpcaddyfile.RegisterHandlerDirective("test_solver", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		h.Next()
		return solver{}, nil
	})
}

func (solver) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_solver", New: func() caddy.Module { return new(solver) }}
}

func (solver) Provision(ctx caddy.Context) error {
	a, err := app.Get(ctx)
	if err != nil {
		return err
	}
	a.ProvideStepUp(func(r *http.Request) bool { return r.Header.Get("X-Solved") == "yes" })
	return nil
}

func (solver) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return next.ServeHTTP(w, r)
}

// OWASP OAT-009, CAPTCHA defeat: past the soft limit a captcha is needed and lets a person
// behind a shared address go on; a bot that solves captchas is still held by the hard limit,
// and by a ban.
func TestStepUp(t *testing.T) {
	g := run(t, `
	route {
		test_solver
	}
	access_limit /x {
		limit 2 1h {
			name soft
			step_up /human?return=%2Fx
		}
		limit 5 1h by all {
			name hard
		}
	}
	access_limit /y 1 1h {
		name banning
		step_up
		ban 24h after 2 in 1h
	}`)
	c := g.Client(t)
	for i, x := range []struct {
		solved string
		status int
		code   flashgate.Code
	}{
		{"", 200, ""}, {"no", 200, ""}, {"", 403, flashgate.CodeCaptchaRequired}, {"YES", 403, flashgate.CodeCaptchaRequired},
		{"yes", 200, ""}, {"", 403, flashgate.CodeCaptchaRequired}, {"yes", 200, ""}, {"yes", 200, ""},
		{"yes", 429, flashgate.CodeRateLimited}, {"", 429, flashgate.CodeRateLimited},
	} {
		a := c.Do("GET", "/x", "X-Solved", x.solved)
		if a.Status != x.status || a.Code() != x.code {
			t.Errorf("request %d, solved %q: %d %s, want %d %s", i, x.solved, a.Status, a.Code(), x.status, x.code)
		}
		where := ""
		if x.code == flashgate.CodeCaptchaRequired {
			where = `</human?return=%2Fx>; rel="captcha"`
		}
		if got := a.Header.Get("Link"); got != where {
			t.Errorf("request %d, solved %q: Link is %q, want %q", i, x.solved, got, where)
		}
	}
	for range 3 {
		c.Do("GET", "/y")
	}
	banned(t, c, "/y", "X-Solved", "yes")
}
