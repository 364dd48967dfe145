package httpcache

import (
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
)

// maxSize bounds the length of a page whose parts are kept: 1 TiB.
const maxSize = 1 << 40

// span is where partial content stands in its page: from the byte first on, of size
// bytes. Its own length is that of the body it goes with.
type span struct{ first, size int64 }

func (s span) partial() bool { return s.size > 0 }

func (s span) contentRange(n int64) string {
	return fmt.Sprintf("bytes %d-%d/%d", s.first, s.first+n-1, s.size)
}

// parseContentRange reads the Content-Range of a single part (RFC 9110, section 14.4)
// whose page has a known length.
func parseContentRange(s string) (part span, length int64, ok bool) {
	unit, rest, _ := strings.Cut(s, " ")
	if !strings.EqualFold(unit, "bytes") {
		return span{}, 0, false
	}
	bounds, total, _ := strings.Cut(rest, "/")
	from, to, _ := strings.Cut(bounds, "-")
	first, ok1 := parseSize(from)
	last, ok2 := parseSize(to)
	size, ok3 := parseSize(total)
	if !ok1 || !ok2 || !ok3 || last < first || last >= size {
		return span{}, 0, false
	}
	return span{first, size}, last - first + 1, true
}

// parseSize reads digits, up to maxSize.
func parseSize(s string) (int64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n <= maxSize
}

// byteRange is what a request asks for of a page (RFC 9110, section 14.1.2).
type byteRange struct {
	first int64 // negative: the last -first bytes
	last  int64 // negative: up to the end
}

// rangeOf reads Range. A request with more than one range, or with one that cannot be
// read, is one for the whole page, as a server may have it (section 14.2).
func rangeOf(h http.Header) (byteRange, bool) {
	lines := h["Range"]
	if len(lines) != 1 {
		return byteRange{}, false
	}
	unit, set, _ := strings.Cut(lines[0], "=")
	if !strings.EqualFold(strings.TrimSpace(unit), "bytes") {
		return byteRange{}, false
	}
	from, to, ok := strings.Cut(strings.TrimSpace(set), "-")
	if !ok {
		return byteRange{}, false
	}
	if from == "" {
		n, ok := parseSize(to)
		if n == 0 {
			return byteRange{maxSize, -1}, ok // no byte at all: cannot be satisfied
		}
		return byteRange{-n, -1}, ok
	}
	first, ok := parseSize(from)
	if to == "" {
		return byteRange{first, -1}, ok
	}
	last, ok2 := parseSize(to)
	return byteRange{first, last}, ok && ok2 && last >= first
}

// of returns the bounds [from, to) of the range in a page of size bytes; false when it
// has no byte of it.
func (b byteRange) of(size int64) (from, to int64, ok bool) {
	from, to = b.first, size
	if b.first < 0 {
		from = max(size+b.first, 0)
	}
	if b.last >= 0 {
		to = min(b.last+1, size)
	}
	return from, to, from < to
}

// covers reports whether partial content has all that the range asks for.
func (e *entry) covers(b byteRange) bool {
	from, to, ok := b.of(e.part.size)
	return ok && from >= e.part.first && to <= e.part.first+int64(len(e.body))
}

// rangeValid evaluates If-Range (RFC 9110, section 13.1.5): by strong comparison, or
// by the very same date.
func rangeValid(request, page http.Header) bool {
	lines := request["If-Range"]
	if len(lines) == 0 {
		return true
	}
	if tag := strings.TrimSpace(lines[0]); strings.Contains(tag, `"`) {
		return strongTag(tag) && tag == strings.TrimSpace(first(page["Etag"]))
	}
	return len(page["Last-Modified"]) > 0 && lines[0] == page["Last-Modified"][0]
}

// joined puts two parts of the same page together, the newer one's header and bytes
// winning (RFC 9111, section 3.4); nil when they are not known to be of the same page,
// or have a gap between them.
func joined(old, now *entry) *entry {
	tag := first(now.header["Etag"])
	if !old.part.partial() || !strongTag(tag) || first(old.header["Etag"]) != tag || old.part.size != now.part.size {
		return nil
	}
	oldEnd, nowEnd := old.part.first+int64(len(old.body)), now.part.first+int64(len(now.body))
	if now.part.first > oldEnd || old.part.first > nowEnd {
		return nil
	}
	out := now.with(now.header)
	from, end := min(old.part.first, now.part.first), max(oldEnd, nowEnd)
	body := make([]byte, end-from)
	copy(body[old.part.first-from:], old.body)
	copy(body[now.part.first-from:], now.body)
	out.body, out.part = body, span{from, now.part.size}
	return out
}

// becomeWhole makes a page, not yet seen by others, of a part that has every byte of it.
func (e *entry) becomeWhole() {
	e.part, e.status = span{}, http.StatusOK
	e.header = maps.Clone(e.header)
	delete(e.header, "Content-Range")
}

// with returns a copy that has another header.
func (e *entry) with(h http.Header) *entry {
	return &entry{
		born: e.born, lifetime: e.lifetime, swr: e.swr, sie: e.sie, shared: e.shared, strict: e.strict,
		tagged: e.tagged, source: e.source, status: e.status, header: h, body: e.body, part: e.part,
	}
}
