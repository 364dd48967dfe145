package stockgate

import (
	"net/http"
	"strings"

	"flashgate/caddymodule/app"
	"flashgate/internal/pathpattern"
)

// below is a pattern whose Under covers the given pattern and what lies below it.
func below(p app.Pattern) (app.Pattern, error) {
	name := "below"
	for strings.Contains(p.Path(), "{"+name+"}") {
		name += "_"
	}
	b, err := pathpattern.Parse(p.Method(), p.Path()+"/{"+name+"}")
	return app.Pattern{Pattern: b}, err
}

// disguised reports whether an origin might take the request for the one that buys,
// although it is spelled otherwise: with a trailing or a double slash, dot segments
// or percent-encodings. Handed on, it would buy around the gate. Addresses that are
// plainly below the pattern belong to the origin.
func (h *Handler) disguised(r *http.Request) bool {
	if r.Method != h.Match.Method() {
		return false
	}
	path := r.URL.EscapedPath()
	if !h.below.Under(path) {
		return false
	}
	return strings.ContainsAny(path, "%\\;") || strings.Contains(path, "//") || strings.Contains(path, "/.") ||
		strings.HasSuffix(path, "/") || strings.Count(path, "/") <= strings.Count(h.Match.Path(), "/")
}
