// Package stockgate is the directive stock_gate: it takes units of a sale for a
// buyer and answers 202 with the order's id when they are held and durable.
//
// caddymodule imports it. Of the other directives it knows hidden_path's Grant and
// nothing else.
package stockgate
