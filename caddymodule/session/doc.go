// Package session is the directive session_auth: it finds out who is asking from a
// session cookie, and stops who must be logged in and is not.
//
// Caddy's own `authentication` handler runs the provider
// http.authentication.providers.session, which always lets an anonymous visitor
// pass; http.handlers.session_require behind it refuses.
//
// caddymodule imports it. It must never import another directive.
package session
