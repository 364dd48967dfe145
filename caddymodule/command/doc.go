// Package command is the operator's side of the gateway: the routes under
// /flashgate/ of Caddy's admin API, and `caddy flashgate`.
//
// caddymodule imports it. It must never import a directive.
package command
