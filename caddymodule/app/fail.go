package app

import (
	"errors"
	"net/http"
	"time"

	"flashgate"
	"flashgate/internal/problem"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// Fail is the one way a directive refuses a request, but for a Refusal. It writes err as problem+json
// (RFC 9457) and returns nil; with caddyErrors it sets only the headers that belong
// to err and returns it as a caddyhttp error, for the site's own handle_errors.
//
// The cause of an answer of 500 and above is logged once, here or by Caddy, and
// never sent. op names the directive in the log.
func (a *App) Fail(w http.ResponseWriter, r *http.Request, op string, err error, caddyErrors bool) error {
	err = withRetry(err)
	status := flashgate.Info(flashgate.ErrorCode(err)).Status
	if caddyErrors {
		problem.SetHeader(w.Header(), err)
		return caddyhttp.Error(status, err)
	}
	if status >= http.StatusInternalServerError {
		a.logFailure(r, op, err)
	}
	problem.Write(w, err)
	return nil
}

func (a *App) logFailure(r *http.Request, op string, err error) {
	fields := []zap.Field{zap.String("directive", op), zap.String("code", string(flashgate.ErrorCode(err))), zap.Error(err)}
	if e, ok := errors.AsType[*flashgate.Error](err); ok && e.Order != "" {
		fields = append(fields, zap.String("order", string(e.Order)))
	}
	// A client that left is its own business, not the site's trouble; a server that is
	// away had its line when that was found out, and one more for every request would
	// drown the log.
	// The same goes for what nobody is to blame for: a sale that is closed for a
	// moment, a bound that is reached.
	if r.Context().Err() != nil || KnownAway(err) || expected(err) {
		a.logger.Debug("request was not answered", fields...)
		return
	}
	a.logger.Error("request failed", fields...)
}

// expected reports whether an answer of 503 or 504 is one of the site's ordinary ones.
// The metrics count them.
func expected(err error) bool {
	e, ok := errors.AsType[*flashgate.Error](err)
	return ok && (e.Code == flashgate.CodeSaleClosed || e.Code == flashgate.CodeUnavailable && e.Err == nil ||
		e.Code == flashgate.CodeUnknownOutcome && e.Err == nil && e.Order == "")
}

// withRetry says when to come back where the contract promises it and the cause did
// not know.
func withRetry(err error) error {
	e, ok := errors.AsType[*flashgate.Error](err)
	if !ok || e.RetryAfter > 0 || e.Code != flashgate.CodeUnavailable && e.Code != flashgate.CodeSaleClosed {
		return err
	}
	told := *e
	told.RetryAfter = time.Second
	return &told
}
