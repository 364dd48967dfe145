package httpcache

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

// method lets a request through that is neither GET nor HEAD. An unsafe one that
// succeeds changes what is at its URI, and at those that its answer names (RFC 9111,
// section 4.4).
func (c *Cache) method(w http.ResponseWriter, r *http.Request, next Handler, primary string) error {
	c.cfg.Observe(ResultMethod)
	f := &forwarded{ResponseWriter: w, status: forwardStatus(ResultMethod, false, "")}
	switch r.Method {
	case http.MethodOptions, http.MethodTrace, http.MethodConnect:
	default:
		ctx, host, base := r.Context(), r.Host, *r.URL
		if c.cfg.Address != nil {
			base = *c.cfg.Address(r)
		}
		base.Host, base.Scheme = host, scheme(r)
		f.seen = func(status int) {
			if status >= 200 && status < 400 {
				c.invalidate(ctx, primary)
				c.invalidateNamed(ctx, &base, f.Header())
			}
		}
	}
	return c.forward(f, r, next)
}

func scheme(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

// invalidateNamed forgets the addresses of Location and Content-Location. Those of other
// hosts are none of this origin's business.
func (c *Cache) invalidateNamed(ctx context.Context, base *url.URL, h http.Header) {
	for _, name := range []string{"Location", "Content-Location"} {
		named := first(h[name])
		if named == "" {
			continue
		}
		u, err := base.Parse(named)
		if err != nil || !strings.EqualFold(u.Host, base.Host) || u.Scheme != base.Scheme {
			continue
		}
		c.invalidate(ctx, c.keyer.of(u.Scheme, u.Host, u))
	}
}

// head lets a HEAD through. Its answer tells whether a page that is stored is still the
// one, and then freshens it (RFC 9111, section 4.3.5).
func (c *Cache) head(w http.ResponseWriter, r *http.Request, next Handler, d demand, at place, why Result) error {
	c.cfg.Observe(why)
	f := &forwarded{ResponseWriter: w, status: forwardStatus(why, false, "")}
	// An invalidation while it is on its way concerns it too.
	flight := c.flights.alone(at, r.Header)
	defer flight.end()
	ctx, asked, seen, request, before := r.Context(), c.cfg.Now(), c.cfg.Store.Seen(), r.Header, w.Header().Clone()
	f.seen = func(status int) {
		e, now := at.entry, c.cfg.Now()
		if e == nil || status != http.StatusOK || e.status != http.StatusOK || d.authorized {
			return
		}
		same, differs := e.compare(f.Header())
		switch {
		case differs:
			c.forget(ctx, at.primary)
		case same && !e.part.partial():
			news := keepable(f.Header(), before)
			if len(news["Date"]) == 0 {
				news["Date"] = []string{now.UTC().Format(http.TimeFormat)}
			}
			fresh, ok := c.update(e, news, f.Header()["Age"], false, now.Sub(asked), now)
			if !ok {
				c.forget(ctx, at.primary)
				return
			}
			rec := &recorder{cache: c, flight: flight, seen: seen, asked: asked, request: request}
			rec.vary = varyAfter(fresh, before)
			c.keep(ctx, rec, fresh)
		}
	}
	defer c.borrow(r.Context(), r, cloned(r.Header))()
	return c.forward(f, r, next)
}
