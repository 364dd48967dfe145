package caddymodule

import "github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

// The order of the directives in a site is one list, made here and nowhere else: a
// registration can only name standard directives, so several callers would depend
// on the order of their inits.
//
// A probe needs no login, so health comes before the standard guards. Who is asking
// is known before anything counts by user; a refused request costs the directives
// behind nothing. page_cache stands outside encode: pages are stored as they were
// encoded, one for each coding, told apart by Vary: Accept-Encoding, so that a hit
// compresses nothing.
func init() {
	httpcaddyfile.RegisterDirectiveOrder("flashgate_health", httpcaddyfile.Before, "redir")
	httpcaddyfile.RegisterDirectiveOrder("session_auth", httpcaddyfile.After, "forward_auth")
	for _, directive := range []string{"access_limit", "captcha", "hidden_path", "stock_gate", "page_cache"} {
		httpcaddyfile.RegisterDirectiveOrder(directive, httpcaddyfile.Before, "encode")
	}
}
