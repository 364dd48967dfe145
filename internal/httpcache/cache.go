package httpcache

import (
	"context"
	"net/http"
	"net/url"
)

// Cache is a shared HTTP cache. It is safe for concurrent use.
type Cache struct {
	cfg     Config
	keyer   keyer
	policy  policy
	flights *Flights
	slots   chan struct{} // of refreshes
	guards  guards
}

// New makes a Cache. Without a store, or with a setting that cannot be, it is
// CodeInvalid.
func New(cfg Config) (*Cache, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Cache{
		cfg:   cfg,
		keyer: keyer{parts: cfg.Key, address: cfg.Address, trusted: cfg.Trusted},
		policy: policy{
			ttl: cfg.TTL, override: cfg.TTLOverride, statuses: cfg.Statuses, heuristic: cfg.Heuristic,
			swr: cfg.StaleWhileRevalidate, sie: cfg.StaleIfError,
		},
		flights: cfg.Flights,
		slots:   make(chan struct{}, cfg.MaxRefreshes),
		guards:  allGuards,
	}, nil
}

// Address is what a request's page is purged by, such as
// "https://shop.example/goods/1?color=red".
func (c *Cache) Address(r *http.Request) string {
	address, _ := c.keyer.place(r)
	return address
}

// addressOf is what the client asked for.
func (c *Cache) addressOf(r *http.Request) *url.URL {
	if c.cfg.Address == nil {
		return r.URL
	}
	return c.cfg.Address(r)
}

// Bypass lets a request through that the operator has excepted. An unsafe one changes
// what is at its URI all the same.
func (c *Cache) Bypass(w http.ResponseWriter, r *http.Request, next Handler) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return c.method(w, r, next, c.Address(r))
	}
	return c.pass(w, r, next, demandOf(r, false), ResultBypass, "")
}

// maxLooks is how often a request looks for its page when the answers that it waited
// for turned out to be other variants.
const maxLooks = 3

// Serve answers a request from the cache, or by next. An error of next is returned
// as it is; ErrOnlyIfCached and the end of the client's context are the cache's own.
func (c *Cache) Serve(w http.ResponseWriter, r *http.Request, next Handler) error {
	primary, extra := c.keyer.place(r)
	if c.cfg.Explain != nil && c.cfg.Explain(r) {
		w = &explained{ResponseWriter: w, key: primary}
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return c.method(w, r, next, primary)
	}
	d := demandOf(r, c.cfg.IgnoreClientCacheControl)
	if c.flights.loops(r.Header) {
		explain(w, "loop")
		return c.pass(w, r, next, d, ResultBypass, "")
	}
	if d.bypass {
		explain(w, "request")
		return c.pass(w, r, next, d, ResultBypass, "")
	}
	if len(primary) > maxKey || c.guards.paths && ambiguous(c.addressOf(r)) {
		explain(w, "address")
		return c.pass(w, r, next, d, ResultBypass, "")
	}
	for range maxLooks {
		at := c.look(r.Context(), primary, extra, r.Header)
		now := c.cfg.Now()
		u := d.judge(at.entry, at.soft, now)
		switch u {
		case useFresh:
			c.cfg.Observe(ResultHit)
			c.answer(w, r.Method, d, at.entry, at.soft, now, "")
			return nil
		case useStale, useAged:
			if u == useStale {
				c.refresh(r, next, d, at)
			}
			c.cfg.Observe(ResultStale)
			c.answer(w, r.Method, d, at.entry, at.soft, now, "")
			return nil
		}
		why := at.why(u)
		if d.onlyIfCached {
			return c.pass(w, r, next, d, why, "")
		}
		if r.Method == http.MethodHead {
			return c.head(w, r, next, d, at, why)
		}
		// The answer to a request with Authorization is its own unless the origin says
		// otherwise; a part of a page is no answer for others.
		if d.authorized || d.ranged && !at.whole() {
			return c.alone(w, r, next, d, at, why)
		}
		f, leads := c.flights.join(at, r.Header, d.validate, now, c.cfg.Store.Seen())
		if f == nil {
			return c.alone(w, r, next, d, at, why)
		}
		if leads {
			return c.lead(w, r, next, d, f, at, why)
		}
		done, err := c.wait(w, r, next, d, f, at, why)
		if done {
			return err
		}
	}
	return c.pass(w, r, next, d, ResultVaryMiss, "; collapsed=?0")
}

// whole reports whether a whole page is stored that can be validated.
func (at place) whole() bool {
	return at.entry != nil && !at.entry.part.partial() && at.entry.status == http.StatusOK && at.entry.validators()
}

// wait shares the answer of another request's flight. It is not done when that is
// another variant's.
func (c *Cache) wait(w http.ResponseWriter, r *http.Request, next Handler, d demand, f *flight, at place, why Result) (done bool, err error) {
	select {
	case <-f.done:
	case <-r.Context().Done():
		f.leave()
		return true, context.Cause(r.Context())
	}
	now := c.cfg.Now()
	switch {
	case f.failed && d.standsIn(at, now, f.beyond):
		c.cfg.Observe(ResultStaleError)
		c.answer(w, r.Method, d, at.entry, at.soft, now, forwardStatus(why, false, f.trouble+"; collapsed"))
		return true, nil
	case f.page == nil:
		// It has something to wait for no longer, and goes its own way with all others.
		return true, c.alone(w, r, next, d, at, why)
	case !agree(f.vary, f.header, r.Header):
		return false, nil
	}
	if d.validate {
		d.validate, d.maxAge = false, -1 // it has just come from the origin
	}
	// A page that is too old for it from the start is no answer.
	if d.judge(f.page, f.soft, now) != useFresh {
		return true, c.alone(w, r, next, d, at, why)
	}
	c.cfg.Observe(ResultCollapsed)
	c.answer(w, r.Method, d, f.page, f.soft, now, forwardStatus(why, false, "; collapsed"))
	return true, nil
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
