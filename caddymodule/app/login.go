package app

import (
	"net/http"
	"time"

	"flashgate"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// loginUnknown is the request variable that holds the session store's error.
const loginUnknown = "flashgate.session_error"

// NoteLoginUnknown notes on a request that the session store did not answer: the
// visitor may well be logged in.
func NoteLoginUnknown(r *http.Request, err error) {
	caddyhttp.SetVar(r.Context(), loginUnknown, err)
}

// Unauthenticated is the error for a request that needs a user and has none:
// CodeUnauthenticated, or CodeUnavailable when the session store was away.
func Unauthenticated(r *http.Request, op string) error {
	if cause, ok := caddyhttp.GetVar(r.Context(), loginUnknown).(error); ok {
		return &flashgate.Error{Code: flashgate.CodeUnavailable, Op: op, RetryAfter: time.Second, Err: cause}
	}
	return flashgate.Errorf(flashgate.CodeUnauthenticated, op, "Log in and try again.")
}
