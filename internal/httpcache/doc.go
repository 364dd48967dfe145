// Package httpcache is a shared HTTP cache (RFC 9111) in front of a handler: it
// decides what may be kept and reused, collapses concurrent misses, serves stale
// pages while one request refreshes them (RFC 5861) and says what it did in
// Cache-Status (RFC 9211).
//
// The directive page_cache calls it; where pages are kept is a flashgate.PageStore.
// It imports the domain and the standard library, and must never import Caddy or an
// adapter.
//
// It keeps whole answers to GET with status 200 and an explicit freshness, or those
// that the operator's TTL speaks for. It has no heuristic freshness, keeps no
// partial content, and fetches anew instead of validating.
package httpcache
