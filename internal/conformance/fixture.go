package conformance

import (
	"testing"

	"flashgate"
)

// Database is what a database fills: the ledger and what belongs to it.
type Database struct {
	Ledger      flashgate.Ledger
	Orders      flashgate.OrderStore
	Sales       flashgate.SaleStore
	DeadLetters flashgate.DeadLetterStore

	// Sale creates a sale with CreateSale and, where there is a gate, opens its
	// gate before it returns. It fails the test when it cannot.
	Sale func(t testing.TB, s flashgate.Sale)
}

// DatabaseFixture is what Ledger, Orders, Sales and DeadLetters run on.
type DatabaseFixture struct {
	Database

	// Reopen ends the adapter as a crash would, as far as that can be done from
	// within, and opens the same data again. The fixture that it was called on is
	// of no use afterwards. Nil when there is nothing durable.
	Reopen func(t testing.TB) DatabaseFixture
}

// StockFixture is what Stock runs on: a gate with its database behind it.
type StockFixture struct {
	Stock flashgate.Stock
	Database

	// Follow lets the gate learn everything that the database has decided so far.
	// Nil when both share a transaction, so that there is nothing to learn.
	Follow func(t testing.TB)

	// Settle brings everything to rest: whatever is held and not dead-lettered
	// reaches the ledger and is decided with a time to live of an hour, duplicates
	// are settled, and the gate has followed.
	Settle func(t testing.TB)

	// Bound is how many units of a sale may be held undecided at once, a multiple of
	// flashgate.MaxUnits; zero when the fixture's gate has no such bound.
	Bound int64

	// Reopen is as in DatabaseFixture, for the gate, the queue and the database.
	Reopen func(t testing.TB) StockFixture
}

func (f StockFixture) follow(t testing.TB) {
	t.Helper()
	if f.Follow != nil {
		f.Follow(t)
	}
}

// testCase is one case of a suite.
type testCase[F any] struct {
	name string
	run  func(t *testing.T, f F)
	// needs says whether a fixture has what the case is about; nil: all have.
	needs func(f F) bool
}

// run runs the cases that the fixture has the means for, in parallel, each on a
// fixture of its own.
func run[F any](t *testing.T, open func(t *testing.T) F, cases []testCase[F]) {
	t.Helper()
	probe := open(t)
	for _, c := range cases {
		if c.needs != nil && !c.needs(probe) {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, open(t))
		})
	}
}
