package health

import (
	"encoding/json"
	"net/http"

	"flashgate/caddymodule/app"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

func init() {
	caddy.RegisterModule(&Handler{})
	httpcaddyfile.RegisterHandlerDirective("flashgate_health", parseCaddyfile)
}

// Handler answers GET and HEAD on two paths and hands everything else on.
//
// /healthz is 200 as long as the process serves. /readyz is 200 when every backend
// answers, else 503; its body names each backend and its state, never a cause: that
// goes to the log. The check is bounded by 2 seconds.
type Handler struct {
	app    *app.App
	logger *zap.Logger
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.flashgate_health", New: func() caddy.Module { return new(Handler) }}
}

// Provision finds the app.
func (h *Handler) Provision(ctx caddy.Context) (err error) {
	h.logger = ctx.Logger()
	h.app, err = app.Get(ctx)
	return err
}

// report is the body of both answers.
type report struct {
	Status   string            `json:"status"`             // ok or unavailable
	Backends map[string]string `json:"backends,omitempty"` // by name: ok or away
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return next.ServeHTTP(w, r)
	}
	switch r.URL.Path {
	case "/healthz":
		write(w, http.StatusOK, report{Status: "ok"})
		return nil
	case "/readyz":
		h.ready(w, r)
		return nil
	default:
		return next.ServeHTTP(w, r)
	}
}

func (h *Handler) ready(w http.ResponseWriter, r *http.Request) {
	status, body := http.StatusOK, report{Status: "ok", Backends: map[string]string{}}
	for _, b := range h.app.Check(r.Context()) {
		body.Backends[b.Name] = "ok"
		if b.Err != nil {
			status, body.Status, body.Backends[b.Name] = http.StatusServiceUnavailable, "unavailable", "away"
			h.logger.Warn("backend is away", zap.String("backend", b.Name), zap.String("module", b.Module), zap.Error(b.Err))
		}
	}
	write(w, status, body)
}

func write(w http.ResponseWriter, status int, body report) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// A probe that went away is not worth a word.
	_ = json.NewEncoder(w).Encode(body)
}

// parseCaddyfile reads the directive, which has no options. Syntax:
//
//	flashgate_health [<matcher>]
func parseCaddyfile(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	h.Next() // consume the directive's name
	if h.NextArg() || h.NextBlock(0) {
		return nil, h.Err("flashgate_health has no arguments and no options")
	}
	return new(Handler), nil
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
