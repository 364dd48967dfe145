package captcha

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"flashgate"
	"flashgate/caddymodule/app"
	"flashgate/internal/challenge"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// drawingPatience is how long a request waits for its turn to draw.
const drawingPatience = 2 * time.Second

// challenge draws, keeps the answer, and sends the picture or the sound.
func (h *Handler) challenge(w http.ResponseWriter, r *http.Request, scope, asked string) error {
	media := challenge.Image
	if asked == askAudio {
		media = challenge.Audio
	}
	c, err := h.draw(r.Context(), media)
	if err != nil {
		return h.refuse(w, r, err)
	}
	key := answerKey(h.visitor(w, r), scope)
	if err := h.app.OneTime().Put(r.Context(), key, remember(media, c), time.Duration(h.TTL)); err != nil {
		return h.refuse(w, r, err)
	}
	app.CountDecision(op, "served")
	header := w.Header()
	header.Set("Content-Type", c.ContentType)
	header.Set("Content-Length", strconv.Itoa(len(c.Body)))
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	if h.knowsKey(r) {
		header.Set("Captcha-Answer", c.Answer)
	}
	_, _ = w.Write(c.Body) // a client that went away is its own business
	return nil
}

// draw takes a challenge out of the pool. When that is empty it waits for its turn: a
// picture costs a millisecond of a core, and a flood of them must leave the cores to the
// sale.
func (h *Handler) draw(ctx context.Context, media challenge.Media) (challenge.Challenge, error) {
	ctx, cancel := context.WithTimeout(ctx, drawingPatience)
	defer cancel()
	c, err := h.pool.Take(ctx, media)
	switch {
	case err == nil:
		return c, nil
	case errors.Is(err, challenge.ErrBusy) || ctx.Err() != nil:
		// Ordinary, and counted: not worth a line of the log for each.
		return c, &flashgate.Error{Code: flashgate.CodeUnavailable, Op: op, Message: "Too many captchas are being drawn. Try again.", RetryAfter: time.Second}
	default:
		return c, &flashgate.Error{Code: flashgate.CodeInternal, Op: op, Err: err}
	}
}

// remember is what is kept of a challenge until it is answered: its seed, so that the
// same picture could be drawn on any gateway, and the answer.
func remember(media challenge.Media, c challenge.Challenge) []byte {
	value := make([]byte, 0, 1+len(c.Seed)+len(c.Answer))
	value = append(value, byte(media))
	value = append(value, c.Seed[:]...)
	return append(value, c.Answer...)
}

// recall is the answer in what remember made; empty, which is never right, for anything
// else.
func recall(value []byte) (answer string) {
	if n := 1 + len(challenge.Seed{}); len(value) > n {
		return string(value[n:])
	}
	return ""
}

// scope is what an answer is bound to beside the visitor: the named segments, by
// name, so that it comes out the same for either pattern.
func (h *Handler) scope(p app.Pattern, vals []string) string {
	var b strings.Builder
	for _, name := range h.names {
		value := p.Value(vals, name)
		// Two spellings of one segment are one thing to the origin.
		if plain, err := url.PathUnescape(value); err == nil {
			value = plain
		}
		b.WriteString(strconv.Quote(value))
	}
	return b.String()
}

func answerKey(visitor, scope string) string { return "captcha/" + visitor + "/" + scope }

// The directive's own cookie, for visitors without a login. With the prefix a
// browser keeps it only over TLS, from this very host.
const (
	cookieName    = "visitor"
	tlsCookieName = "__Host-visitor"
)

// visitor names who is asking, and gives a visitor without a name one.
func (h *Handler) visitor(w http.ResponseWriter, r *http.Request) string {
	if known := h.known(r); known != "" {
		return known
	}
	token := flashgate.NewSessionToken()
	c := &http.Cookie{Name: cookieName, Value: string(token), Path: "/", MaxAge: int((24 * time.Hour).Seconds()), HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if overTLS(r) {
		c.Name, c.Secure = tlsCookieName, true
	}
	http.SetCookie(w, c)
	return "visitor " + string(token.Key())
}

// known names a visitor by session, by the user that another provider found, or by
// the cookie; it is empty for a new one.
func (h *Handler) known(r *http.Request) string {
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if session, _ := repl.GetString("http.auth.user.session"); session != "" {
		return "session " + session
	}
	if user, _ := repl.GetString("http.auth.user.id"); user != "" {
		return "user " + strconv.Quote(user)
	}
	name := cookieName
	if overTLS(r) {
		name = tlsCookieName
	}
	if c, err := r.Cookie(name); err == nil && c.Value != "" {
		return "visitor " + string(flashgate.SessionToken(c.Value).Key())
	}
	return ""
}

func overTLS(r *http.Request) bool {
	trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	return r.TLS != nil || trusted && r.Header.Get("X-Forwarded-Proto") == "https"
}
