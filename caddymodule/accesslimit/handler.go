package accesslimit

import (
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"flashgate"
	"flashgate/caddymodule/app"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	caddy.RegisterModule(&Handler{})
}

// op names the directive in errors, logs and metrics.
const op = "access_limit"

// Who is counted, beside a placeholder.
const (
	byAddress = "address"
	byUser    = "user"
	bySession = "session"
)

// Handler lets so many requests pass in so long, counted by whom. The window slides:
// see internal/ratelimit for the arithmetic and its bounds. A request that is refused
// costs nothing, and is answered 429 `rate_limited` with Retry-After.
//
// It sets the placeholder `{http.access_limit.remaining}`: how many more would pass
// now. While the state backend is away nobody passes: the answer is 503 `unavailable`.
type Handler struct {
	// Name of the limit. Handlers with the same name share their counters. Default in
	// a Caddyfile: matcher, limit, window and by, so that two routes never share by
	// accident; in JSON it is required.
	Name string `json:"name"`

	// How many requests may pass in a window: 1 to 1,000,000.
	Limit int `json:"limit"`

	// How long the window is: 1ms to 24h.
	Window caddy.Duration `json:"window"`

	// By whom it is counted: "address" (the client's, IPv6 by /64), "user" or
	// "session" (anonymous visitors by address), or a placeholder (where it is empty,
	// by address). Default: address.
	By string `json:"by,omitempty"`

	// "caddy" hands errors to handle_errors. Default: problem documents.
	Errors app.Errors `json:"errors,omitempty"`

	app  *app.App
	rate flashgate.Rate
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.access_limit", New: func() caddy.Module { return new(Handler) }}
}

// Provision checks the settings and finds the app.
func (h *Handler) Provision(ctx caddy.Context) (err error) {
	if err := h.Validate(); err != nil {
		return err
	}
	if h.By == "" {
		h.By = byAddress
	}
	h.rate = flashgate.Rate{Limit: h.Limit, Window: time.Duration(h.Window)}
	h.app, err = app.Get(ctx)
	return err
}

// Validate checks the settings.
func (h *Handler) Validate() error {
	if h.Name == "" || len(h.Name) > maxName {
		return fmt.Errorf("access_limit needs a name of 1 to %d bytes", maxName)
	}
	if err := (flashgate.Rate{Limit: h.Limit, Window: time.Duration(h.Window)}).Validate(); err != nil {
		return fmt.Errorf("access_limit: %s", publicText(err))
	}
	if err := validBy(h.By); err != nil {
		return err
	}
	return h.Errors.Validate()
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	v, err := flashgate.Allow(r.Context(), h.app.Limiter(), "access/"+h.Name+"/"+h.client(r, repl), h.rate)
	switch {
	case err != nil:
		// A limit that nobody counts would be none, in the hour when it is needed.
		app.CountDecision(op, string(flashgate.ErrorCode(err)))
		return h.app.Fail(w, r, op, err, h.Errors.Caddy())
	case !v.Allowed:
		app.CountDecision(op, string(flashgate.CodeRateLimited))
		return h.app.Fail(w, r, op, &flashgate.Error{Code: flashgate.CodeRateLimited, Op: op,
			Message: "Wait a little and try again.", RetryAfter: v.RetryAfter}, h.Errors.Caddy())
	default:
		app.CountDecision(op, "allowed")
		repl.Set("http.access_limit.remaining", strconv.Itoa(v.Remaining))
	}
	return next.ServeHTTP(w, r)
}

// client names who is counted. The kinds have prefixes, so that a user who is called
// like an address is not counted with it.
func (h *Handler) client(r *http.Request, repl *caddy.Replacer) string {
	key := ""
	switch h.By {
	case byAddress:
	case byUser:
		key, _ = repl.GetString("http.auth.user.id")
	case bySession:
		key, _ = repl.GetString("http.auth.user.session")
	default:
		key = repl.ReplaceAll(h.By, "")
	}
	if key != "" {
		return "key " + key
	}
	return "address " + address(r)
}

// address is the client's as Caddy knows it, never from a header of the visitor's.
// An IPv6 visitor has a whole /64 (RFC 6177).
func address(r *http.Request) string {
	text, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	a, err := netip.ParseAddr(text)
	if err != nil {
		return text
	}
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return a.String()
	}
	p, err := a.Prefix(64)
	if err != nil {
		return text
	}
	return p.String()
}

func validBy(by string) error {
	switch by {
	case "", byAddress, byUser, bySession:
		return nil
	}
	if open := strings.IndexByte(by, '{'); open < 0 || strings.IndexByte(by[open:], '}') < 2 {
		return fmt.Errorf("by %s: use user, session, address or a placeholder such as {http.request.header.X-Key}", by)
	}
	return nil
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.Validator             = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
