// Package problem writes errors as problem documents (RFC 9457). The gateway's
// handlers and the shop call it, so that a client meets one form of error wherever
// it comes from. It knows no Caddy and no backend.
package problem

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"flashgate"
)

// ContentType is the media type of a problem document (RFC 9457, section 3).
const ContentType = "application/problem+json"

// Document is the body. Type is about:blank, as the code says what it is
// (RFC 9457, section 4.2.1); the other members are extensions.
type Document struct {
	Type   string            `json:"type"`
	Title  string            `json:"title"`
	Status int               `json:"status"`
	Detail string            `json:"detail,omitempty"`
	Code   flashgate.Code    `json:"code"`
	Field  string            `json:"field,omitempty"`
	Order  flashgate.OrderID `json:"order,omitempty"`
}

// New makes the document of an error. Only public parts of an *flashgate.Error go
// in; any other error is internal and says nothing.
func New(err error) Document {
	e, ok := errors.AsType[*flashgate.Error](err)
	if !ok {
		e = &flashgate.Error{Code: flashgate.CodeInternal}
	}
	info := flashgate.Info(e.Code)
	return Document{
		Type: "about:blank", Title: info.Title, Status: info.Status,
		Detail: e.Message, Code: info.Code, Field: e.Field, Order: e.Order,
	}
}

// SetHeader sets the headers that belong to an error: no-store, Retry-After in
// delta seconds rounded up (RFC 9110, section 10.2.3), and the order's Location
// where the outcome is unknown.
func SetHeader(h http.Header, err error) { setHeader(h, err, new([3]string)) }

// setHeader keeps the values in an array, which is one allocation for all; the third
// is the caller's.
func setHeader(h http.Header, err error, values *[3]string) {
	values[0] = "no-store"
	h["Cache-Control"] = values[0:1:1]
	e, ok := errors.AsType[*flashgate.Error](err)
	if !ok {
		return
	}
	if e.RetryAfter > 0 {
		values[1] = RetryAfter(e.RetryAfter)
		h["Retry-After"] = values[1:2:2]
	}
	if e.Code == flashgate.CodeUnknownOutcome && e.Order != "" && h.Get("Location") == "" {
		h.Set("Location", "/api/orders/"+string(e.Order))
	}
}

// RetryAfter is a duration in whole seconds, rounded up, at least 1.
func RetryAfter(d time.Duration) string {
	s := int64((d + time.Second - 1) / time.Second)
	return strconv.FormatInt(max(s, 1), 10)
}

// Write sends the document of an error.
func Write(w http.ResponseWriter, err error) {
	doc := New(err)
	h := w.Header()
	forget(h)
	values := &[3]string{2: ContentType}
	setHeader(h, err, values)
	h["Content-Type"] = values[2:3:3] // which no browser sniffs (WHATWG MIME Sniffing, section 7)
	w.WriteHeader(doc.Status)
	body := bodies.Get().(*[]byte)
	*body = append(doc.appendJSON((*body)[:0]), '\n')
	_, _ = w.Write(*body) // a client that went away is not worth a word here
	bodies.Put(body)
}

// forget drops what was said of another document.
func forget(h http.Header) {
	delete(h, "Content-Length")
	delete(h, "Content-Encoding")
	delete(h, "Etag")
	delete(h, "Last-Modified")
}

// bodies are buffers of documents that have been sent.
var bodies = sync.Pool{New: func() any { return new(make([]byte, 0, 256)) }}

// appendJSON writes what json.Marshal would. A refusal must be cheaper than what it
// protects, and reflection is most of what a small document costs.
func (d *Document) appendJSON(b []byte) []byte {
	b = appendString(append(b, `{"type":`...), d.Type)
	b = appendString(append(b, `,"title":`...), d.Title)
	b = strconv.AppendInt(append(b, `,"status":`...), int64(d.Status), 10)
	if d.Detail != "" {
		b = appendString(append(b, `,"detail":`...), d.Detail)
	}
	b = appendString(append(b, `,"code":`...), string(d.Code))
	if d.Field != "" {
		b = appendString(append(b, `,"field":`...), d.Field)
	}
	if d.Order != "" {
		b = appendString(append(b, `,"order":`...), string(d.Order))
	}
	return append(b, '}')
}

// appendString writes a string; one with anything to escape is left to package json.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			text, _ := json.Marshal(s) // a string is never an error
			return append(b, text...)
		}
	}
	b = append(append(b, '"'), s...)
	return append(b, '"')
}
