package httpcache

import (
	"net/http"
	"strings"
)

// notModified reports whether the client has the page already (RFC 9110, section
// 13.2.2): If-None-Match by weak comparison, else If-Modified-Since.
func notModified(request, page http.Header) bool {
	if lines, ok := request["If-None-Match"]; ok {
		return noneMatch(strings.Join(lines, ","), first(page["Etag"]))
	}
	since, err := http.ParseTime(first(request["If-Modified-Since"]))
	if err != nil {
		return false
	}
	changed, err := http.ParseTime(first(page["Last-Modified"]))
	return err == nil && !changed.After(since)
}

// noneMatch looks for an entity tag in a list; "*" stands for any page.
func noneMatch(list, etag string) bool {
	if strings.TrimSpace(list) == "*" {
		return true
	}
	want, ok := opaque(etag)
	if !ok {
		return false
	}
	for list = strings.TrimLeft(list, " \t,"); list != ""; list = strings.TrimLeft(list, " \t,") {
		tag := strings.TrimPrefix(list, "W/")
		if !strings.HasPrefix(tag, `"`) {
			return false
		}
		end := strings.IndexByte(tag[1:], '"')
		if end < 0 {
			return false
		}
		if tag[:end+2] == want {
			return true
		}
		list = tag[end+2:]
	}
	return false
}

// opaque is an entity tag without its weakness.
func opaque(etag string) (string, bool) {
	tag := strings.TrimPrefix(strings.TrimSpace(etag), "W/")
	return tag, len(tag) >= 2 && tag[0] == '"' && tag[len(tag)-1] == '"'
}

// toNotModified makes the header of a 304 out of a page's: it describes no body
// (RFC 9110, section 15.4.5).
func toNotModified(h http.Header) {
	for _, name := range []string{"Content-Type", "Content-Length", "Content-Encoding", "Content-Language", "Content-Range"} {
		delete(h, name)
	}
}

// unconditional is a request's header without the client's conditions: the cache
// needs the whole page and answers the condition itself.
func unconditional(h http.Header) http.Header {
	h = cloned(h)
	delete(h, "If-None-Match")
	delete(h, "If-Modified-Since")
	return h
}
