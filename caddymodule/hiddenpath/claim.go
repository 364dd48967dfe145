package hiddenpath

import (
	"net/http"
	"strings"

	"flashgate"
	"flashgate/caddymodule/app"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// claim is whom and what a token is for, as the request has it. With a sale
// somebody must be logged in.
//
// The claim must come out the same at the mint and at the guard, so it takes the
// segments by name from either pattern.
func (h *Handler) claim(r *http.Request, p app.Pattern, vals []string) (flashgate.Claim, flashgate.UserID, error) {
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	name, session := app.Setting(repl, h.User), app.Setting(repl, h.Session)
	var user flashgate.UserID
	if name != "" {
		var err error
		if user, err = flashgate.ParseUserID(name); err != nil {
			return flashgate.Claim{}, "", err
		}
	}
	var more strings.Builder
	for _, n := range h.extra {
		more.WriteByte('\n')
		more.WriteString(p.Value(vals, n))
	}
	if h.Sale != "" {
		if user == "" {
			return flashgate.Claim{}, "", app.Unauthenticated(r, op)
		}
		return flashgate.Claim{Sale: p.Value(vals, h.Sale), Session: session + more.String(), User: string(user)}, user, nil
	}
	// The pattern has spaces and slashes, so this scope is never a sale's id.
	c := flashgate.Claim{Sale: h.scope + more.String(), Session: session, User: "user " + string(user)}
	if user == "" {
		address, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
		c.User = "address " + address
	}
	return c, user, nil
}
