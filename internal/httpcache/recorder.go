package httpcache

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// recorder stands between the handler and the client of a request whose answer may
// be kept. The header decides: then the answer goes to the client and into a page
// at the same time, or it only passes.
type recorder struct {
	cache   *Cache
	client  http.ResponseWriter
	nobody  bool        // the client is not there: in the background
	request http.Header // as the client sent it
	flight  *flight
	why     Result
	old     bool // a page is stored that the answer is to replace
	asked   time.Time

	before http.Header // of the client's writer, before the handler ran
	header http.Header // what the handler sees
	status int         // zero before the header

	page   *entry // nil: the answer passes
	vary   []string
	length int64 // as declared; -1 when it is not
	body   *body
	silent bool // the client gets no body
}

func (c *Cache) record(w http.ResponseWriter, r *http.Request, f *flight, why Result) *recorder {
	return &recorder{
		cache: c, client: w, request: r.Header, flight: f, why: why, asked: c.cfg.Now(), length: -1,
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
	}()
	err = next(rec, r)
	returned = true
	rec.end(r.Context(), err == nil && r.Context().Err() == nil)
	return err
}

func (rec *recorder) Header() http.Header { return rec.header }

func (rec *recorder) WriteHeader(status int) {
	if rec.status != 0 {
		return
	}
	if status < 200 && status != http.StatusSwitchingProtocols {
		replace(rec.client.Header(), rec.header)
		rec.client.WriteHeader(status)
		return
	}
	rec.status = status
	c := rec.cache
	now := c.cfg.Now()
	p, ok := c.policy.judge(rec.request["Authorization"] != nil, status, rec.header, now, now.Sub(rec.asked))
	if n, err := strconv.ParseInt(first(rec.header["Content-Length"]), 10, 64); err == nil {
		rec.length = n
	}
	h := rec.client.Header()
	replace(h, rec.header)
	addStatus(h, forwardStatus(rec.why, ok && rec.length <= c.cfg.MaxBody, ""))
	if !ok || rec.length > c.cfg.MaxBody {
		if rec.old && replaces(status) {
			c.forget(context.Background(), rec.flight.primary)
		}
		rec.flight.settle(nil, nil)
		rec.client.WriteHeader(status)
		return
	}

	rec.vary, rec.body = p.vary, newBody(rec.length)
	rec.page = &entry{
		born: now.Add(-p.age), lifetime: p.lifetime, swr: p.swr, shared: p.shared,
		status: status, header: keepable(rec.header, rec.before),
	}
	if len(rec.header["Date"]) == 0 {
		rec.page.header["Date"] = []string{now.UTC().Format(http.TimeFormat)}
	}
	rec.flight.keep()
	rec.silent = rec.nobody
	if notModified(rec.request, rec.header) {
		toNotModified(h)
		status, rec.silent = http.StatusNotModified, true
	}
	rec.client.WriteHeader(status)
}

// replaces reports whether an answer that is not kept means that the stored page is
// over: not when the origin is in trouble or busy.
func replaces(status int) bool {
	switch status {
	case http.StatusNotModified, http.StatusRequestTimeout, http.StatusTooManyRequests:
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
	rec.flight.settle(nil, nil)
	rec.body.join()
}

// ReadFrom keeps the way open for sendfile once the answer only passes.
func (rec *recorder) ReadFrom(src io.Reader) (n int64, err error) {
	rec.begin()
	var buf []byte
	for rec.page != nil || rec.silent {
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
	rec.flight.settle(nil, nil)
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
		rec.cache.keep(ctx, rec, page)
	}
	// Those who wait do not wait for this client to have read it all.
	rec.flight.settle(page, rec.vary)
	if rec.body != nil {
		rec.body.join()
	}
	if rec.status != 0 {
		copyTrailers(rec.client.Header(), rec.header)
	}
}

// Interface guards.
var (
	_ io.ReaderFrom = (*recorder)(nil)
	_ http.Hijacker = (*recorder)(nil)
	_ http.Pusher   = (*recorder)(nil)
)
