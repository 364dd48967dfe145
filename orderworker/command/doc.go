// Package command is the command line of orderworker: `run`, which is the worker's
// process, and the operators' commands for sales, orders and dead letters.
//
// The main of orderworker calls it, and tests do, in process. It wires the embedded
// backend to package worker and to the ports; it must never import Caddy. Whatever
// it shows or changes goes through the database, so every command works while a
// gateway, a shop and a worker run on the same data.
//
// Exit codes: 0 done; 1 it was understood but could not be done; 2 the command line
// or a setting is wrong.
package command
