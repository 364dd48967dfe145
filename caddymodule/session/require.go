package session

import (
	"errors"
	"net/http"

	"flashgate"
	"flashgate/caddymodule/app"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	caddy.RegisterModule(&Require{})
}

// Require answers 401 `unauthenticated` when nobody is logged in, by whatever
// provider. When the session store was away it answers 503 `unavailable`: the
// visitor may well be logged in.
type Require struct {
	// Requests that need a login, such as "POST /api/sales/{sale}/path". One for
	// GET covers HEAD. Default: none, which means that every request needs one. A
	// pattern takes one spelling of a path; what the origin protects under other
	// spellings, it must protect itself.
	Patterns []app.Pattern `json:"patterns,omitempty"`

	// "caddy" hands errors to handle_errors. Default: problem documents.
	Errors app.Errors `json:"errors,omitempty"`

	app *app.App
}

// CaddyModule returns the Caddy module information.
func (*Require) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.session_require", New: func() caddy.Module { return new(Require) }}
}

// Provision finds the app.
func (h *Require) Provision(ctx caddy.Context) (err error) {
	h.app, err = app.Get(ctx)
	return err
}

// Validate checks the settings.
func (h *Require) Validate() error {
	for _, p := range h.Patterns {
		if !p.IsSet() {
			return errors.New("session_require has an empty pattern")
		}
	}
	return h.Errors.Validate()
}

func (h *Require) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if known(repl, "http.auth.user.id") != "" || !h.covers(r) {
		return next.ServeHTTP(w, r)
	}
	const op = "session_auth"
	err := app.Unauthenticated(r, op)
	app.CountDecision(op, string(flashgate.ErrorCode(err)))
	return h.app.Fail(w, r, op, err, h.Errors.Caddy())
}

func (h *Require) covers(r *http.Request) bool {
	if len(h.Patterns) == 0 {
		return true
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	path := r.URL.EscapedPath()
	var room [8]string
	for _, p := range h.Patterns {
		if _, ok := p.Match(r.Method, path, room[:0]); ok {
			return true
		}
		if _, ok := p.Match(method, path, room[:0]); ok {
			return true
		}
	}
	return false
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Require)(nil)
	_ caddy.Validator             = (*Require)(nil)
	_ caddyhttp.MiddlewareHandler = (*Require)(nil)
)
