package httpcache

import (
	"context"
	"net/http"
	"strconv"
)

// parts reads partial content: where it stands, and what is stored of the page before
// it when it was asked for as the rest.
func (rec *recorder) parts() (prefix []byte, part span) {
	if rec.status != http.StatusPartialContent || !rec.ranged && rec.missing == 0 {
		return nil, span{}
	}
	part, length, ok := parseContentRange(first(rec.header["Content-Range"]))
	if !ok || rec.length >= 0 && rec.length != length {
		return nil, span{}
	}
	if rec.missing == 0 {
		rec.length = length
		return nil, part
	}
	old := rec.at.entry
	if part.first != int64(rec.missing) || part.first+length != part.size || part.size != old.part.size || first(rec.header["Etag"]) != first(old.header["Etag"]) {
		return nil, span{}
	}
	return old.body, part
}

// complete makes the answer with the rest of a page, whose beginning is stored, one with
// the whole.
func (rec *recorder) complete(h http.Header, part span) {
	rec.status, rec.length = http.StatusOK, part.size
	delete(h, "Content-Range")
	h["Content-Length"] = []string{strconv.FormatInt(part.size, 10)}
}

// notTheRest answers for an origin that was asked for the rest of a page, if it is still
// the same, and sent something else that is no whole page.
func (rec *recorder) notTheRest() {
	rec.cache.forget(context.Background(), rec.flight.primary)
	rec.flight.giveUp()
	rec.answered = true
	addStatus(rec.client.Header(), forwardStatus(rec.why, false, "; fwd-status="+strconv.Itoa(rec.status)))
	rec.client.WriteHeader(http.StatusBadGateway)
}
