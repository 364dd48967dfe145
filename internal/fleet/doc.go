// Package fleet runs a site as separate processes on one machine: gateways, the
// shop, order workers. It starts the programs that the project builds, waits until
// each is ready, and stops them in the order in which a request meets them.
//
// `make run-real` and the tests that kill processes call it. It knows programs,
// addresses and settings only: it imports no adapter, no Caddy and nothing of what
// it runs.
package fleet
