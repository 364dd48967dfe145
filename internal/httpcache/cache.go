package httpcache

import (
	"context"
	"errors"
	"net/http"
	"strconv"
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
	DefaultMaxBody        = 1 << 20
	DefaultFillTimeout    = 30 * time.Second
	DefaultRefreshTimeout = 30 * time.Second
	DefaultMaxRefreshes   = 64
)

// Config of a Cache.
type Config struct {
	// Store keeps the pages. Required.
	Store flashgate.PageStore
	// TTL is the freshness of answers that say nothing about caching: no
	// Cache-Control, no Expires, no Pragma. Zero, the default: they are not kept.
	TTL time.Duration
	// StaleWhileRevalidate is how long a page whose answer does not say so may be
	// served stale while it is refreshed. Zero, the default: not at all.
	StaleWhileRevalidate time.Duration
	// MaxBody is the largest body that is kept, in bytes. Default 1 MiB.
	MaxBody int64
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
	// Key names the page of a request. Default Key.
	Key func(*http.Request) string
	// Detach makes the request of a refresh, which outlives the one it came from.
	// Default: a clone with the context.
	Detach func(ctx context.Context, r *http.Request, w http.ResponseWriter) *http.Request
	// Observe is called once for each request, and at the end of each refresh.
	// Default: nothing.
	Observe func(Result)
	// Failed is called when the store failed or a refresh panicked; no client is
	// told. Default: nothing.
	Failed func(what string, err error)
}

// Cache is a shared HTTP cache. It is safe for concurrent use.
type Cache struct {
	cfg     Config
	policy  policy
	flights flights
	slots   chan struct{} // of refreshes
	closed  context.Context
	close   context.CancelFunc
}

// New makes a Cache. Without a store, or with a negative setting, it is CodeInvalid.
func New(cfg Config) (*Cache, error) {
	const op = "httpcache.New"
	if cfg.Store == nil {
		return nil, flashgate.Invalid(op, "store", "is required")
	}
	if cfg.TTL < 0 || cfg.StaleWhileRevalidate < 0 || cfg.MaxBody < 0 || cfg.FillTimeout < 0 || cfg.RefreshTimeout < 0 || cfg.MaxRefreshes < 0 {
		return nil, flashgate.Invalid(op, "config", "times and sizes must not be negative")
	}
	orDefault(&cfg.MaxBody, DefaultMaxBody)
	orDefault(&cfg.FillTimeout, DefaultFillTimeout)
	orDefault(&cfg.RefreshTimeout, DefaultRefreshTimeout)
	orDefault(&cfg.MaxRefreshes, DefaultMaxRefreshes)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Key == nil {
		cfg.Key = Key
	}
	if cfg.Detach == nil {
		cfg.Detach = func(ctx context.Context, r *http.Request, _ http.ResponseWriter) *http.Request { return r.Clone(ctx) }
	}
	if cfg.Observe == nil {
		cfg.Observe = func(Result) {}
	}
	if cfg.Failed == nil {
		cfg.Failed = func(string, error) {}
	}
	c := &Cache{
		cfg:     cfg,
		policy:  policy{ttl: cfg.TTL, swr: cfg.StaleWhileRevalidate},
		flights: flights{byKey: map[string]*flight{}, all: map[*flight]struct{}{}},
		slots:   make(chan struct{}, cfg.MaxRefreshes),
	}
	c.closed, c.close = context.WithCancel(context.Background())
	return c, nil
}

func orDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Close ends the refreshes in the background. Requests may go on.
func (c *Cache) Close() { c.close() }

// maxLooks is how often a request looks for its page when the answers that it waited
// for turned out to be other variants.
const maxLooks = 3

// Serve answers a request from the cache, or by next. An error of next is returned
// as it is; ErrOnlyIfCached and the end of the client's context are the cache's own.
func (c *Cache) Serve(w http.ResponseWriter, r *http.Request, next Handler) error {
	key := c.cfg.Key(r)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return c.method(w, r, next, key)
	}
	d := demandOf(r)
	if d.bypass || len(key) > maxKey {
		return c.pass(w, r, next, d, ResultBypass, "")
	}
	for range maxLooks {
		at := c.look(r.Context(), key, r.Header)
		u := d.judge(at.page, c.cfg.Now())
		switch u {
		case useFresh:
			return c.serve(w, r, at.page, ResultHit)
		case useStale:
			c.refresh(r, next, at)
			return c.serve(w, r, at.page, ResultStale)
		}
		why := at.why(u)
		if d.onlyIfCached || r.Method == http.MethodHead {
			return c.pass(w, r, next, d, why, "")
		}
		if d.authorized {
			// Its answer is its own unless the origin says otherwise.
			return c.alone(w, r, next, at, why)
		}
		f, leads := c.flights.join(at, r.Header, d.validate)
		if f == nil {
			return c.alone(w, r, next, at, why)
		}
		if leads {
			return c.lead(w, r, next, d, f, at, why)
		}
		select {
		case <-f.done:
		case <-r.Context().Done():
			f.leave()
			return context.Cause(r.Context())
		}
		if f.page == nil {
			return c.pass(w, r, next, d, why, "; collapsed=?0")
		}
		if agree(f.vary, f.header, r.Header) {
			return c.share(w, r, next, d, f.page, why)
		}
	}
	return c.pass(w, r, next, d, ResultVaryMiss, "; collapsed=?0")
}

// serve answers with a page: 304 when the client has it (RFC 9110, section 13.2.2).
func (c *Cache) serve(w http.ResponseWriter, r *http.Request, page *entry, result Result) error {
	c.cfg.Observe(result)
	age := page.age(c.cfg.Now())
	return send(w, r, page, age, hitStatus(page.lifetime-age))
}

// share answers with the page of the flight that the request waited for. A page that
// is too old for it from the start is no answer.
func (c *Cache) share(w http.ResponseWriter, r *http.Request, next Handler, d demand, page *entry, why Result) error {
	if d.validate {
		d.validate, d.maxAge = false, -1 // it has just come from the origin
	}
	now := c.cfg.Now()
	if d.judge(page, now) != useFresh {
		return c.pass(w, r, next, d, why, "; collapsed=?0")
	}
	c.cfg.Observe(ResultCollapsed)
	return send(w, r, page, page.age(now), forwardStatus(why, false, "; collapsed"))
}

func send(w http.ResponseWriter, r *http.Request, page *entry, age time.Duration, status string) error {
	h := w.Header()
	for name, values := range page.header {
		h[name] = append([]string(nil), values...)
	}
	h["Age"] = []string{strconv.FormatInt(int64(age/time.Second), 10)}
	addStatus(h, status)
	if notModified(r.Header, page.header) {
		toNotModified(h)
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h["Content-Length"] = []string{strconv.Itoa(len(page.body))}
	w.WriteHeader(page.status)
	if r.Method == http.MethodHead {
		return nil
	}
	// A client that went away is not worth a word.
	_, _ = w.Write(page.body)
	return nil
}

// pass lets a request through; its answer is not kept.
func (c *Cache) pass(w http.ResponseWriter, r *http.Request, next Handler, d demand, why Result, more string) error {
	if d.onlyIfCached {
		c.cfg.Observe(ResultUncached)
		return ErrOnlyIfCached
	}
	c.cfg.Observe(why)
	return c.forward(&forwarded{ResponseWriter: w, status: forwardStatus(why, false, more)}, r, next)
}

// method lets a request through that is neither GET nor HEAD. An unsafe one that
// succeeds changes what is at its URI.
func (c *Cache) method(w http.ResponseWriter, r *http.Request, next Handler, key string) error {
	c.cfg.Observe(ResultMethod)
	f := &forwarded{ResponseWriter: w, status: forwardStatus(ResultMethod, false, "")}
	switch r.Method {
	case http.MethodOptions, http.MethodTrace, http.MethodConnect:
	default:
		f.seen = func(status int) {
			if status >= 200 && status < 400 {
				c.invalidate(r.Context(), key)
			}
		}
	}
	return c.forward(f, r, next)
}

func (c *Cache) forward(f *forwarded, r *http.Request, next Handler) error {
	err := next(f, r)
	if !f.wrote {
		if err == nil && f.seen != nil {
			f.seen(http.StatusOK) // the server answers so
		}
		addStatus(f.Header(), f.status) // for whoever answers now
	}
	return err
}
