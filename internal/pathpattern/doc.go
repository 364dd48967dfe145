// Package pathpattern matches requests against method-first patterns with named
// segments, such as `POST /api/sales/{sale}/orders/{token}`, and tells a guard
// whether a path may reach what lies under such a pattern.
//
// The Caddy directives that take a pattern call it: session_auth, captcha,
// hidden_path and stock_gate parse one in their Caddyfile parser and match it on
// every request.
//
// It imports the standard library only, and must never import Caddy, the domain,
// an adapter or another engine.
//
// Three questions, two strictnesses:
//
//	Match  is this exactly the request the pattern names? One spelling only, on
//	       the escaped path, so that nothing is let in that was not meant.
//	Under  could an origin take this path for the pattern's parent or for
//	       something below it? Every spelling, so that nothing slips past a guard.
//	Like   could an origin take this path for the pattern's own? Every spelling too.
//
// Whatever matches is also like it, and under: for every path, Match implies Like, and Like
// implies Under.
package pathpattern
