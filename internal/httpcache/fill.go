package httpcache

import (
	"context"
	"fmt"
	"net/http"
)

// lead asks the origin for all who want the page. The request does not end with its
// client while others wait or the page is worth keeping.
func (c *Cache) lead(w http.ResponseWriter, r *http.Request, next Handler, d demand, f *flight, at place, why Result) error {
	defer f.settle(nil, nil) // whatever happens, nobody waits for ever
	if !d.validate {
		// The flight before this one may have ended since the store was read.
		now := c.look(r.Context(), at.primary, r.Header)
		if d.judge(now.page, c.cfg.Now()) == useFresh {
			f.settle(now.page, now.vary)
			return c.serve(w, r, now.page, ResultHit)
		}
	}
	c.cfg.Observe(why)
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	defer cancel()
	f.begin(cancel)
	defer context.AfterFunc(r.Context(), func() { f.clientGone(c.cfg.FillTimeout) })()

	rec := c.record(w, r, f, why)
	rec.old = at.page != nil
	defer borrow(ctx, r)()
	return rec.run(next, r)
}

// alone asks the origin for one client. The answer may be kept all the same.
func (c *Cache) alone(w http.ResponseWriter, r *http.Request, next Handler, at place, why Result) error {
	c.cfg.Observe(why)
	f := c.flights.alone(at, r.Header)
	defer f.settle(nil, nil)
	rec := c.record(w, r, f, why)
	rec.old = at.page != nil && r.Header["Authorization"] == nil
	defer borrow(r.Context(), r)()
	return rec.run(next, r)
}

// borrow gives a request another context and no conditions, in place, as placeholders
// and matchers may know it by its pointer. The returned function gives it back.
func borrow(ctx context.Context, r *http.Request) (giveBack func()) {
	own, header := r.Context(), r.Header
	*r = *r.WithContext(ctx)
	r.Header = unconditional(header)
	return func() {
		*r = *r.WithContext(own)
		r.Header = header
	}
}

// refresh asks the origin for a page that is served stale (RFC 5861), in the
// background and on nobody's account. One at a time for a page.
func (c *Cache) refresh(r *http.Request, next Handler, at place) {
	select {
	case c.slots <- struct{}{}:
	default:
		return
	}
	f := c.flights.lead(at, r.Header)
	if f == nil {
		<-c.slots
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), c.cfg.RefreshTimeout)
	f.begin(cancel)
	stop := context.AfterFunc(c.closed, cancel)
	// What the goroutine needs of the request is taken here: the request is its
	// client's and may change as soon as it is answered.
	w := &discard{header: http.Header{}}
	asked := c.cfg.Detach(ctx, r, w)
	asked.Method, asked.Body = http.MethodGet, http.NoBody
	asked.Header = unconditional(asked.Header)
	rec := c.record(w, asked, f, ResultOld)
	rec.nobody, rec.old = true, true
	go func() {
		defer func() { <-c.slots }()
		defer cancel()
		defer stop()
		c.background(rec, next, asked, at)
	}()
}

func (c *Cache) background(rec *recorder, next Handler, r *http.Request, at place) {
	result := ResultNotRefreshed
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler {
			c.cfg.Failed("refresh", fmt.Errorf("panic: %v", p))
		}
		rec.flight.settle(nil, nil)
		c.cfg.Observe(result)
	}()
	// The refresh before this one may have ended since the store was read.
	if now := c.look(r.Context(), at.primary, r.Header); now.page != nil && now.page.age(c.cfg.Now()) < now.page.lifetime {
		rec.flight.settle(now.page, now.vary)
		result = ResultRefreshed
		return
	}
	err := rec.run(next, r)
	if err != nil {
		c.cfg.Failed("refresh", err)
	}
	if rec.flight.page != nil {
		result = ResultRefreshed
	}
}
