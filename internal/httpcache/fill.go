package httpcache

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"strconv"
)

// lead asks the origin for all who want the page. The request does not end with its
// client while others wait or the page is worth keeping.
func (c *Cache) lead(w http.ResponseWriter, r *http.Request, next Handler, d demand, f *flight, at place, why Result) error {
	defer f.end() // whatever happens, nobody waits for ever
	if !d.validate {
		// The flight before this one may have ended since the store was read.
		at = c.look(r.Context(), at.primary, at.extra, r.Header)
		if now := c.cfg.Now(); d.judge(at.entry, at.soft, now) == useFresh {
			f.settle(outcome{page: at.entry, soft: at.soft, vary: at.vary})
			c.cfg.Observe(ResultHit)
			c.answer(w, r.Method, d, at.entry, at.soft, now, "")
			return nil
		}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	defer cancel()
	f.begin(cancel)
	defer context.AfterFunc(r.Context(), func() { f.clientGone(c.cfg.FillTimeout) })()

	rec := c.record(w, r, d, f, at, why)
	defer c.borrow(ctx, r, rec.ask(r.Header))()
	return rec.run(next, r)
}

// alone asks the origin for one client. The answer may be kept all the same.
func (c *Cache) alone(w http.ResponseWriter, r *http.Request, next Handler, d demand, at place, why Result) error {
	f := c.cfg.Flights.alone(at, r.Header)
	defer f.end()
	rec := c.record(w, r, d, f, at, why)
	defer c.borrow(r.Context(), r, rec.ask(r.Header))()
	return rec.run(next, r)
}

// ask makes the header of the request to the origin: without the client's conditions,
// as the cache needs the page and evaluates them itself, and with the cache's own.
func (rec *recorder) ask(client http.Header) http.Header {
	h := cloned(client)
	rec.cache.flights.sign(h)
	for _, name := range conditions {
		delete(h, name)
	}
	e := rec.at.entry
	switch {
	case e == nil:
		rec.ranged = rec.d.ranged
	case !e.part.partial():
		// A page that is stored is worth more than a part of it.
		if rec.d.authorized && !e.shared {
			rec.ranged = rec.d.ranged
		} else if e.validators() && e.status == http.StatusOK {
			rec.changed = true
			e.askIfChanged(h)
		} else {
			rec.ranged = rec.d.ranged
		}
	case rec.d.helps(e) && e.validators():
		// It is stale, and all that the client wants.
		rec.changed = true
		e.askIfChanged(h)
		rec.ranged = true
	case rec.d.ranged:
		rec.ranged = true
	case e.part.first == 0 && strongTag(first(e.header["Etag"])) && !e.tagged:
		rec.missing = len(e.body)
		h["Range"] = []string{"bytes=" + strconv.Itoa(rec.missing) + "-"}
		h["If-Range"] = e.header["Etag"][:1:1]
		return h
	}
	if !rec.ranged {
		delete(h, "Range")
		delete(h, "If-Range")
	}
	return h
}

// borrow gives a request another context and header, in place, as placeholders and
// matchers may know it by its pointer; and it takes out what does not tell pages apart,
// but could make the origin answer otherwise. The returned function gives it back.
func (c *Cache) borrow(ctx context.Context, r *http.Request, h http.Header) (giveBack func()) {
	own, header, url, uri := r.Context(), r.Header, r.URL, r.RequestURI
	*r = *r.WithContext(ctx)
	r.Header = h
	c.disarm(r)
	return func() {
		*r = *r.WithContext(own)
		r.Header, r.URL, r.RequestURI = header, url, uri
	}
}

// refresh asks the origin for a page that is served stale (RFC 5861), in the
// background and on nobody's account. One at a time for a page.
func (c *Cache) refresh(r *http.Request, next Handler, d demand, at place) {
	select {
	case c.slots <- struct{}{}:
	default:
		return
	}
	f := c.cfg.Flights.lead(at, r.Header, c.cfg.Store.Seen())
	if f == nil {
		<-c.slots
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), c.cfg.RefreshTimeout)
	f.begin(cancel)
	// What the goroutine needs of the request is taken here: the request is its
	// client's and may change as soon as it is answered.
	w := &discard{header: http.Header{}}
	asked := c.cfg.Detach(ctx, r, w)
	asked.Method, asked.Body = http.MethodGet, http.NoBody
	d.header, d.ranged = maps.Clone(r.Header), false
	rec := c.record(w, asked, d, f, at, ResultOld)
	rec.nobody, rec.request = true, d.header
	asked.Header = rec.ask(d.header)
	c.disarm(asked)
	go func() {
		defer func() { <-c.slots }()
		defer cancel()
		c.background(rec, next, asked)
	}()
}

func (c *Cache) background(rec *recorder, next Handler, r *http.Request) {
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler {
			c.cfg.Failed("refresh", fmt.Errorf("panic: %v", p))
		}
		rec.flight.end()
	}()
	rec.result = ResultNotRefreshed
	// The refresh before this one may have ended since the store was read.
	if now := c.look(r.Context(), rec.at.primary, rec.at.extra, rec.request); now.entry != nil && now.entry.left(c.cfg.Now(), now.soft) > 0 {
		rec.flight.settle(outcome{page: now.entry, vary: now.vary})
		c.cfg.Observe(ResultRefreshed)
		return
	}
	if err := rec.run(next, r); err != nil {
		c.cfg.Failed("refresh", err)
	}
}
