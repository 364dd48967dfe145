package pagecache

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// address is the URI that the client sent: behind a rewrite of many addresses to one
// front controller the origin tells them apart by it.
func address(r *http.Request) *url.URL {
	original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	if !ok || original.URL == nil {
		return r.URL
	}
	return original.URL
}

// trusted reports that a request comes by a proxy of the server's trusted_proxies.
func trusted(r *http.Request) bool {
	yes, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	return yes
}

// errorStatus is what Caddy would answer for an error.
func errorStatus(err error) int {
	var answered caddyhttp.HandlerError
	if errors.As(err, &answered) && answered.StatusCode != 0 {
		return answered.StatusCode
	}
	return http.StatusInternalServerError
}

// takenVar notes that a page_cache has taken a request.
const takenVar = "flashgate.page_cache"

// taken reports that a page_cache before this one has taken the request, and notes that
// one has. Several lines match where their matchers overlap. They share their flights, so
// that the second would wait for the first, which waits for it.
func taken(r *http.Request) bool {
	before := caddyhttp.GetVar(r.Context(), takenVar) != nil
	caddyhttp.SetVar(r.Context(), takenVar, true)
	return before
}

func canonical(names []string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = http.CanonicalHeaderKey(name)
	}
	return out
}

// routeGroupKey is where Caddy notes which groups of routes a request has gone
// through.
const routeGroupKey caddy.CtxKey = "route_group"

// detach makes a request that outlives the one it came from. Caddy keeps the state
// of a request in maps of its context that have no lock, so they are copied, and it
// gets a replacer of its own, which asks the old one for what other directives have
// set there.
func detach(ctx context.Context, r *http.Request, w http.ResponseWriter) *http.Request {
	server, _ := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	replacer, ok := ctx.Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if server == nil || !ok {
		return r.Clone(ctx)
	}
	original := ctx.Value(caddyhttp.OriginalRequestCtxKey)
	vars, _ := ctx.Value(caddyhttp.VarsCtxKey).(map[string]any)
	groups, _ := ctx.Value(routeGroupKey).(map[string]struct{})
	vars, groups = maps.Clone(vars), maps.Clone(groups)

	own := caddy.NewReplacer()
	out := caddyhttp.PrepareRequest(r.Clone(ctx), own, w, server)
	ctx = out.Context()
	if original != nil {
		ctx = context.WithValue(ctx, caddyhttp.OriginalRequestCtxKey, original)
	}
	if vars != nil {
		ctx = context.WithValue(ctx, caddyhttp.VarsCtxKey, vars)
	}
	if groups != nil {
		ctx = context.WithValue(ctx, routeGroupKey, groups)
	}
	*out = *out.WithContext(ctx) // in place: the replacer knows it by its pointer
	own.Map(func(name string) (any, bool) {
		// These are the old request's and its client's; the new one has its own.
		for _, prefix := range []string{"http.request.", "http.response.", "http.vars."} {
			if strings.HasPrefix(name, prefix) {
				return nil, false
			}
		}
		return replacer.Get(name)
	})
	return out
}
