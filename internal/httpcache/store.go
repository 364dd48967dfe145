package httpcache

import (
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"
)

// storeTimeout bounds a write to the store: a page is not worth more.
const storeTimeout = 2 * time.Second

// place is where a request's page is, or would be.
type place struct {
	primary string // key of the URI
	key     string // key of the page
	page    *entry // nil: not there
	vary    []string
}

// look finds the page of a request. A store that fails is a store without the page.
func (c *Cache) look(ctx context.Context, primary string, h http.Header) place {
	at := place{primary: primary, key: primary}
	page, v := c.read(ctx, primary)
	if len(v.names) > 0 {
		at.key = variantKey(primary, v, h)
		at.vary = v.names
		page, _ = c.read(ctx, at.key)
	}
	at.page = page
	return at
}

// why says why a request goes to the origin.
func (at place) why(u use) Result {
	switch {
	case u == useTooOld:
		return ResultOld
	case u == useRefused:
		return ResultRequest
	case at.key != at.primary:
		return ResultVaryMiss
	}
	return ResultURIMiss
}

func (c *Cache) read(ctx context.Context, key string) (*entry, variants) {
	b, ok, err := c.cfg.Store.GetPage(ctx, key)
	if err != nil {
		if ctx.Err() == nil {
			c.cfg.Failed("read", err)
		}
		return nil, variants{}
	}
	if !ok {
		return nil, variants{}
	}
	page, v, err := decode(b)
	if err != nil {
		// Another version of the program wrote it: as good as not there.
		return nil, variants{}
	}
	return page, v
}

// keep stores a page unless its URI was invalidated meanwhile. Failing is not the
// client's business.
func (c *Cache) keep(ctx context.Context, rec *recorder, page *entry) {
	ttl := page.keep(c.cfg.Now())
	if ttl < time.Millisecond || rec.flight.isDoomed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	primary := rec.flight.primary
	key := primary
	if len(rec.vary) > 0 {
		_, v := c.read(ctx, primary)
		if !slices.Equal(v.names, rec.vary) {
			v = variants{generation: rand.Uint64(), names: rec.vary}
		}
		if err := c.cfg.Store.SetPage(ctx, primary, v.encode(), ttl); err != nil {
			c.cfg.Failed("write", err)
			return
		}
		key = variantKey(primary, v, rec.request)
	}
	if err := c.cfg.Store.SetPage(ctx, key, page.encode(), ttl); err != nil {
		c.cfg.Failed("write", err)
	}
	if rec.flight.isDoomed() {
		// It was invalidated while it was written: whoever came first, it goes.
		c.forget(ctx, primary)
	}
}

// forget removes a URI with all its variants, which nobody finds without it.
func (c *Cache) forget(ctx context.Context, primary string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	if err := c.cfg.Store.DeletePage(ctx, primary); err != nil {
		c.cfg.Failed("delete", err)
	}
}

// invalidate forgets a URI and whatever is on its way for it (RFC 9111, section 4.4).
func (c *Cache) invalidate(ctx context.Context, primary string) {
	c.flights.doom(primary)
	c.forget(ctx, primary)
}
