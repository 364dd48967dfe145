package hiddenpath

import (
	"io"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// privateWriter makes an answer private: a cache that many share must not keep what one
// link opened, as it cannot know until when, for whom and for which method (RFC 9111,
// section 5.2.2.7). The visitor's own browser may: it had the answer, and a film that it
// jumps about in would else be loaded again each time. And a page that was opened by a
// link does not tell it to the pages that it leads to.
//
// It works on what leaves, not before: page_cache, behind it, keeps what the origin said.
type privateWriter struct {
	*caddyhttp.ResponseWriterWrapper
	done bool
}

// servePrivate lets next answer in private. An error goes to the site's handle_errors,
// and no answer at all is an empty one: the header is theirs as well.
func servePrivate(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	private := &privateWriter{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w}}
	err := next.ServeHTTP(private, r)
	if !private.done {
		setPrivate(w.Header())
	}
	return err
}

func (w *privateWriter) WriteHeader(status int) {
	if !w.done {
		setPrivate(w.Header())
		w.done = status >= 200 || status == http.StatusSwitchingProtocols
	}
	w.ResponseWriterWrapper.WriteHeader(status)
}

func (w *privateWriter) Write(p []byte) (int, error) {
	w.commit()
	return w.ResponseWriterWrapper.Write(p)
}

// ReadFrom keeps the way open for sendfile.
func (w *privateWriter) ReadFrom(src io.Reader) (int64, error) {
	w.commit()
	return w.ResponseWriterWrapper.ReadFrom(src)
}

// FlushError is what http.ResponseController calls.
func (w *privateWriter) FlushError() error {
	w.commit()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush is for those that ask for an http.Flusher.
func (w *privateWriter) Flush() {
	_ = w.FlushError() // the next write meets the same error
}

func (w *privateWriter) commit() {
	if !w.done {
		w.WriteHeader(http.StatusOK)
	}
}

// setPrivate takes what lets shared caches store an answer out of a header, also what is
// for one of them only (RFC 9213), and says that they must not.
func setPrivate(h http.Header) {
	kept := []string{"private"}
	for _, d := range directives(strings.Join(h["Cache-Control"], ",")) {
		name, _, _ := strings.Cut(strings.ToLower(d), "=")
		switch strings.TrimSpace(name) {
		case "", "public", "s-maxage", "private": // `private="field"` allows the rest to be stored
		default:
			kept = append(kept, d)
		}
	}
	h.Set("Referrer-Policy", "no-referrer")
	h["Cache-Control"] = []string{strings.Join(kept, ", ")}
	for name := range h {
		if strings.HasSuffix(name, "-Cache-Control") || name == "Surrogate-Control" {
			delete(h, name)
		}
	}
}

// directives cuts a Cache-Control value at its commas, those in quotes aside.
func directives(value string) (out []string) {
	quoted, escaped, start := false, false, 0
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			out = append(out, strings.TrimSpace(value[start:i]))
			start = i + 1
		}
	}
	return append(out, strings.TrimSpace(value[start:]))
}

// Interface guards.
var (
	_ http.ResponseWriter = (*privateWriter)(nil)
	_ http.Flusher        = (*privateWriter)(nil)
	_ io.ReaderFrom       = (*privateWriter)(nil)
)
