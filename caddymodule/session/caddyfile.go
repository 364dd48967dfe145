package session

import (
	"strings"

	"flashgate/caddymodule/app"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"
)

func init() {
	httpcaddyfile.RegisterDirective("session_auth", parseCaddyfile)
}

// parseCaddyfile makes one route of two handlers. Syntax:
//
//	session_auth [<matcher>] [optional] {
//	    require <method> <pattern>   # with optional: where a login is needed all the same
//	    cookie  <name>               # default session, over TLS __Host-session
//	    errors  caddy                # default: problem documents
//	}
func parseCaddyfile(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	h.Next() // consume the directive's name
	matchers, err := h.ExtractMatcherSet()
	if err != nil {
		return nil, err
	}
	h.Next()
	optional := false
	switch args := h.RemainingArgs(); {
	case len(args) == 0:
	case len(args) == 1 && args[0] == "optional":
		optional = true
	default:
		return nil, h.Errf("session_auth %s: only optional may stand here", strings.Join(args, " "))
	}
	var provider Provider
	var require Require
	err = app.ParseBlock(h.Dispenser, "session_auth",
		app.Option{Name: "require", Many: true, Parse: func() error {
			if !optional {
				return h.Err("require needs `session_auth optional`: without it every request needs a login")
			}
			p, err := app.ParsePattern(h.Dispenser)
			require.Patterns = append(require.Patterns, p)
			return err
		}},
		app.Option{Name: "cookie", Parse: func() (err error) {
			if provider.Cookie, err = app.OneArg(h.Dispenser); err != nil {
				return err
			}
			if !validCookieName(provider.Cookie) {
				return h.Errf("cookie %q: a name is made of letters, digits and any of !#$%%&'*+-.^_`|~", provider.Cookie)
			}
			return nil
		}},
		app.Option{Name: "errors", Parse: func() (err error) {
			require.Errors, err = app.ParseErrors(h.Dispenser)
			return err
		}},
	)
	if err != nil {
		return nil, err
	}
	auth := caddyauth.Authentication{ProvidersRaw: caddy.ModuleMap{"session": caddyconfig.JSON(provider, nil)}}
	routes := h.NewRoute(matchers, auth)
	if optional && len(require.Patterns) == 0 {
		return routes, nil
	}
	route := routes[0].Value.(caddyhttp.Route)
	route.HandlersRaw = append(route.HandlersRaw, caddyconfig.JSONModuleObject(require, "handler", "session_require", nil))
	routes[0].Value = route
	return routes, nil
}

// validCookieName takes a token (RFC 9110, section 5.6.2).
func validCookieName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if c <= ' ' || c > '~' || strings.IndexByte(`()<>@,;:\"/[]?={}`, c) >= 0 {
			return false
		}
	}
	return name != ""
}
