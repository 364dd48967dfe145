// Package redis is the gate, the sessions and the short-lived state on Redis:
// standalone, Sentinel or Cluster, by go-redis' universal client. Open gives a
// Store that fills the ports Stock, Outbox, Applier, Opener, FreedWatcher,
// SessionStore, Limiter, OneTime and PageStore of package flashgate.
//
// Every decision is one embedded Lua script in lua/, one file per verb, on Redis'
// own clock. All keys of a sale share a hash slot ({sale}), so a script sees them
// in a Cluster too. Scripts are called by their digest and sent whole when the
// server has forgotten them, in pipelines too.
//
// What Redis may lose: it acknowledges a write before it is synced (appendfsync
// everysec) or copied to a replica. Therefore a sale's head remembers the
// incarnation of the server that it was opened in, every script of the gate
// compares it, and a sale whose server has another one is closed until the order
// worker has reconciled it.
//
// The gateway's app, the shop's main, the operators' commands and tests open it. It
// imports no other adapter and no Caddy.
package redis
