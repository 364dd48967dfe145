package httpcache

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// maxKey bounds the length of a URI that is kept: 8 KiB. A longer one passes.
const maxKey = 8 << 10

// KeyParts are what tells the pages of a site apart beside scheme, host and path.
type KeyParts struct {
	// AnyHost leaves the host out: all names of a site share their pages.
	AnyHost bool
	// Query are the names of the parameters that matter, sorted in the key; the others
	// do not reach the origin. Nil: the query as it is. Empty: none matters.
	Query []string
	// Headers are request fields, and Cookies names of cookies, whose values matter.
	Headers, Cookies []string
}

// keyer names pages.
type keyer struct {
	parts   KeyParts
	address func(*http.Request) *url.URL
	trusted func(*http.Request) bool
}

// place returns the key of a request's address, such as
// "https://shop.example/goods/1?color=red", and what else its page depends on: empty for
// most.
func (k *keyer) place(r *http.Request) (primary, extra string) {
	u := r.URL
	if k.address != nil {
		u = k.address(r)
	}
	primary = k.of(scheme(r), r.Host, u)
	rewritten := u != r.URL && (u.Path != r.URL.Path || u.RawQuery != r.URL.RawQuery || u.RawPath != r.URL.RawPath)
	trusted := k.trusted != nil && k.trusted(r)
	if !rewritten && !trusted && len(k.parts.Headers) == 0 && len(k.parts.Cookies) == 0 {
		return primary, ""
	}
	return primary, k.extra(r, rewritten, trusted)
}

// of is the key of an address: scheme, host in lower case, escaped path, query.
func (k *keyer) of(scheme, host string, u *url.URL) string {
	if k.parts.AnyHost {
		host = "*"
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	query := k.query(u)
	if query == "" && (!u.ForceQuery || k.parts.Query != nil) {
		return scheme + "://" + strings.ToLower(host) + path
	}
	return scheme + "://" + strings.ToLower(host) + path + "?" + query
}

// query is what matters of a query: the parameters that are listed, sorted by name, the
// values of each in their order.
func (k *keyer) query(u *url.URL) string {
	if k.parts.Query == nil || u.RawQuery == "" {
		return u.RawQuery
	}
	var kept []string
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		name, value, hasValue := strings.Cut(pair, "=")
		plain, err := url.QueryUnescape(name)
		if err != nil || !slices.Contains(k.parts.Query, plain) {
			continue
		}
		text, err := url.QueryUnescape(value)
		if err != nil {
			continue
		}
		pair = url.QueryEscape(plain)
		if hasValue {
			pair += "=" + url.QueryEscape(text)
		}
		kept = append(kept, pair)
	}
	slices.SortStableFunc(kept, func(a, b string) int {
		a, _, _ = strings.Cut(a, "=")
		b, _, _ = strings.Cut(b, "=")
		return strings.Compare(a, b)
	})
	return strings.Join(kept, "&")
}

// extra has a length before each text, so that no value can pose as another.
func (k *keyer) extra(r *http.Request, rewritten, trusted bool) string {
	var b []byte
	if trusted {
		b = append(b, 'p') // never empty: pages with and without stand side by side
		for _, name := range proxied {
			if values := r.Header[name]; len(values) > 0 {
				b = appendTexts(appendText(b, name), values)
			}
		}
	}
	if rewritten {
		b = appendText(append(b, 'u'), r.URL.RequestURI())
	}
	for _, name := range k.parts.Headers {
		b = appendTexts(appendText(append(b, 'h'), name), r.Header[name])
	}
	if len(k.parts.Cookies) > 0 {
		for _, name := range k.parts.Cookies {
			b = appendTexts(appendText(append(b, 'c'), name), cookies(r.Header["Cookie"], name))
		}
	}
	return string(b)
}

// cookies are the values of a name as they are sent: what net/http takes for no cookie
// may be one to the origin.
func cookies(lines []string, name string) (values []string) {
	for _, line := range lines {
		for pair := range strings.SplitSeq(line, ";") {
			if n, value, _ := strings.Cut(pair, "="); strings.TrimSpace(n) == name {
				values = append(values, strings.TrimSpace(value))
			}
		}
	}
	return values
}
