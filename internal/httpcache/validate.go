package httpcache

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// freshen brings the stored page up to date by a 304 and serves it (RFC 9111, section
// 4.3.3).
func (rec *recorder) freshen() {
	c, now, old := rec.cache, rec.cache.cfg.Now(), rec.at.entry
	news := keepable(rec.header, rec.before)
	if len(news["Date"]) == 0 {
		news["Date"] = []string{now.UTC().Format(http.TimeFormat)}
	}
	e, ok := c.update(old, news, rec.header["Age"], rec.d.authorized, now.Sub(rec.asked), now)
	rec.answered, rec.result = true, ResultRevalidated
	if ok {
		rec.vary = varyAfter(e, rec.before)
		c.keep(context.Background(), rec, e)
		if e.left(now, false) > 0 {
			rec.flight.settle(outcome{page: e, vary: rec.vary})
		}
	} else {
		c.forget(context.Background(), rec.flight.primary)
	}
	rec.flight.settle(outcome{})
	if rec.nobody {
		rec.result = ResultRefreshed
		return
	}
	if cookies := rec.header["Set-Cookie"]; len(cookies) > 0 {
		rec.client.Header()["Set-Cookie"] = cookies // of this client alone
	}
	c.answer(rec.client, rec.method, rec.d, e, false, now, forwardStatus(rec.why, ok, "; fwd-status=304"))
}

// varyAfter is what a page varies by that an answer without a body has freshened: also what
// stands in front of the cache says, which is no part of the page.
func varyAfter(e *entry, before http.Header) []string {
	own, _ := varyOf(e.header)
	outside, _ := varyOf(before)
	return union(own, outside)
}

// update returns the page with the news of an answer that has no body; false when it
// may not be kept any longer.
func (c *Cache) update(old *entry, news http.Header, age []string, authorized bool, delay time.Duration, now time.Time) (*entry, bool) {
	merged := freshened(old.header, news)
	judged := make(http.Header, len(merged)+1)
	for name, values := range merged {
		judged[name] = values
	}
	judged["Age"] = age
	p, why := c.policy.judge(authorized, old.status, judged, now, delay)
	if why != "" {
		e := old.with(merged)
		e.born, e.lifetime = now, 0
		e.lay()
		return e, false
	}
	e := p.entry(old.status, merged, now)
	e.body, e.part, e.tagged = old.body, old.part, old.tagged
	e.lay()
	return e, true
}

// standInFor serves the stored page in the place of a server error, if it may be stale
// for that.
func (rec *recorder) standInFor(status int) bool {
	return rec.serveStale(outcome{failed: true, trouble: "; fwd-status=" + strconv.Itoa(status)})
}

// standIn does so when there is no answer at all, only an error of a handler.
func (rec *recorder) standIn(err error) bool {
	status := rec.cache.cfg.ErrorStatus(err)
	if !serverError(status) {
		return false
	}
	o := outcome{failed: true, trouble: "; detail=unreachable"}
	if status != http.StatusInternalServerError {
		o.beyond = rec.cache.cfg.StaleIfUnreachable
	}
	return rec.serveStale(o)
}

func (rec *recorder) serveStale(o outcome) bool {
	now := rec.cache.cfg.Now()
	if rec.nobody || !rec.d.standsIn(rec.at, now, o.beyond) {
		return false
	}
	rec.answered, rec.result = true, ResultStaleError
	rec.flight.settle(o)
	rec.cache.answer(rec.client, rec.method, rec.d, rec.at.entry, rec.at.soft, now, forwardStatus(rec.why, false, o.trouble))
	return true
}
