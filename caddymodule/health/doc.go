// Package health is the directive flashgate_health: the gateway's own liveness and
// readiness on a site's port, for load balancers and service managers.
//
// caddymodule imports it. It must never import another directive.
package health
