package app

import (
	"net/http"
	"time"

	"flashgate"
	"flashgate/internal/problem"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Refusal is what Fail answers to an error below 500 that is the same for everybody. It is
// formatted, and its counter is found, once: a refusal must cost less than what it
// protects.
type Refusal struct {
	err      *flashgate.Error
	constant *problem.Constant
	fields   []string // of the header, beside those of err
	count    Counter
}

// NewRefusal makes the answer to err, whose Op is the directive. It is counted as result in
// flashgate_decisions_total. Further fields of the header are name and value in turn.
func NewRefusal(err *flashgate.Error, result string, fields ...string) *Refusal {
	return &Refusal{err: err, constant: problem.NewConstant(err, fields...), fields: fields, count: DecisionCounter(err.Op, result)}
}

// Send counts the refusal and answers with it, as Fail does. Retry-After is left out when
// retryAfter is zero.
func (f *Refusal) Send(w http.ResponseWriter, retryAfter time.Duration, caddyErrors bool) error {
	f.count.Inc()
	if !caddyErrors {
		f.constant.Write(w, retryAfter)
		return nil
	}
	err := *f.err
	err.RetryAfter = retryAfter
	problem.SetHeader(w.Header(), &err)
	for i := 0; i+1 < len(f.fields); i += 2 {
		w.Header().Set(f.fields[i], f.fields[i+1])
	}
	return caddyhttp.Error(f.constant.Status(), &err)
}
