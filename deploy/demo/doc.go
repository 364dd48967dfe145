// Command flashgate-demo is what `make run` starts: gateway (on the root
// Caddyfile), shop and order worker in one process, on one SQLite file, with seeded
// goods and users. It needs no server.
//
//	flashgate-demo          runs until Ctrl-C
//	flashgate-demo reset    wipes the data
//	flashgate-demo version
//	flashgate-demo caddy …  is the Caddy inside: reload, validate, adapt, flashgate …
//
// It wires the three parts together and holds no logic of a sale. The gateway
// reaches the shop over HTTP on loopback, as it would any other.
package main
