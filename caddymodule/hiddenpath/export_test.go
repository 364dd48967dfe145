package hiddenpath

import (
	"context"
	"net/http"
)

// Record lets a handler answer w, as behind the guard, and returns what is kept of that.
// client is over when the client is gone.
func Record(w http.ResponseWriter, client context.Context, f func(http.ResponseWriter)) []byte {
	rec := newRecorder(w, client)
	f(rec)
	return rec.reply()
}

// Replay answers w from what was kept; false when that is no reply.
func Replay(w http.ResponseWriter, kept []byte) bool {
	p, ok := parseReply(kept)
	if ok {
		p.write(w)
	}
	return ok
}

// MaxReply bounds what is kept.
const MaxReply = maxReply

// Refuse answers as every invalid token is answered.
func (h *Handler) Refuse(w http.ResponseWriter, r *http.Request) error {
	return h.refuseInvalid(w)
}

// OneTimeKey is where the state of a token is kept.
func OneTimeKey(token string) string { return oneTimeKey(token) }
