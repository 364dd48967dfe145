// Package worker is the engine of the order worker: it takes messages from the
// order queue, lets the database decide each reservation, keeps what cannot be
// decided as a dead letter, and cancels unpaid orders when their time is over.
//
// With a gate apart from the database (Config.Gate) it also keeps the two in step:
//
//	follow      applies the database's log to the gate
//	relay       publishes again what a gateway did not get through
//	rescue      finds what the queue has lost, by a fence sent behind it
//	look        finds sales whose gate is closed, and reconcile opens them
//	events      takes order events to the broker
//
// Any number of workers may do all of this at once.
//
// The commands of orderworker and the one-process demo call it. It works on the
// ports of package flashgate only and must never import an adapter, Caddy or SQL.
//
// What it promises: a message is acked only after everything in it has a row or a
// dead letter, and deciding is idempotent by order id. So the worker may be killed
// at any point: what was not acked comes again and is found to be a duplicate. What
// a gate has to be told is in the database's log, and what it holds is in the gate:
// the worker itself remembers nothing that may not be lost.
package worker
