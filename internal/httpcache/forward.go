package httpcache

import (
	"io"
	"net/http"
)

// forwarded passes an answer on and says so in Cache-Status.
type forwarded struct {
	http.ResponseWriter
	status string           // the member of Cache-Status
	seen   func(status int) // called before the client sees the header; nil for nobody
	wrote  bool
}

func (f *forwarded) WriteHeader(status int) {
	if !f.wrote && (status >= 200 || status == http.StatusSwitchingProtocols) {
		f.wrote = true
		if f.seen != nil {
			f.seen(status)
		}
		addStatus(f.Header(), f.status)
	}
	f.ResponseWriter.WriteHeader(status)
}

func (f *forwarded) begin() {
	if !f.wrote {
		f.WriteHeader(http.StatusOK)
	}
}

func (f *forwarded) Write(p []byte) (int, error) {
	f.begin()
	return f.ResponseWriter.Write(p)
}

// ReadFrom keeps the way open for sendfile.
func (f *forwarded) ReadFrom(src io.Reader) (int64, error) {
	f.begin()
	return io.Copy(f.ResponseWriter, src)
}

// FlushError is what http.ResponseController calls.
func (f *forwarded) FlushError() error {
	f.begin()
	return http.NewResponseController(f.ResponseWriter).Flush()
}

// Push is HTTP/2 server push.
func (f *forwarded) Push(target string, opts *http.PushOptions) error {
	return push(f.ResponseWriter, target, opts)
}

// Unwrap lets http.ResponseController reach what it asks for.
func (f *forwarded) Unwrap() http.ResponseWriter { return f.ResponseWriter }

func push(w http.ResponseWriter, target string, opts *http.PushOptions) error {
	if p, ok := w.(http.Pusher); ok {
		return p.Push(target, opts)
	}
	return http.ErrNotSupported
}

// discard is the client of a refresh in the background: nobody.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) FlushError() error           { return nil }

// Interface guards.
var (
	_ io.ReaderFrom = (*forwarded)(nil)
	_ http.Pusher   = (*forwarded)(nil)
)
