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
		n := 0
		for _, c := range r.Cookies() {
			if strings.EqualFold(c.Name, cookie) { // as Caddy compares
				n++
			}
		}
		return n > 1
	}
	if parameter, ok := strings.CutPrefix(name, "uri.query."); ok && strings.ContainsAny(r.URL.RawQuery, "&;") {
		return len(r.URL.Query()[parameter]) > 1
	}
	return false
}
