// Package flashgate is the domain of a flash sale: sales, reservations, orders
// and their states, the ids that a buyer carries, the message that travels from
// the gateway to the order worker, the errors, and the ports that adapters fill.
//
// A newcomer reads this package first. It imports the standard library only and
// knows neither Caddy, nor SQL, nor a broker. The gateway (caddymodule), the demo
// shop (shopapp) and the order worker (orderworker) import it; it imports none of
// them.
//
// The way of an order:
//
//	mint      Keyring.Mint makes a path token and an order id from one nonce
//	reserve   Stock.Reserve takes the units and holds them under the order id
//	publish   Publisher.Publish hands a Message to the queue (not needed where
//	          Reserve has enqueued in the same transaction)
//	decide    Ledger.Decide writes exactly one row for each order id
//	apply     Applier.Apply tells the gate what was decided (not needed where the
//	          ledger and the gate share a transaction)
package flashgate
