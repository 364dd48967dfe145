package hiddenpath

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// statusClientClosed is what Caddy's reverse_proxy writes when its request was
// cancelled: no answer of the origin.
const statusClientClosed = 499

// recorder lets an answer through to the client and keeps a copy. When the client is
// gone, it takes the rest of the answer all the same, as long as the copy fits.
type recorder struct {
	sealed
	client context.Context // over when the client is gone
	gone   error           // of the first write that did not reach it
	status int
	front  int    // where the body begins in copy
	copy   []byte // see reply.go; nil when the answer cannot be given again
	size   int    // of the body, whatever is kept of it
}

func newRecorder(w http.ResponseWriter, client context.Context) *recorder {
	return &recorder{sealed: sealed{ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: w}}, client: client}
}

// begin takes the header down. The copy has the first answer's date.
func (r *recorder) begin(status int) {
	r.wrote, r.status = true, status
	r.seal()
	h := r.Header()
	if h["Date"] == nil {
		h["Date"] = []string{time.Now().UTC().Format(http.TimeFormat)}
	}
	// Nobody can switch protocols a second time.
	if status != http.StatusSwitchingProtocols {
		r.copy = beginReply(status, h)
		r.front = len(r.copy)
		r.bound()
	}
}

// bound gives the copy up when it is too large.
func (r *recorder) bound() {
	if len(r.copy) > maxReply {
		r.copy = nil
	}
}

func (r *recorder) WriteHeader(status int) {
	if !r.wrote && final(status) {
		r.begin(status)
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	if !r.wrote {
		// As net/http does, so that the copy has it.
		if h := r.Header(); h["Content-Type"] == nil && h["Content-Encoding"] == nil && len(p) > 0 {
			h["Content-Type"] = []string{http.DetectContentType(p)}
		}
		r.WriteHeader(http.StatusOK)
	}
	r.size += len(p)
	if r.copy != nil {
		r.copy = append(r.copy, p...)
		r.bound()
	}
	if r.gone == nil {
		n, err := r.ResponseWriter.Write(p)
		if err == nil {
			return n, nil
		}
		if r.client.Err() == nil { // the handler's fault, such as a body too long
			r.copy = nil
			return n, err
		}
		r.gone = err
	}
	if r.copy == nil {
		return 0, r.gone
	}
	return len(p), nil
}

func (r *recorder) ReadFrom(src io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{r}, src)
}

func (r *recorder) FlushError() error {
	if !r.wrote {
		r.WriteHeader(http.StatusOK)
	}
	if r.gone != nil {
		return nil
	}
	err := http.NewResponseController(r.ResponseWriter).Flush()
	if err != nil && r.client.Err() != nil {
		r.gone = err
		return nil
	}
	return err
}

// Hijack takes the connection away, and with it the answer.
func (r *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if !r.wrote {
		r.begin(http.StatusSwitchingProtocols)
	}
	r.copy = nil
	return http.NewResponseController(r.ResponseWriter).Hijack()
}

// reply is the answer after the handlers are done, to be stored; nil when it is not known
// or cannot be given again.
func (r *recorder) reply() []byte {
	if !r.wrote { // then net/http writes this status
		r.begin(http.StatusOK)
	}
	h := r.Header()
	switch length, err := strconv.Atoi(h.Get("Content-Length")); {
	case r.copy == nil, r.status >= http.StatusInternalServerError, r.status == statusClientClosed:
		return nil
	case h["Content-Length"] == nil, r.status == http.StatusNoContent, r.status == http.StatusNotModified:
	case err != nil || length != r.size: // cut short
		return nil
	}
	r.copy = endReply(r.copy, r.front, h)
	r.bound()
	return r.copy
}

// Interface guards.
var (
	_ http.ResponseWriter             = (*recorder)(nil)
	_ io.ReaderFrom                   = (*recorder)(nil)
	_ http.Hijacker                   = (*recorder)(nil)
	_ interface{ FlushError() error } = (*recorder)(nil)
)
