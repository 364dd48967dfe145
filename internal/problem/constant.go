package problem

import (
	"net/http"
	"strconv"
	"time"
)

// Constant is the answer to an error that is the same for everybody: its document is
// formatted once. Only Retry-After may differ.
type Constant struct {
	status int
	body   []byte
	names  []string // of the header's fields
	values []string // theirs
}

// NewConstant formats the answer to an error. Its RetryAfter does not count. Further fields
// of the header are name and value in turn, the names in canonical form.
func NewConstant(err error, fields ...string) *Constant {
	doc := New(err)
	c := &Constant{status: doc.Status, body: append(doc.appendJSON(nil), '\n')}
	fields = append([]string{"Cache-Control", "no-store", "Content-Type", ContentType, "Content-Length", strconv.Itoa(len(c.body))}, fields...)
	for i := 0; i+1 < len(fields); i += 2 {
		c.names, c.values = append(c.names, fields[i]), append(c.values, fields[i+1])
	}
	return c
}

// Status is the answer's.
func (c *Constant) Status() int { return c.status }

// Write sends the answer, with Retry-After as SetHeader has it if retryAfter is above zero.
// All values of the header are one allocation; they are this answer's own, as others may
// change them.
func (c *Constant) Write(w http.ResponseWriter, retryAfter time.Duration) {
	h := w.Header()
	forget(h)
	n := len(c.values)
	values := make([]string, n+1)
	copy(values, c.values)
	for i, name := range c.names {
		h[name] = values[i : i+1 : i+1]
	}
	if retryAfter > 0 {
		values[n] = RetryAfter(retryAfter)
		h["Retry-After"] = values[n:]
	}
	w.WriteHeader(c.status)
	_, _ = w.Write(c.body) // a client that went away is not worth a word here
}
