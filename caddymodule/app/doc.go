// Package app is the Caddy app `flashgate`: the settings that the directives
// share, and the backends behind them. Every directive reaches its backend through
// it and through nothing else.
//
// Nothing is opened by provisioning or by `caddy validate`: a backend is opened
// when a request first needs it, and again after an error. What is open lives in
// usage pools, so that a reload, also a failed one, loses no state and no connection.
//
// Calls to a server go through its circuit: while it does not answer they are refused
// at once, and the first that gets through afterwards is nobody's experiment.
//
// The directives, the admin route and the commands import it. It must never import
// a directive, the shop or the worker.
package app
