// Package conformance holds one test suite for each port of package flashgate.
// An adapter passes the suites of the ports that it fills, unchanged; what the
// suites check is what the ports' comments promise, and nothing else.
//
// The adapters' tests call it, with a function that opens a fixture. It imports
// package flashgate alone: no adapter, no engine, no Caddy. No program links it.
//
// What a suite takes for granted of a backend is little, so that it also runs on
// servers that many suites share at the same time:
//
//   - Every case opens a fixture of its own and runs in parallel with the others.
//     Sales, users, orders, keys and mobile numbers are drawn at random, so the
//     fixtures of one backend may share its data, except for Queue and Fencer
//     (each fixture a queue of its own), Events (a database of its own, whose events
//     nobody else delivers) and Pages (ClearPages clears all).
//   - Clocks are the backend's own: what expires has a short time to live and is
//     polled until a deadline.
//   - Whether Reserve answers OutcomeAccepted or OutcomePublish, and whether gate
//     and database share a transaction, is the adapter's business: see Follow and
//     Settle in StockFixture.
package conformance
