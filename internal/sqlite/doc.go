// Package sqlite is the embedded backend: one SQLite file in which the gate, the
// queue, the ledger and the shop's tables live together. Open gives a Store that
// fills every durable port of package flashgate.
//
// Reserve and enqueue are one transaction; decide, stock and gate another. So
// there is no outbox, no log and no fence: what the gate knows and what the
// database knows never differ.
//
// Concurrent writes share a commit (group commit): while one commit is being
// synced the next writes gather, never by a timer. Each of several is a savepoint of
// its own, so one that fails takes nobody along. The file is in WAL mode with
// synchronous=FULL: what a method reported as done survives a crash of the process
// and of the machine.
//
// The mains, the gateway's app and tests open it. It imports no other adapter and
// no Caddy.
package sqlite
