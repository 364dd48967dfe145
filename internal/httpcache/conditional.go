package httpcache

import (
	"net/http"
	"strings"
	"time"
)

// notModified reports whether the client has the page already (RFC 9110, section
// 13.2.2): If-None-Match by weak comparison, else If-Modified-Since, against the Date of
// a page that does not say when it was modified.
func notModified(request, page http.Header, now time.Time) bool {
	if lines, ok := request["If-None-Match"]; ok {
		return noneMatch(strings.Join(lines, ","), first(page["Etag"]))
	}
	lines := request["If-Modified-Since"]
	if len(lines) != 1 {
		return false
	}
	since, ok := parseDate(lines[0], now)
	if !ok {
		return false
	}
	changed, ok := parseDate(first(page["Last-Modified"]), now)
	if !ok && len(page["Last-Modified"]) == 0 {
		changed, ok = parseDate(first(page["Date"]), now)
	}
	return ok && !changed.After(since)
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
	return tag, strongTag(tag)
}

// strongTag reports whether an entity tag is a strong one.
func strongTag(tag string) bool { return len(tag) >= 2 && tag[0] == '"' && tag[len(tag)-1] == '"' }

// toNotModified makes the header of a 304 out of a page's: it describes no body
// (RFC 9110, section 15.4.5).
func toNotModified(h http.Header) {
	for _, name := range []string{"Content-Type", "Content-Length", "Content-Encoding", "Content-Language", "Content-Range"} {
		delete(h, name)
	}
}

// conditions are the client's own, which the cache evaluates itself: it needs the page.
var conditions = []string{"If-None-Match", "If-Modified-Since"}

// askIfChanged makes a request one for news about a stored page (RFC 9111, section
// 4.3.1).
func (e *entry) askIfChanged(h http.Header) {
	if tag := first(e.header["Etag"]); tag != "" && !e.tagged {
		h["If-None-Match"] = []string{tag}
	}
	if changed := first(e.header["Last-Modified"]); changed != "" {
		h["If-Modified-Since"] = []string{changed}
	}
}

// lasting are the fields of a stored page that no later answer without the body changes:
// they describe the body that is stored (RFC 9111, section 3.2).
var lasting = map[string]bool{
	"Content-Length": true, "Content-Encoding": true, "Content-Range": true, "Etag": true, "Set-Cookie": true,
}

// freshened is a stored header after a 304, or the answer to a HEAD, has brought it up
// to date (section 4.3.4).
func freshened(stored, news http.Header) http.Header {
	out := make(http.Header, len(stored))
	for name, values := range stored {
		out[name] = values
	}
	for name, values := range news {
		if !lasting[name] {
			out[name] = values
		}
	}
	return out
}

// same reports whether the answer to a HEAD speaks of the page that is stored, and
// differs whether it speaks of another one (section 4.3.5).
func (e *entry) compare(h http.Header) (same, differs bool) {
	for _, name := range []string{"Etag", "Last-Modified"} {
		if len(h[name]) == 0 || len(e.header[name]) == 0 || name == "Etag" && e.tagged {
			continue
		}
		if h[name][0] != e.header[name][0] {
			return false, true
		}
		same = true
	}
	if n, ok := parseSize(first(h["Content-Length"])); ok && n != int64(len(e.body)) {
		return false, true
	}
	return same, false
}
