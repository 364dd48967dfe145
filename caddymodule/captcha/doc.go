// Package captcha is the directive captcha: it asks visitors to read, to listen or to let
// their computer work, keeps the answers on the server, and lets through who brings the
// right one, once.
//
// It is glue: drawing, pool and proofs are internal/challenge's, one-time answers and
// counts are the state backend's, signatures the keyring's. Caddy calls it; package
// caddymodule imports it. It must never import an adapter.
package captcha
