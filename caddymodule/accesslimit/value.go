package accesslimit

import (
	"net/http"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// value is what a placeholder says of who is counted; empty where the request says it more
// than once. The path and its segments are those that Caddy's matchers see: of /x/../a/7 the
// first segment is a. Else what is in front of the dots would be a new key for every request.
func value(r *http.Request, repl *caddy.Replacer, place string) string {
	if field, ok := strings.CutPrefix(place, "http.request.header."); ok {
		// What the replacer would say, without asking for it.
		if values := r.Header[textproto.CanonicalMIMEHeaderKey(field)]; len(values) == 1 {
			return values[0]
		}
		return ""
	}
	if repeated(r, place) {
		return ""
	}
	if place == "http.request.uri.path" {
		return caddyhttp.CleanPath(r.URL.Path, true)
	}
	if number, ok := strings.CutPrefix(place, "http.request.uri.path."); ok {
		if i, err := strconv.Atoi(number); err == nil && i >= 0 {
			return segmentOf(caddyhttp.CleanPath(r.URL.Path, true), i)
		}
	}
	who, _ := repl.GetString(place)
	return who
}

// segmentOf is the i-th segment of a path, from 0; empty when there are fewer.
func segmentOf(path string, i int) string {
	path = strings.TrimPrefix(path, "/")
	for ; i > 0; i-- {
		var more bool
		if _, path, more = strings.Cut(path, "/"); !more {
			return ""
		}
	}
	first, _, _ := strings.Cut(path, "/")
	return first
}

// text is the value of a text with placeholders in it; empty where the request says one of
// them more than once.
func text(r *http.Request, repl *caddy.Replacer, by string) string {
	twice := false
	who, err := repl.ReplaceFunc(by, func(place string, _ any) (any, error) {
		twice = twice || repeated(r, place)
		return value(r, repl, place), nil
	})
	if twice || err != nil {
		return ""
	}
	return who
}
