// Package gate takes reservations to the stock. It gathers the requests of one sale
// that arrive while a call is in flight and sends them together with the next one,
// publishes what the stock wants published, and says of each request what became of
// it: an answer, nothing reserved, or not known. Of a sale that is sold out it knows so
// without a call (SoldOut), until units come free. Its Circuit keeps calls away from a
// server that does not answer.
//
// The directive stock_gate calls it, and the app for its circuits. It imports the
// domain and the standard library, and must never import Caddy or an adapter.
package gate
