package httpcache

import (
	"net/url"
	"strings"

	"flashgate"
)

const addressExample = "must be a whole address, such as https://shop.example/goods/1"

// ParseAddress makes the address of a page out of what an operator writes. The host * is
// that of a site whose hosts share their pages. CodeInvalid says what is wrong.
func ParseAddress(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Fragment != "" {
		return "", flashgate.Invalid("httpcache.ParseAddress", "url", addressExample)
	}
	return (&keyer{}).of(u.Scheme, u.Host, u), nil
}

// ParsePrefix does so for the beginning of addresses.
func ParsePrefix(text string) (string, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	host, path, slash := strings.Cut(rest, "/")
	scheme = strings.ToLower(scheme)
	if !ok || scheme != "http" && scheme != "https" || host == "" || strings.ContainsAny(text, "# ") {
		return "", flashgate.Invalid("httpcache.ParsePrefix", "prefix", "must begin as an address does, such as https://shop.example/goods/")
	}
	if !slash {
		// Without the slash it would mean the pages of longer names, too.
		path = ""
	}
	return scheme + "://" + strings.ToLower(host) + "/" + path, nil
}

// Describe says what a page holds.
func Describe(p *flashgate.Page) map[string]any {
	switch form := formOf(p).(type) {
	case *entry:
		return form.Describe()
	case *variants:
		return form.Describe()
	}
	return map[string]any{"unreadable": true}
}
