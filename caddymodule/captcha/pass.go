package captcha

import (
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// passCookie names the cookie of somebody who has solved a captcha of this kind. With the
// prefix a browser keeps it only over TLS, from this very host.
func (h *Handler) passCookie(r *http.Request) string {
	name := "captcha_pass_" + h.kindName
	if overTLS(r) {
		return "__Host-" + name
	}
	return name
}

// purpose keeps the passes of one kind of captcha from counting for another.
func (h *Handler) purpose() string { return "captcha pass " + h.kindName }

// bindings are what a pass may belong to, the closest first: the session, the user, the
// network. A pass that was won before a login counts after it, from the same network.
func bindings(r *http.Request) []string {
	var b []string
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if session, _ := repl.GetString("http.auth.user.session"); session != "" {
		b = append(b, "session "+session)
	} else if user := userOf(r); user != "" {
		b = append(b, "user "+user)
	}
	return append(b, "address "+address(r, 24, 64))
}

// grantPass lets whoever has solved a captcha through for a while. It is a signed cookie:
// nothing is stored.
func (h *Handler) grantPass(w http.ResponseWriter, r *http.Request) error {
	keys, err := h.app.Keyring()
	if err != nil {
		return err
	}
	ttl := time.Duration(h.Pass)
	c := &http.Cookie{
		Name: h.passCookie(r), Value: keys.Stamp(h.purpose(), time.Now().Add(ttl), bindings(r)[0]),
		Path: "/", MaxAge: int(ttl.Seconds()), HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: overTLS(r),
	}
	http.SetCookie(w, c)
	return nil
}

// hasPass reports whether the visitor has solved a captcha lately.
func (h *Handler) hasPass(r *http.Request) bool {
	cookies := r.CookiesNamed(h.passCookie(r))
	if len(cookies) == 0 {
		return false
	}
	keys, err := h.app.Keyring()
	if err != nil {
		return false
	}
	now := time.Now()
	for _, c := range cookies[:min(len(cookies), 4)] {
		for _, b := range bindings(r) {
			if _, ok := keys.OpenStamp(c.Value, h.purpose(), now, b); ok {
				return true
			}
		}
	}
	return false
}
