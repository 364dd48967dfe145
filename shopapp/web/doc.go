// Package web is the demo shop's face: the JSON API, the event streams and the
// pages. It decides nothing about a sale; it calls shopapp/shop and turns what comes
// back into HTTP.
//
// shopapp's main and the one-process demo start it behind the gateway. It imports no
// adapter, no broker and no Caddy.
package web
