// Package httpcache is a shared HTTP cache (RFC 9111) in front of a handler. It decides
// what may be kept and reused, validates what is stale, answers ranges, collapses
// concurrent misses, serves stale pages while one request refreshes them or the origin
// is in trouble (RFC 5861), and says what it did in Cache-Status (RFC 9211).
//
// The way of a request: keyer names its page, demand says what the request allows, look
// finds the page, and judge weighs it. A hit is answered by answer. Otherwise a flight
// goes to the origin, for all who want the page, or alone: a recorder stands between
// the handler and the client, and with the header decides by policy if the answer is
// kept, passes, or is replaced by the page that is stored.
//
// The directive page_cache calls it; where pages are kept is a flashgate.PageCache. It
// imports the domain and must never import Caddy or an adapter.
package httpcache
