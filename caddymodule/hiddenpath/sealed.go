package hiddenpath

import (
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// sealed is an answer from behind a guard: nobody may keep it, and no page of it may
// tell its address to another site, whatever the origin says about either. It looks at
// the header last, when it is written.
//
// It is one allocation, the two values included: the buy path is hot.
type sealed struct {
	caddyhttp.ResponseWriterWrapper
	wrote  bool // a final status
	values [2]string
}

func newSealed(w http.ResponseWriter) *sealed {
	return &sealed{ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: w}}
}

// seal sets the two headers once and takes those away that overrule no-store in a cache
// of a content delivery network: CDN-Cache-Control (RFC 9213), Surrogate-Control (Edge
// Architecture Specification). The slices are the answer's own, because Caddy's header
// directive writes into them.
func (s *sealed) seal() {
	h := s.Header()
	s.values = [2]string{"no-store", "no-referrer"}
	h["Cache-Control"], h["Referrer-Policy"] = s.values[0:1:1], s.values[1:2:2]
	delete(h, "Cdn-Cache-Control")
	delete(h, "Surrogate-Control")
}

// final reports whether a status is the last one: 101 is, other 1xx come before another.
func final(status int) bool { return status >= 200 || status == http.StatusSwitchingProtocols }

func (s *sealed) WriteHeader(status int) {
	if !s.wrote && final(status) {
		s.wrote = true
		s.seal()
	}
	s.ResponseWriter.WriteHeader(status)
}

func (s *sealed) Write(b []byte) (int, error) {
	if !s.wrote {
		s.WriteHeader(http.StatusOK)
	}
	return s.ResponseWriter.Write(b)
}

// ReadFrom keeps sendfile.
func (s *sealed) ReadFrom(r io.Reader) (int64, error) {
	if !s.wrote {
		s.WriteHeader(http.StatusOK)
	}
	return s.ResponseWriterWrapper.ReadFrom(r)
}

// FlushError is what http.ResponseController calls. A flush writes the header.
func (s *sealed) FlushError() error {
	if !s.wrote {
		s.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(s.ResponseWriter).Flush()
}

// finish is called when the handlers behind the guard are done: whoever answers now,
// handle_errors or net/http, has the two headers as well.
func (s *sealed) finish() {
	if !s.wrote {
		s.seal()
	}
}

// Interface guards.
var (
	_ http.ResponseWriter             = (*sealed)(nil)
	_ io.ReaderFrom                   = (*sealed)(nil)
	_ interface{ FlushError() error } = (*sealed)(nil)
)
