package pagecache

import (
	"context"
	"errors"
	"net/http"
	"time"

	"flashgate/caddymodule/app"
	"flashgate/internal/httpcache"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

func init() {
	caddy.RegisterModule(&Handler{})
}

// op names the directive in errors, logs and metrics.
const op = "page_cache"

// Handler is a shared HTTP cache (RFC 9111) for pages that are the same for
// everybody. It keeps whole answers to GET with status 200 that say how long they are
// fresh (Cache-Control: s-maxage or max-age, Expires), and answers GET and HEAD with
// them. It never keeps an answer with Set-Cookie, private, no-store, no-cache or
// Vary: *, nor one to a request with Authorization unless it says public, s-maxage or
// must-revalidate. Cookies of the request play no part: a page that depends on them
// must say private or Vary.
//
// Of concurrent requests for a page that is not there one goes to the origin. A
// successful POST, PUT, PATCH or DELETE makes the cache forget its address. What was
// done is said in Cache-Status (RFC 9211).
//
// In the default order it comes before encode: it keeps each coding of a page by
// itself, told apart by Vary: Accept-Encoding, and a hit costs no compression.
type Handler struct {
	// Freshness of answers that say nothing about caching: neither Cache-Control nor
	// Expires nor Pragma. 1ms to 24h. Default: such answers are not kept.
	TTL caddy.Duration `json:"ttl,omitempty"`

	// How long a page may be served stale while one request in the background
	// refreshes it (RFC 5861). The answer's own stale-while-revalidate wins; with
	// must-revalidate, proxy-revalidate or s-maxage nothing is served stale.
	// 1ms to 24h. Default: not at all.
	StaleWhileRevalidate caddy.Duration `json:"stale_while_revalidate,omitempty"`

	// The largest body that is kept, in bytes: 1 to 64 MiB. A larger one passes.
	// Default: 1 MiB. The state backend may keep less.
	MaxBody int64 `json:"max_body,omitempty"`

	// "caddy" hands the cache's own error, the 504 for only-if-cached, to
	// handle_errors. Default: a problem document. Errors of the origin are always
	// handed on.
	Errors app.Errors `json:"errors,omitempty"`

	cache  *httpcache.Cache
	logger *zap.Logger
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.page_cache", New: func() caddy.Module { return new(Handler) }}
}

// Provision finds the app and makes the cache. What was kept before a reload is
// still there after it.
func (h *Handler) Provision(ctx caddy.Context) error {
	if err := h.Validate(); err != nil {
		return err
	}
	h.logger = ctx.Logger()
	a, err := app.Get(ctx)
	if err != nil {
		return err
	}
	h.cache, err = httpcache.New(httpcache.Config{
		Store:                a.Pages(),
		TTL:                  time.Duration(h.TTL),
		StaleWhileRevalidate: time.Duration(h.StaleWhileRevalidate),
		MaxBody:              h.MaxBody,
		Key:                  key,
		Detach:               detach,
		Observe:              func(r httpcache.Result) { app.CountDecision(op, string(r)) },
		Failed: func(what string, err error) {
			if app.KnownAway(err) {
				return // the log has its line
			}
			h.logger.Warn("page cache: it goes on without", zap.String("step", what), zap.Error(err))
		},
	})
	return err
}

// Cleanup ends the refreshes in the background.
func (h *Handler) Cleanup() error {
	if h.cache != nil {
		h.cache.Close()
	}
	return nil
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	err := h.cache.Serve(w, r, next.ServeHTTP)
	switch {
	case errors.Is(err, httpcache.ErrOnlyIfCached):
		return h.refuse(w, err)
	case err != nil && errors.Is(err, context.Canceled) && r.Context().Err() != nil:
		// The client left while it waited for another one's answer.
		var answered caddyhttp.HandlerError
		if !errors.As(err, &answered) {
			return caddyhttp.Error(499, err)
		}
	}
	return err
}

// onlyIfCached is a problem document (RFC 9457) without a code: 504 is what the
// client asked for (RFC 9111, section 5.2.1.7), and no refusal of flashgate's own.
const onlyIfCached = `{"type":"about:blank","title":"Gateway Timeout","status":504,"detail":"The page is not in the cache."}` + "\n"

func (h *Handler) refuse(w http.ResponseWriter, err error) error {
	w.Header().Set("Cache-Control", "no-store")
	if h.Errors.Caddy() {
		return caddyhttp.Error(http.StatusGatewayTimeout, err)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusGatewayTimeout)
	_, _ = w.Write([]byte(onlyIfCached))
	return nil
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.Validator             = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
