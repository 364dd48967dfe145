// Package captcha is the directive captcha: it draws challenges, keeps their answers
// on the server, and lets through who brings the right one, once.
//
// It is glue: the drawing is internal/challenge's, the one-time answers are the state
// backend's. Caddy calls it; package caddymodule imports it. It must never import an
// adapter.
package captcha
