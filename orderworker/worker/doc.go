// Package worker is the engine of the order worker: it takes messages from the
// order queue, lets the database decide each reservation, keeps what cannot be
// decided as a dead letter, and cancels unpaid orders when their time is over.
//
// The commands of orderworker and the one-process demo call it. It works on the
// ports of package flashgate only and must never import an adapter, Caddy or SQL.
//
// What it promises: a message is acked only after everything in it has a row or a
// dead letter, and deciding is idempotent by order id. So the worker may be killed
// at any point: what was not acked comes again and is found to be a duplicate.
package worker
