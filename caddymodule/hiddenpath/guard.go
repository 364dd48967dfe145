package hiddenpath

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"flashgate"
	"flashgate/caddymodule/app"
	"flashgate/internal/pathpattern"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func (h *Handler) guard(w http.ResponseWriter, r *http.Request, vals []string, next caddyhttp.Handler) error {
	claim, user, err := h.claim(r, h.Guard, vals)
	if err != nil {
		return h.refuse(w, r, err)
	}
	keys, err := h.app.Keyring()
	if err != nil {
		return h.refuse(w, r, err)
	}
	token := h.Guard.Value(vals, h.token)
	order, expires, err := keys.Open(token, claim, time.Now())
	if err != nil {
		return h.refuseInvalid(w)
	}
	if h.Sale == "" {
		return h.once(w, r, token, expires, Grant{User: user}, next)
	}
	s := newSealed(w)
	defer s.finish()
	return h.pass(s, r, Grant{Order: order, Sale: flashgate.SaleID(claim.Sale), User: user}, next)
}

// pass hands a request on without its token.
func (h *Handler) pass(w http.ResponseWriter, r *http.Request, grant Grant, next caddyhttp.Handler) error {
	app.CountDecision(op, "passed")
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	repl.Set("http.hidden_path.order", string(grant.Order))
	repl.Set("http.hidden_path.sale", string(grant.Sale))
	strip(r)
	return next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), grantKey{}, grant)))
}

// strip takes the last segment off. It changes the request in place, as Caddy's
// rewrite does: placeholders and matchers read from this very request.
func strip(r *http.Request) {
	parent := pathpattern.Parent(r.URL.EscapedPath())
	path, err := url.PathUnescape(parent)
	if err != nil {
		path = parent // cannot be: EscapedPath has parsed it
	}
	r.URL.Path, r.URL.RawPath = path, ""
	if r.URL.EscapedPath() != parent { // not the default encoding
		r.URL.RawPath = parent
	}
	r.RequestURI = r.URL.RequestURI()
}
