package session

import (
	"context"
	"net/http"
	"time"

	"flashgate"
	"flashgate/caddymodule/app"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"
	"go.uber.org/zap"
)

func init() {
	caddy.RegisterModule(&Provider{})
}

// The names of the session cookie unless `cookie` says otherwise. A browser keeps
// one with the prefix __Host- only from this very host over TLS (RFC 6265bis,
// section 4.1.3.2).
const (
	CookieName    = "session"
	TLSCookieName = "__Host-session"
)

// lookupTimeout bounds the wait for the session store.
const lookupTimeout = 2 * time.Second

// Provider looks up the session of a cookie. It never refuses a request: a visitor
// without a session passes as anonymous, and a user that another provider found is
// left alone.
//
// It sets the placeholders `{http.auth.user.id}`, `{http.auth.user.session}` (the
// hash of the session's token, which may be logged) and `{http.auth.user.role}`;
// each is empty where there is none.
type Provider struct {
	// Name of the cookie. Default: session over http, __Host-session over TLS;
	// behind a trusted proxy X-Forwarded-Proto tells which.
	Cookie string `json:"cookie,omitempty"`

	app    *app.App
	logger *zap.Logger
}

// CaddyModule returns the Caddy module information.
func (*Provider) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.authentication.providers.session", New: func() caddy.Module { return new(Provider) }}
}

// Provision finds the app.
func (p *Provider) Provision(ctx caddy.Context) (err error) {
	p.logger = ctx.Logger()
	p.app, err = app.Get(ctx)
	return err
}

// Authenticate never returns an error and always true. That the store was away is
// noted for Require.
func (p *Provider) Authenticate(_ http.ResponseWriter, r *http.Request) (caddyauth.User, bool, error) {
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	user := caddyauth.User{Metadata: map[string]string{
		"session": known(repl, "http.auth.user.session"), "role": known(repl, "http.auth.user.role"),
	}}
	if user.ID = known(repl, "http.auth.user.id"); user.ID != "" {
		return user, true, nil
	}
	cookie, err := r.Cookie(p.cookieName(r))
	if err != nil || cookie.Value == "" {
		return user, true, nil
	}
	ses, err := p.lookup(r.Context(), flashgate.SessionToken(cookie.Value).Key())
	switch flashgate.ErrorCode(err) {
	case "":
		user.ID = string(ses.User)
		user.Metadata["session"], user.Metadata["role"] = string(ses.Key), string(ses.Role)
	case flashgate.CodeUnauthenticated:
	default:
		app.NoteLoginUnknown(r, err)
		if r.Context().Err() == nil && !app.KnownAway(err) {
			p.logger.Error("session store did not answer; visitors are anonymous", zap.Error(err))
		}
	}
	return user, true, nil
}

func (p *Provider) lookup(ctx context.Context, key flashgate.SessionKey) (flashgate.Session, error) {
	store, err := p.app.Sessions()
	if err != nil {
		return flashgate.Session{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	return store.Session(ctx, key)
}

func (p *Provider) cookieName(r *http.Request) string {
	switch {
	case p.Cookie != "":
		return p.Cookie
	case r.TLS != nil:
		return TLSCookieName
	}
	if trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool); trusted && r.Header.Get("X-Forwarded-Proto") == "https" {
		return TLSCookieName
	}
	return CookieName
}

// known is a placeholder's value, empty where nobody has set it.
func known(repl *caddy.Replacer, name string) string {
	value, _ := repl.GetString(name)
	return value
}

// Interface guards.
var (
	_ caddy.Provisioner       = (*Provider)(nil)
	_ caddyauth.Authenticator = (*Provider)(nil)
)
