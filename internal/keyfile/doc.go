// Package keyfile keeps the signing keys of an embedded installation in a file of
// the data folder, so that a site that set no keys still has them after a restart.
//
// The gateway's app and the demo's mains call it. It imports the domain and the
// standard library, and must never import Caddy or an adapter.
package keyfile
