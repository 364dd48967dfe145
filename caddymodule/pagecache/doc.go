// Package pagecache is the directive page_cache: it keeps pages that are the same
// for everybody. What may be kept is decided by internal/httpcache; this package is
// the glue between it and Caddy.
//
// caddymodule imports it. It must never import another directive or an adapter.
package pagecache
