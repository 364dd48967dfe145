package httpcache

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"flashgate"
)

// storeTimeout bounds a write to the store: a page is not worth more.
const storeTimeout = 2 * time.Second

// place is where a request's page is, or would be.
type place struct {
	primary string // key of the URI
	extra   string // what the page depends on beside it
	key     string // of the page; of the URI when it is not known to vary
	entry   *entry // nil: not there
	soft    bool   // a soft purge has met it
	vary    []string
}

// look finds the page of a request.
func (c *Cache) look(ctx context.Context, primary, extra string, h http.Header) place {
	at := place{primary: primary, extra: extra, key: primary}
	page, soft := c.cfg.Store.Get(ctx, primary)
	if page == nil {
		return at
	}
	switch form := formOf(page).(type) {
	case *entry:
		if extra == "" {
			at.entry, at.soft = form, soft
		}
	case *variants:
		at.vary, at.key = form.names, form.key(primary, extra, h)
		if page, soft = c.cfg.Store.Get(ctx, at.key); page != nil {
			at.entry, _ = formOf(page).(*entry)
			at.soft = soft
		}
	}
	return at
}

// why says why a request goes to the origin.
func (at place) why(u use) Result {
	switch {
	case at.entry != nil && at.entry.part.partial() && u == useNone:
		return ResultPartial
	case u == useTooOld:
		return ResultOld
	case u == useRefused:
		return ResultRequest
	case at.key != at.primary:
		return ResultVaryMiss
	}
	return ResultURIMiss
}

// keep stores a page unless its URI was invalidated meanwhile.
func (c *Cache) keep(ctx context.Context, rec *recorder, e *entry) {
	f := rec.flight
	ends := e.ends(c.cfg.StaleIfUnreachable)
	if f.isDoomed() || ends.Sub(c.cfg.Now()) < time.Millisecond {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	tags := tagsOf(e.header)
	set := func(key string, data []byte, form any, tags []string, ends time.Time) {
		p := &flashgate.Page{Key: key, URL: f.primary, Tags: tags, Seen: rec.seen, Asked: rec.asked, Ends: ends, Data: data}
		p.SetForm(form)
		c.cfg.Store.Set(ctx, p)
	}
	key := f.primary
	if len(rec.vary) > 0 || f.extra != "" {
		v, last := c.variantsOf(ctx, f.primary, rec.vary)
		if last.Before(ends) {
			last = ends
		}
		set(f.primary, v.encode(), v, nil, last)
		key = v.key(f.primary, f.extra, rec.request)
	}
	data := e.encode()
	e.body = data[len(data)-len(e.body) : len(data) : len(data)] // once in memory, not twice
	set(key, data, e, tags, ends)
	if f.isDoomed() {
		// It was invalidated while it was written: whoever came first, it goes.
		c.forget(ctx, f.primary)
	}
}

// variantsOf returns the record of a URI's variants. Names that a stored page varies by
// stay, so that answers which do not all name the same fields do not push each other
// out; so does the end of the record, as a variant that lasts longer is found by it.
func (c *Cache) variantsOf(ctx context.Context, primary string, names []string) (v *variants, ends time.Time) {
	if page, _ := c.cfg.Store.Get(ctx, primary); page != nil {
		if v, ok := formOf(page).(*variants); ok {
			if subset(names, v.names) {
				return v, page.Ends
			}
			names = union(names, v.names)
		}
	}
	return &variants{generation: rand.Uint64(), names: names}, time.Time{}
}

// Bounds of what an answer may be tagged with; more is left out.
const (
	maxTags = 64
	maxTag  = 256 // bytes
)

// tagsOf reads the tags that pages are purged by: of Cache-Tag separated by commas, of
// Surrogate-Key by spaces.
func tagsOf(h http.Header) []string {
	var tags []string
	add := func(tag string) {
		if tag != "" && len(tag) <= maxTag && len(tags) < maxTags {
			tags = append(tags, tag)
		}
	}
	for _, tag := range tokens(h["Cache-Tag"]) {
		add(tag)
	}
	for _, line := range h["Surrogate-Key"] {
		for tag := range strings.FieldsSeq(line) {
			add(tag)
		}
	}
	return tags
}

// forget removes a URI with all its variants, which nobody finds without it.
func (c *Cache) forget(ctx context.Context, primary string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	c.cfg.Store.Invalidate(ctx, primary)
}

// invalidate forgets a URI and whatever is on its way for it (RFC 9111, section 4.4).
func (c *Cache) invalidate(ctx context.Context, primary string) {
	c.flights.doom(primary)
	c.forget(ctx, primary)
}
