package pagecache

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/netip"
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
// everybody. It keeps answers that say how long they are fresh (CDN-Cache-Control of
// RFC 9213, Cache-Control: s-maxage or max-age, Expires), validates them with the origin
// when they are stale, and answers GET, HEAD and requests for ranges with them. It
// never keeps an answer with Set-Cookie, private, no-store or Vary: *, nor one to a
// request with Authorization unless it says public, s-maxage or must-revalidate. Cookies
// of the request play no part unless they are made part of the key: a page that depends
// on them must say private or Vary.
//
// Of concurrent requests for a page that is not there one goes to the origin. A
// successful POST, PUT, PATCH or DELETE makes the cache forget its address, and those of
// the answer's Location and Content-Location. What was done is said in Cache-Status
// (RFC 9211).
//
// In the default order it comes before encode: it keeps each coding of a page by
// itself, told apart by Vary: Accept-Encoding, and a hit costs no compression.
type Handler struct {
	// Freshness of answers with status 200 that say nothing about caching: neither
	// Cache-Control nor Expires nor Pragma. 1ms to 8760h. Default: such answers are not
	// kept.
	TTL caddy.Duration `json:"ttl,omitempty"`

	// Freshness of all answers with a status below 300 that may be kept, in place of what
	// they say. 1ms to 8760h. Default: what they say.
	TTLOverride caddy.Duration `json:"ttl_override,omitempty"`

	// Freshness by status of answers that say nothing about caching, such as
	// {"404": "10s"}. 1ms to 8760h. Default: such answers are not kept.
	Statuses map[int]caddy.Duration `json:"status,omitempty"`

	// Guess the freshness of answers that do not say it: a tenth of the time since
	// Last-Modified, at most a day. Default: false.
	Heuristic bool `json:"heuristic,omitempty"`

	// How long a page may be served stale while one request in the background
	// refreshes it (RFC 5861). The answer's own stale-while-revalidate wins; with
	// must-revalidate, proxy-revalidate, no-cache or s-maxage nothing is served stale.
	// 1ms to 8760h. Default: not at all.
	StaleWhileRevalidate caddy.Duration `json:"stale_while_revalidate,omitempty"`

	// How long a page may be served stale when the origin answers 500, 502, 503 or 504
	// (RFC 5861). The answer's own stale-if-error wins. 1ms to 8760h. Default: not at all.
	StaleIfError caddy.Duration `json:"stale_if_error,omitempty"`

	// How long a page may be served stale when the origin cannot be reached. 1ms to 8760h;
	// -1: not at all. Default: 1h.
	StaleIfUnreachable caddy.Duration `json:"stale_if_unreachable,omitempty"`

	// What tells pages apart beside scheme, host and address.
	Key *Key `json:"key,omitempty"`

	// Requests that are neither answered from the cache nor kept. Default: none.
	BypassRaw caddyhttp.RawMatcherSets `json:"bypass,omitempty" caddy:"namespace=http.matchers"`

	// The largest body that is kept, in bytes: 1 to 64 MiB. A larger one passes.
	// Default: 1 MiB.
	MaxBody int64 `json:"max_body,omitempty"`

	// Answer from the cache whatever Cache-Control and Pragma of the request say, but for
	// only-if-cached. Default: false.
	IgnoreClientCacheControl bool `json:"ignore_client_cache_control,omitempty"`

	// Cache-Control that browsers get of pages that are kept, in place of the origin's,
	// which the gateway goes by. Default: the origin's.
	BrowserCacheControl string `json:"browser_cache_control,omitempty"`

	// Entity tags for pages that have none, "weak" or "strong": from the second request
	// on a browser that has the page gets 304. Default: none.
	ETag httpcache.ETag `json:"etag,omitempty"`

	// A request whose Flashgate-Explain has this text is told the key of its page, and why
	// an answer is not kept, in Cache-Status. 16 bytes at least; placeholders such as
	// {env.EXPLAIN_KEY} are replaced at start. Default: nobody is told.
	ExplainKey string `json:"explain_key,omitempty"`

	// Networks whose clients may purge with the method PURGE. Default: none; the method is
	// then the origin's.
	PurgeFrom []string `json:"purge_from,omitempty"`

	// "caddy" hands the cache's own error, the 504 for only-if-cached, to
	// handle_errors. Default: a problem document. Errors of the origin are always
	// handed on.
	Errors app.Errors `json:"errors,omitempty"`

	cache     *httpcache.Cache
	store     app.Pages
	bypass    caddyhttp.MatcherSets
	explain   string
	purgeFrom []netip.Prefix
	logger    *zap.Logger
}

// Key is what tells pages apart beside scheme, host and address.
type Key struct {
	// All names of the site share their pages. Default: false.
	AnyHost bool `json:"any_host,omitempty"`
	// Names of the query's parameters that matter. The others are kept from the origin.
	// Default: the query as it is. Empty: none.
	Query *[]string `json:"query,omitempty"`
	// Request fields and cookies whose values matter.
	Headers []string `json:"header,omitempty"`
	Cookies []string `json:"cookie,omitempty"`
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
	if h.BypassRaw != nil {
		if err := app.LoadMatchers(ctx, h, "BypassRaw", &h.bypass); err != nil {
			return err
		}
	}
	if err := h.provisionExplain(); err != nil {
		return err
	}
	if h.purgeFrom, err = networks(h.PurgeFrom); err != nil {
		return err
	}
	store := a.Pages()
	shared, err := flightsOf(store)
	if err != nil {
		return err
	}
	h.store = store
	h.cache, err = httpcache.New(h.config(shared))
	return err
}

// Cleanup gives up its part in what outlives a reload.
func (h *Handler) Cleanup() error {
	if h.cache == nil {
		return nil
	}
	_, err := flights.Delete(h.store.Key)
	return err
}

func (h *Handler) provisionExplain() error {
	h.explain = caddy.NewReplacer().ReplaceKnown(h.ExplainKey, "")
	if h.ExplainKey != "" && len(h.explain) < minExplainKey {
		return errExplainKey
	}
	return nil
}

func (h *Handler) config(shared *httpcache.Flights) httpcache.Config {
	cfg := httpcache.Config{
		Store:                    h.store,
		Flights:                  shared,
		TTL:                      time.Duration(h.TTL),
		TTLOverride:              time.Duration(h.TTLOverride),
		Statuses:                 map[int]time.Duration{},
		Heuristic:                h.Heuristic,
		StaleWhileRevalidate:     time.Duration(h.StaleWhileRevalidate),
		StaleIfError:             time.Duration(h.StaleIfError),
		StaleIfUnreachable:       time.Duration(h.StaleIfUnreachable),
		IgnoreClientCacheControl: h.IgnoreClientCacheControl,
		MaxBody:                  h.MaxBody,
		BrowserCacheControl:      h.BrowserCacheControl,
		ETag:                     h.ETag,
		Address:                  address,
		Trusted:                  trusted,
		Detach:                   detach,
		ErrorStatus:              errorStatus,
		Observe:                  counters(),
		Failed: func(what string, err error) {
			if app.KnownAway(err) {
				return // the log has its line
			}
			h.logger.Warn("page cache: it goes on without", zap.String("step", what), zap.Error(err))
		},
	}
	for status, ttl := range h.Statuses {
		cfg.Statuses[status] = time.Duration(ttl)
	}
	if h.Key != nil {
		cfg.Key = httpcache.KeyParts{AnyHost: h.Key.AnyHost, Headers: canonical(h.Key.Headers), Cookies: h.Key.Cookies}
		if h.Key.Query != nil {
			cfg.Key.Query = append([]string{}, *h.Key.Query...)
		}
	}
	if h.explain != "" {
		cfg.Explain = func(r *http.Request) bool {
			got := r.Header.Get(explainField)
			return got != "" && subtle.ConstantTimeCompare([]byte(got), []byte(h.explain)) == 1
		}
	}
	return cfg
}

// explainField is the request field that brings the explain key.
const explainField = "Flashgate-Explain"

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if r.Method == methodPurge && len(h.purgeFrom) > 0 {
		return h.purge(w, r)
	}
	if taken(r) {
		return next.ServeHTTP(w, r)
	}
	if len(h.bypass) > 0 {
		if matched, err := h.bypass.AnyMatchWithError(r); err != nil {
			return err
		} else if matched {
			return h.cache.Bypass(w, r, next.ServeHTTP)
		}
	}
	err := h.cache.Serve(w, r, next.ServeHTTP)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, httpcache.ErrOnlyIfCached):
		return h.refuse(w, http.StatusGatewayTimeout, onlyIfCached, err)
	case errors.Is(err, context.Canceled) && r.Context().Err() != nil:
		// The client left while it waited for another one's answer.
		var answered caddyhttp.HandlerError
		if !errors.As(err, &answered) {
			return caddyhttp.Error(499, err)
		}
	}
	return err
}

// Problem documents (RFC 9457) without a code: the statuses are what HTTP says, and no
// refusal of flashgate's own.
const (
	onlyIfCached = `{"type":"about:blank","title":"Gateway Timeout","status":504,"detail":"The page is not in the cache."}` + "\n"
	notYours     = `{"type":"about:blank","title":"Forbidden","status":403,"detail":"Purging is not allowed from this address."}` + "\n"
	notAPurge    = `{"type":"about:blank","title":"Bad Request","status":400,"detail":"An address or a tag to purge has 1 to 8192 bytes."}` + "\n"
	notPurged    = `{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"Purged on this gateway, but the others cannot be told."}` + "\n"
)

func (h *Handler) refuse(w http.ResponseWriter, status int, problem string, err error) error {
	w.Header().Set("Cache-Control", "no-store")
	if h.Errors.Caddy() {
		return caddyhttp.Error(status, err)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(problem))
	return nil
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.Validator             = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
