package httpcache

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"time"
)

// recorder stands between a handler and the client of a request whose answer may
// be kept. The header decides: then the answer goes to the client and into a page
// at the same time, or it only passes, or the stored page is served in its place.
type recorder struct {
	cache   *Cache
	client  http.ResponseWriter
	nobody  bool        // the client is not there: in the background
	method  string      // of the client
	request http.Header // as the client sent it
	d       demand
	at      place
	flight  *flight
	why     Result
	seen    uint64 // purges up to here do not concern the answer
	asked   time.Time
	path    string // for what its extension promises
	asking  string // the same of the client's address, before a rewrite

	changed bool // it was asked whether the stored page has changed
	ranged  bool // it was asked for what the client wants a part of
	missing int  // it was asked for all but so many bytes, which are stored

	before http.Header // of the client's writer, before the handler ran
	header http.Header // what the handler sees
	status int         // zero before the header

	page     *entry // nil: the answer passes
	vary     []string
	length   int64 // of the page, as declared; -1 when it is not
	body     *body
	silent   bool // the client gets no body
	answered bool // the client has got the stored page: the origin's answer goes nowhere
	sharing  bool // those who wait may have the page
	result   Result
}

func (c *Cache) record(w http.ResponseWriter, r *http.Request, d demand, f *flight, at place, why Result) *recorder {
	return &recorder{
		cache: c, client: w, method: r.Method, request: r.Header, d: d, at: at, flight: f, why: why, path: r.URL.Path, asking: c.addressOf(r).Path,
		seen: c.cfg.Store.Seen(), asked: c.cfg.Now(), length: -1, result: why,
		before: w.Header().Clone(), header: cloned(w.Header()),
	}
}

func cloned(h http.Header) http.Header {
	if h = h.Clone(); h != nil {
		return h
	}
	return http.Header{}
}

// run has the handler answer. The page is kept only if the handler returned without
// an error or a panic and its request was not ended early.
func (rec *recorder) run(next Handler, r *http.Request) (err error) {
	returned := false
	defer func() {
		if !returned {
			rec.end(r.Context(), false)
		}
		rec.cache.cfg.Observe(rec.result)
	}()
	err = next(rec, r)
	returned = true
	if err != nil && rec.status == 0 && rec.standIn(err) {
		err = nil
	}
	rec.end(r.Context(), err == nil && r.Context().Err() == nil)
	return err
}

func (rec *recorder) Header() http.Header { return rec.header }

func (rec *recorder) WriteHeader(status int) {
	if rec.status != 0 || rec.answered {
		return
	}
	if status < 200 && status != http.StatusSwitchingProtocols {
		replace(rec.client.Header(), rec.header)
		rec.client.WriteHeader(status)
		return
	}
	rec.status = status
	switch {
	case status == http.StatusNotModified && rec.changed:
		rec.freshen()
	case serverError(status) && rec.standInFor(status):
	default:
		rec.receive()
	}
}

// receive starts with an answer: to pass it, or to keep it as well.
func (rec *recorder) receive() {
	c, now := rec.cache, rec.cache.cfg.Now()
	if n, ok := parseSize(first(rec.header["Content-Length"])); ok {
		rec.length = n
	}
	prefix, part := rec.parts()
	if rec.missing > 0 && prefix == nil && (rec.status == http.StatusPartialContent || rec.status == http.StatusRequestedRangeNotSatisfiable) {
		rec.notTheRest()
		return
	}
	p, why := c.policy.judge(rec.d.authorized, rec.status, rec.header, now, now.Sub(rec.asked))
	switch {
	case why != "":
	case rec.status == http.StatusPartialContent && !part.partial():
		why = refusedStatus
	case rec.length > c.cfg.MaxBody:
		why = refusedSize
	case c.guards.types && !(typeMatches(rec.path, rec.header) && typeMatches(rec.asking, rec.header)):
		why = refusedType
	}
	h := rec.client.Header()
	replace(h, rec.header)
	addStatus(h, forwardStatus(rec.why, why == "", ""))
	if why != "" {
		explain(rec.client, string(why))
		if replaces(rec.status) && rec.at.entry != nil && rec.request["Authorization"] == nil {
			c.forget(context.Background(), rec.flight.primary)
		}
		// What one visitor's credentials make of it says nothing about the others' page.
		if replaces(rec.status) && why != refusedSize && !rec.d.authorized && !rec.ranged {
			c.flights.noteLone(rec.flight.key, true, now)
		}
		rec.flight.giveUp()
		if prefix != nil {
			rec.complete(h, part)
		}
		status := rec.status
		if status == http.StatusOK && notModified(rec.request, rec.header, now) {
			toNotModified(h)
			status, rec.silent = http.StatusNotModified, true
		}
		rec.client.WriteHeader(status)
		if prefix != nil {
			_, _ = rec.Write(prefix)
		}
		return
	}

	rec.vary, rec.body = p.vary, newBody(rec.length)
	rec.page = p.entry(rec.status, keepable(rec.header, rec.before), now)
	rec.page.part = part
	if prefix != nil {
		rec.complete(h, part)
		rec.page.becomeWhole()
	}
	status := rec.status
	rec.flight.keep()
	rec.sharing = p.fresh() && !rec.page.part.partial()
	if !rec.sharing {
		c.flights.noteLone(rec.flight.key, !p.fresh(), now)
		rec.flight.settle(outcome{})
	} else {
		c.flights.noteLone(rec.flight.key, false, now)
	}
	c.dress(h, now)
	rec.silent = rec.nobody
	if rec.status == http.StatusOK && notModified(rec.request, rec.header, now) {
		toNotModified(h)
		status, rec.silent = http.StatusNotModified, true
	}
	rec.client.WriteHeader(status)
	if prefix != nil {
		_, _ = rec.Write(prefix)
	}
}

// entry makes the page of an answer that arrived now.
func (p plan) entry(status int, h http.Header, now time.Time) *entry {
	if len(h["Date"]) == 0 {
		h["Date"] = []string{now.UTC().Format(http.TimeFormat)}
	}
	return &entry{
		born: now.Add(-p.age), lifetime: p.lifetime, swr: p.swr, sie: p.sie,
		shared: p.shared, strict: p.strict, source: p.source, status: status, header: h,
	}
}

// serverError are the statuses that stale-if-error speaks of (RFC 5861, section 4).
func serverError(status int) bool {
	switch status {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// replaces reports whether an answer that is not kept means that the stored page is
// over: not when the origin is in trouble or busy, nor when it speaks of the request, which
// a client can spoil so that the page goes ("Your cache has fallen", Nguyen, 2019).
func replaces(status int) bool {
	switch status {
	case http.StatusNotModified, http.StatusPartialContent,
		http.StatusBadRequest, http.StatusProxyAuthRequired, http.StatusRequestTimeout, http.StatusLengthRequired,
		http.StatusPreconditionFailed, http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong,
		http.StatusRequestedRangeNotSatisfiable, http.StatusExpectationFailed, http.StatusMisdirectedRequest,
		http.StatusTooEarly, http.StatusUpgradeRequired, http.StatusPreconditionRequired, http.StatusTooManyRequests,
		http.StatusRequestHeaderFieldsTooLarge:
		return false
	}
	return status < 500
}

func (rec *recorder) begin() {
	if rec.status == 0 {
		rec.WriteHeader(http.StatusOK)
	}
}

func (rec *recorder) Write(p []byte) (int, error) {
	rec.begin()
	if rec.answered {
		return len(p), nil
	}
	if rec.page != nil && int64(len(rec.body.data)+len(p)) > rec.cache.cfg.MaxBody {
		rec.pass()
	}
	if rec.page == nil {
		if rec.silent {
			return len(p), nil
		}
		return rec.client.Write(p)
	}
	if rec.body.sent == nil && !rec.silent {
		rec.body.sendTo(rec.client)
	}
	rec.body.append(p)
	return len(p), nil
}

// pass gives up the page: the rest goes to the client only.
func (rec *recorder) pass() {
	rec.page = nil
	rec.flight.giveUp()
	rec.body.join()
}

// ReadFrom keeps the way open for sendfile once the answer only passes.
func (rec *recorder) ReadFrom(src io.Reader) (n int64, err error) {
	rec.begin()
	var buf []byte
	for rec.page != nil || rec.silent || rec.answered {
		if buf == nil {
			buf = make([]byte, 32<<10)
		}
		m, err := src.Read(buf)
		if m > 0 {
			if _, err := rec.Write(buf[:m]); err != nil {
				return n, err
			}
			n += int64(m)
		}
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
	m, err := io.Copy(rec.client, src)
	return n + m, err
}

// FlushError is what http.ResponseController calls.
func (rec *recorder) FlushError() error {
	rec.begin()
	if rec.answered {
		return nil
	}
	if rec.page == nil || rec.silent {
		return http.NewResponseController(rec.client).Flush()
	}
	if rec.body.sent == nil {
		rec.body.sendTo(rec.client)
	}
	rec.body.flushNow()
	return nil
}

// Hijack takes the connection out of the cache's hands.
func (rec *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if rec.page != nil {
		rec.pass()
	}
	rec.flight.giveUp()
	return http.NewResponseController(rec.client).Hijack()
}

// Push is HTTP/2 server push.
func (rec *recorder) Push(target string, opts *http.PushOptions) error {
	return push(rec.client, target, opts)
}

// Unwrap lets http.ResponseController reach deadlines and full duplex.
func (rec *recorder) Unwrap() http.ResponseWriter { return rec.client }

// end keeps the page if the answer is whole, and releases those who wait.
func (rec *recorder) end(ctx context.Context, whole bool) {
	if rec.answered {
		rec.flight.settle(outcome{})
		return
	}
	if rec.status == 0 {
		// An error, or a handler that wrote nothing: headers that it set are for
		// whoever answers now.
		replace(rec.client.Header(), rec.header)
		addStatus(rec.client.Header(), forwardStatus(rec.why, false, ""))
	}
	page := rec.page
	if page != nil {
		page.body = rec.body.data
		if !whole || rec.length >= 0 && rec.length != int64(len(page.body)) {
			page = nil
		}
	}
	if page != nil {
		page = rec.store(ctx, page)
	}
	// Those who wait do not wait for this client to have read it all.
	if page != nil && rec.sharing {
		rec.flight.settle(outcome{page: page, vary: rec.vary})
	}
	rec.flight.settle(outcome{})
	if rec.body != nil {
		rec.body.join()
	}
	if rec.status != 0 {
		copyTrailers(rec.client.Header(), rec.header)
	}
}

// store keeps a whole answer, together with what is stored of the same page.
func (rec *recorder) store(ctx context.Context, page *entry) *entry {
	c := rec.cache
	if page.part.partial() {
		if old := rec.at.entry; old != nil {
			if !old.part.partial() && old.left(c.cfg.Now(), rec.at.soft) > 0 {
				return page // the whole one is better
			}
			if both := joined(old, page); both != nil && int64(len(both.body)) <= c.cfg.MaxBody {
				page = both
			}
		}
		if int64(len(page.body)) == page.part.size {
			page.becomeWhole()
		}
	}
	if rec.nobody {
		rec.result = ResultRefreshed
	}
	c.tag(page)
	page.lay()
	c.keep(ctx, rec, page)
	return page
}

// Interface guards.
var (
	_ io.ReaderFrom = (*recorder)(nil)
	_ http.Hijacker = (*recorder)(nil)
	_ http.Pusher   = (*recorder)(nil)
)
