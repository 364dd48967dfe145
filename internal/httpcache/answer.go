package httpcache

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"time"

	"crypto/sha256"
)

// answer serves a page: whole, a part of it, or 304 when the client has it (RFC 9110,
// section 13.2.2). status is what Cache-Status says of a page that was not a hit.
func (c *Cache) answer(w http.ResponseWriter, method string, d demand, e *entry, soft bool, now time.Time, status string) {
	h := w.Header()
	age, words := e.say(now, soft)
	if status != "" {
		words = cacheName + status
	}
	same := e.status == http.StatusOK && notModified(d.header, e.header, now)
	l := &e.whole
	if same {
		l = &e.bare
	}
	nearer := h["Cache-Status"]
	l.write(h, age, words)
	if len(nearer) > 0 {
		h["Cache-Status"] = append(nearer[:len(nearer):len(nearer)], h["Cache-Status"]...)
	}
	c.dress(h, now)
	if same {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body, code := e.body, e.status
	if d.ranged && (code == http.StatusOK || e.part.partial()) && rangeValid(d.header, e.header) {
		body, code = e.cut(d.want, h)
	}
	w.WriteHeader(code)
	if method != http.MethodHead && bodyAllowed(code) {
		// A client that went away is not worth a word.
		_, _ = w.Write(body)
	}
}

func bodyAllowed(status int) bool { return status != http.StatusNoContent }

// cut takes the part of a page that a request is for (RFC 9110, section 15.3.7), or
// none (section 15.5.17).
func (e *entry) cut(want byteRange, h http.Header) (body []byte, status int) {
	size := int64(len(e.body))
	if e.part.partial() {
		size = e.part.size
	}
	from, to, ok := want.of(size)
	if !ok {
		delete(h, "Content-Type")
		h["Content-Range"] = []string{"bytes */" + strconv.FormatInt(size, 10)}
		h["Content-Length"] = []string{"0"}
		return nil, http.StatusRequestedRangeNotSatisfiable
	}
	body = e.body[from-e.part.first : to-e.part.first]
	h["Content-Range"] = []string{span{from, size}.contentRange(to - from)}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	return body, http.StatusPartialContent
}

// dress sets the header for browsers apart from what the gateway goes by: they count
// from now on.
func (c *Cache) dress(h http.Header, now time.Time) {
	if c.cfg.BrowserCacheControl == "" {
		return
	}
	h["Cache-Control"] = []string{c.cfg.BrowserCacheControl}
	h["Date"] = []string{now.UTC().Format(http.TimeFormat)}
	delete(h, "Age")
	delete(h, "Expires")
	delete(h, "Pragma")
}

// ETag is how pages without an entity tag get one.
type ETag string

// The entity tags that a Cache makes: of the body's hash, so that all gateways make the
// same. Weak ones survive what compresses a page on its way.
const (
	ETagNone   ETag = ""
	ETagWeak   ETag = "weak"
	ETagStrong ETag = "strong"
)

func (c *Cache) tag(e *entry) {
	if c.cfg.ETag == ETagNone || e.status != http.StatusOK || len(e.header["Etag"]) > 0 {
		return
	}
	sum := sha256.Sum256(e.body)
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	if c.cfg.ETag == ETagWeak {
		tag = "W/" + tag
	}
	e.header["Etag"], e.tagged = []string{tag}, true
}
