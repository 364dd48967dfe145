// Package accesslimit is the directive access_limit: so many requests, in so long, by
// whom, written like an annotation beside a route.
//
// It is glue: the counting is the state backend's, the arithmetic internal/ratelimit.
// Caddy calls it; package caddymodule imports it. It must never import an adapter.
package accesslimit
