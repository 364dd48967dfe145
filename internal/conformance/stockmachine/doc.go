// Package stockmachine drives a gate, a queue and a database through random histories
// and compares them, after every step, with a model made of maps: what is free and
// held, who has bought, which ids are known, what each repeat is answered, which rows
// there are.
//
// A step is a part of the protocol's life of an order: a purchase, a relay's round, a
// batch of a worker, a cancel, an expiry, a restock, a change of the window, a dead
// letter's replay or drop, a part of a reconciliation. Each may be cut off behind any
// of its sub-steps, as by a crash, and what it left may be repeated or come late, in
// another order, where the protocol allows that. Between steps the gate may come back
// in another incarnation, with all of its state, with an older one, or with none.
//
// The tests of the adapters call it. It imports package flashgate alone, so that the
// same machine runs on every backend. No program links it.
//
// A failure says which promise of P1 to P5 is broken where a promise is, and rapid
// prints the shortest history that it finds, with the seed.
package stockmachine
