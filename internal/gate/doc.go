// Package gate takes reservations to the stock. It gathers the requests of one sale
// that arrive while a call is in flight and sends them together with the next one,
// publishes what the stock wants published, and says of each request what became of
// it: an answer, nothing reserved, or not known.
//
// The directive stock_gate calls it. It imports the domain and the standard library,
// and must never import Caddy or an adapter.
package gate
