package hiddenpath

import (
	"bytes"
	"context"
	"crypto/rand"
	"net/http"
	"time"

	"flashgate"
	"flashgate/caddymodule/app"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// A token without a sale is used once: of any number of requests with it, on any number
// of gateways, one reaches the next handler. That one is not cancelled when its client
// leaves, so that its effect happens once and is known, and its answer is kept until the
// token expires. Whoever repeats the request, because the answer was lost, gets it again.
// Where it is not known, the repeat is answered unknown_outcome: the first one is still
// under way, failed, was answered 5xx or with more than maxReply, or its gateway died.

// oneTimeKey is the key of a token's one-time value. It has key id and nonce, and not
// the MAC: whoever reads the store's keys, slow log or monitor has no token.
func oneTimeKey(token string) string {
	const nonceEnds = 27 // the first 20 bytes in base64url
	return "hidden_path/" + token[:nonceEnds]
}

// unknown is the answer to a repeat when the first answer is not known.
var unknown = &flashgate.Error{
	Code: flashgate.CodeUnknownOutcome, Op: op, RetryAfter: time.Second,
	Message: "This address was used already, and the answer is not known or not known yet. Ask again with it in a moment. " +
		"If that stays so, see whether the first request took effect before you ask for a new address.",
}

// once hands a request on, or answers it as the first one with its token was answered.
func (h *Handler) once(w http.ResponseWriter, r *http.Request, token string, expires time.Time, grant Grant, next caddyhttp.Handler) error {
	key, values := oneTimeKey(token), h.app.OneTime()
	mine := make([]byte, 9)
	mine[0] = stateUsed
	rand.Read(mine[1:])
	before, ok, err := values.CompareAndSwap(r.Context(), key, fresh, mine)
	switch {
	case err != nil:
		return h.refuse(w, r, err)
	case !ok: // over meanwhile, or lost
		return h.refuseInvalid(w)
	case isFresh(before) || bytes.Equal(before, mine): // mine: the command was repeated
	default:
		return h.repeat(w, r, before)
	}

	ctx, cancel := outlive(r.Context(), expires)
	defer cancel()
	rec := newRecorder(w, r.Context())
	defer rec.finish()
	if err := h.pass(rec, r.WithContext(ctx), grant, next); err != nil {
		return err
	}
	if reply := rec.reply(); reply != nil {
		// Also when the gateway is about to stop, or the token to expire.
		_, _, err := values.CompareAndSwap(context.WithoutCancel(ctx), key, mine, reply)
		if err != nil && !app.KnownAway(err) {
			h.logger.Warn("the answer to a guarded request was not kept: a repeat gets unknown_outcome", zap.Error(err))
		}
	}
	return nil
}

// repeat answers a request whose token was used before.
func (h *Handler) repeat(w http.ResponseWriter, r *http.Request, before []byte) error {
	reply, ok := parseReply(before)
	if !ok {
		return h.refuse(w, r, unknown)
	}
	app.CountDecision(op, "replayed")
	reply.write(w)
	return nil
}

// outlive is a context that goes on when the client leaves, until the token expires:
// from then on nobody can ask for the answer. It keeps the values, among them Caddy's
// replacer and variables, which are the request's until its handlers are done.
func outlive(client context.Context, expires time.Time) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(client))
	stop := context.AfterFunc(client, func() {
		timer := time.NewTimer(time.Until(expires))
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx, func() { stop(); cancel() }
}
