package hiddenpath

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"flashgate/caddymodule/app"
	"flashgate/internal/signedurl"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// signedOptions are the options of the directive's second form.
func (h *Handler) signedOptions(d *caddyfile.Dispenser) []app.Option {
	signed := app.Option{Name: "signed", Many: true, Parse: func() error {
		path, err := app.OneArg(d)
		h.Signed = append(h.Signed, path)
		return err
	}}
	return append([]app.Option{signed}, h.options(d)...)
}

// checkSigned checks the directive's second form, and that it is not mixed with the first.
func (h *Handler) checkSigned() error {
	switch {
	case len(h.Signed) == 0 && (h.Parameter != "" || len(h.Require) > 0):
		return errors.New("parameter and require belong to signed addresses: write a line such as: signed /files/*")
	case len(h.Signed) == 0:
		return nil
	case h.Mint.IsSet() || h.Guard.IsSet() || h.Sale != "" || h.TTL != 0 || h.User != "" || h.Session != "":
		return errors.New("signed stands without mint, guard, sale, ttl, user and session: write two hidden_path blocks, one for each")
	}
	if _, err := parseTrees(h.Signed); err != nil {
		return err
	}
	if err := h.check(); err != nil {
		return err
	}
	return h.Errors.Validate()
}

func (h *Handler) provisionSigned() (err error) {
	h.trees, err = parseTrees(h.Signed)
	h.verify = h.policy()
	return err
}

// serveSigned guards the trees, by where a request goes and by where it was sent: a
// rewrite in front opens nothing.
func (h *Handler) serveSigned(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	_, u := sent(r)
	if !h.trees.under(r.URL.EscapedPath()) && !h.trees.under(u.EscapedPath()) {
		return next.ServeHTTP(w, r)
	}
	keys, err := h.app.Keyring()
	if err != nil {
		return h.refuse(w, r, err)
	}
	result := h.verify.Verify(keys, facts(r), time.Now())
	if result.Status != signedurl.Valid {
		return h.refuseInvalid(w)
	}
	app.CountDecision(op, "passed")
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	repl.Set("http.hidden_path.expires", result.Expires.Unix())

	return servePrivate(w, h.unsigned(r), next)
}

// signedKey is where the context has the request with its signature.
type signedKey struct{}

// unsigned takes the signature off, so that what comes next, a cache or an origin, sees the
// address that was signed: in place, as strip does, and off the address as it was sent,
// which page_cache tells pages apart by.
func (h *Handler) unsigned(r *http.Request) *http.Request {
	clean := func(u *url.URL) string {
		u.RawQuery = signedurl.Without(u.RawQuery, h.verify.Parameter)
		u.ForceQuery = false
		return u.RequestURI()
	}
	r.RequestURI = clean(r.URL)
	sent, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	if !ok || sent.URL == nil {
		return r
	}
	ctx := context.WithValue(r.Context(), signedKey{}, sent) // for the matcher behind
	u := *sent.URL
	sent.URL, sent.RequestURI = &u, clean(&u)
	return r.WithContext(context.WithValue(ctx, caddyhttp.OriginalRequestCtxKey, sent))
}
