// Package pagestore keeps the pages of a gateway: in memory bounded by bytes, where the
// least useful goes first (W-TinyLFU), and behind it, if there is one, in a store that
// all gateways share, with a log of purges.
//
// A purge is a rule, not a walk through pages: a page remembers which purges its gateway
// knew before it was fetched, and is judged by the later ones whenever it is found. So a
// purge holds from the moment it is known, also for pages that are on their way, and in
// the shared store.
//
// A gateway hears of a purge at once, or at the latest after a second when the news is
// lost. While the shared store is away a gateway serves what it has in memory, as it
// would without one, and takes nothing from the store before it has read the purges that
// it has missed.
//
// It imports the domain and must never import Caddy or an adapter.
package pagestore
