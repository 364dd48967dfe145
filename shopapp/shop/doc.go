// Package shop is the demo shop without its web pages: accounts, sales as visitors
// see them, orders, simulated payment, and the seeded demo.
//
// shopapp/web and the mains call it. It works on the ports of package flashgate
// alone, reads the stock at the gate and never writes it, and imports no adapter, no broker and
// no net/http.
package shop
