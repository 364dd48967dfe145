package httpcache

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"flashgate"
)

// Handler answers a request, or returns an error and leaves the answer to others.
type Handler func(w http.ResponseWriter, r *http.Request) error

// ErrOnlyIfCached is returned for a request with only-if-cached that the cache
// cannot answer: it deserves a 504 (RFC 9111, section 5.2.1.7).
var ErrOnlyIfCached = errors.New("httpcache: only-if-cached, and nothing is stored")

// Defaults of a Config.
const (
	DefaultMaxBody            = 1 << 20
	DefaultStaleIfUnreachable = time.Hour
	DefaultFillTimeout        = 30 * time.Second
	DefaultRefreshTimeout     = 30 * time.Second
	DefaultMaxRefreshes       = 64
)

// Config of a Cache.
type Config struct {
	// Store keeps the pages. Required.
	Store flashgate.PageCache
	// Flights are shared by all caches of a store, so that one request to the origin
	// serves all who wait, also across a change of the configuration. Default: its own.
	Flights *Flights

	// TTL is the freshness of answers with status 200 that say nothing about caching: no
	// Cache-Control, no Expires, no Pragma. Zero, the default: they are not kept.
	TTL time.Duration
	// TTLOverride is the freshness of all answers below 300 that may be kept, whatever
	// they say. Zero, the default: what they say.
	TTLOverride time.Duration
	// Statuses is the freshness of answers with a status that say nothing. Default: none.
	Statuses map[int]time.Duration
	// Heuristic guesses the freshness of answers that do not say it from Last-Modified
	// (RFC 9111, section 4.2.2). Default: no.
	Heuristic bool
	// StaleWhileRevalidate is how long a page whose answer does not say so may be
	// served stale while it is refreshed. Zero, the default: not at all.
	StaleWhileRevalidate time.Duration
	// StaleIfError is how long a page whose answer does not say so may be served stale
	// when the origin answers 500, 502, 503 or 504. Zero, the default: not at all.
	StaleIfError time.Duration
	// StaleIfUnreachable is how long a page may be served stale when the origin cannot be
	// reached. Default 1 h; negative: not at all.
	StaleIfUnreachable time.Duration

	// Key is what tells pages apart.
	Key KeyParts
	// Address is what the client asked for, where it is not what the origin is asked for.
	// Default: the request's URL.
	Address func(*http.Request) *url.URL
	// Trusted reports that a request's X-Forwarded-* fields and their like come from a
	// proxy and not from the client. Default: no request's.
	Trusted func(*http.Request) bool
	// IgnoreClientCacheControl answers from the cache whatever Cache-Control and Pragma of
	// the request say, but for only-if-cached.
	IgnoreClientCacheControl bool
	// MaxBody is the largest body that is kept, in bytes. Default 1 MiB.
	MaxBody int64
	// BrowserCacheControl is the Cache-Control that clients get of pages that are kept, in
	// place of the origin's. Default: the origin's.
	BrowserCacheControl string
	// ETag makes entity tags for pages that have none. Default: no.
	ETag ETag
	// Explain reports that Cache-Status is to say more, with the key and why an answer is
	// not kept. Default: never.
	Explain func(*http.Request) bool

	// FillTimeout is how long a request to the origin may go on when its client has
	// left. Default 30 s.
	FillTimeout time.Duration
	// RefreshTimeout bounds a refresh in the background. Default 30 s.
	RefreshTimeout time.Duration
	// MaxRefreshes is how many pages are refreshed in the background at once; at the
	// limit a stale page is served without. Default 64.
	MaxRefreshes int
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Detach makes the request of a refresh, which outlives the one it came from.
	// Default: a clone with the context.
	Detach func(ctx context.Context, r *http.Request, w http.ResponseWriter) *http.Request
	// ErrorStatus is the status that an error of a handler stands for: 502, 503 and 504
	// mean that the origin cannot be reached. Default: 502 for all.
	ErrorStatus func(error) int
	// Observe is called once for each request, and at the end of each refresh.
	// Default: nothing.
	Observe func(Result)
	// Failed is called when a refresh failed or panicked; no client is told. Default:
	// nothing.
	Failed func(what string, err error)
}

// withDefaults checks a configuration and fills in what it leaves out.
func (cfg Config) withDefaults() (Config, error) {
	const op = "httpcache.New"
	if cfg.Store == nil {
		return cfg, flashgate.Invalid(op, "store", "is required")
	}
	if min(cfg.TTL, cfg.TTLOverride, cfg.StaleWhileRevalidate, cfg.StaleIfError, cfg.FillTimeout, cfg.RefreshTimeout) < 0 || cfg.MaxBody < 0 || cfg.MaxRefreshes < 0 {
		return cfg, flashgate.Invalid(op, "config", "times and sizes must not be negative")
	}
	for status, ttl := range cfg.Statuses {
		if status < 200 || status > 599 || status == http.StatusPartialContent || status == http.StatusNotModified || ttl <= 0 {
			return cfg, flashgate.Invalid(op, "statuses", "must be final, and last")
		}
	}
	switch cfg.ETag {
	case ETagNone, ETagWeak, ETagStrong:
	default:
		return cfg, flashgate.Invalid(op, "etag", "must be weak or strong")
	}
	orDefault(&cfg.StaleIfUnreachable, DefaultStaleIfUnreachable)
	cfg.StaleIfUnreachable = max(cfg.StaleIfUnreachable, 0)
	orDefault(&cfg.MaxBody, DefaultMaxBody)
	orDefault(&cfg.FillTimeout, DefaultFillTimeout)
	orDefault(&cfg.RefreshTimeout, DefaultRefreshTimeout)
	orDefault(&cfg.MaxRefreshes, DefaultMaxRefreshes)
	if cfg.Flights == nil {
		cfg.Flights = NewFlights()
	}
	if cfg.Trusted == nil {
		cfg.Trusted = func(*http.Request) bool { return false }
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Detach == nil {
		cfg.Detach = func(ctx context.Context, r *http.Request, _ http.ResponseWriter) *http.Request { return r.Clone(ctx) }
	}
	if cfg.ErrorStatus == nil {
		cfg.ErrorStatus = func(error) int { return http.StatusBadGateway }
	}
	if cfg.Observe == nil {
		cfg.Observe = func(Result) {}
	}
	if cfg.Failed == nil {
		cfg.Failed = func(string, error) {}
	}
	return cfg, nil
}

func orDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}
