package accesslimit

import (
	"net/http"
	"net/textproto"
	"strings"
)

// repeated reports whether a request has the header, cookie or query parameter that a
// placeholder names more than once. Caddy joins their values or takes the first, the site
// may take another one: with a second value, another one for each request, a visitor would
// be a new key every time and the same customer to the site. Such a visitor is counted by
// address.
func repeated(r *http.Request, place string) bool {
	name, ok := strings.CutPrefix(place, "http.request.")
	if !ok {
		return false
	}
	if field, ok := strings.CutPrefix(name, "header."); ok {
		return len(r.Header[textproto.CanonicalMIMEHeaderKey(field)]) > 1
	}
	if cookie, ok := strings.CutPrefix(name, "cookie."); ok {
		return cookies(r, cookie) > 1
	}
	if parameter, ok := strings.CutPrefix(name, "uri.query."); ok {
		// Go drops a parameter with a semicolon, to some sites it separates two of them.
		return strings.Contains(r.URL.RawQuery, ";") || strings.Contains(r.URL.RawQuery, "&") && len(r.URL.Query()[parameter]) > 1
	}
	return false
}

// cookies counts those of a name, in any case, as Caddy compares; also those whose value Go
// takes for malformed, as the site may not.
func cookies(r *http.Request, name string) (n int) {
	for _, line := range r.Header["Cookie"] {
		for cookie := range strings.SplitSeq(line, ";") {
			if is, _, _ := strings.Cut(cookie, "="); strings.EqualFold(textproto.TrimString(is), name) {
				n++
			}
		}
	}
	return n
}
