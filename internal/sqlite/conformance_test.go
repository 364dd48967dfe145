package sqlite_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/conformance"
	"flashgate/internal/sqlite"
)

// opened is a Store on a file, which can be closed and opened again.
type opened struct {
	*sqlite.Store
	path string
}

func openFile(t testing.TB, path string) opened {
	t.Helper()
	s, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return opened{s, path}
}

func newFile(t testing.TB) opened {
	t.Helper()
	return openFile(t, filepath.Join(t.TempDir(), "flashgate.db"))
}

func (o opened) reopen(t testing.TB) opened {
	t.Helper()
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	return openFile(t, o.path)
}

func (o opened) database() conformance.Database {
	return conformance.Database{Ledger: o, Orders: o, Sales: o, DeadLetters: o, Sale: func(t testing.TB, s flashgate.Sale) {
		t.Helper()
		if err := o.CreateSale(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}}
}

func databaseFixture(o opened) conformance.DatabaseFixture {
	return conformance.DatabaseFixture{Database: o.database(), Reopen: func(t testing.TB) conformance.DatabaseFixture {
		return databaseFixture(o.reopen(t))
	}}
}

func stockFixture(o opened) conformance.StockFixture {
	return conformance.StockFixture{
		Stock: o, Database: o.database(), Bound: 100_000, Settle: o.settle,
		Reopen: func(t testing.TB) conformance.StockFixture { return stockFixture(o.reopen(t)) },
	}
}

// settle decides what is in the queue.
func (o opened) settle(t testing.TB) {
	t.Helper()
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		ds, err := o.Receive(ctx, 100)
		cancel()
		if err != nil {
			return // nothing came
		}
		for _, d := range ds {
			m, err := flashgate.DecodeMessage(d.Body)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := o.Decide(t.Context(), m.Sale, m.Reservations, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		if err := o.Ack(t.Context(), ds); err != nil {
			t.Fatal(err)
		}
	}
}

func queueFixture(o opened) conformance.QueueFixture {
	return conformance.QueueFixture{
		Publisher: o, Consumer: o,
		Raw: func(t testing.TB, _ flashgate.SaleID, body []byte) {
			t.Helper()
			if err := o.PublishRaw(t.Context(), body); err != nil {
				t.Fatal(err)
			}
		},
		Reopen: func(t testing.TB) conformance.QueueFixture { return queueFixture(o.reopen(t)) },
	}
}

func sessionsFixture(o opened) conformance.SessionsFixture {
	return conformance.SessionsFixture{
		Stores: [2]flashgate.SessionStore{o, o},
		Reopen: func(t testing.TB) conformance.SessionsFixture { return sessionsFixture(o.reopen(t)) },
	}
}

func usersFixture(o opened) conformance.UsersFixture {
	return conformance.UsersFixture{Users: o, Remover: o, Reopen: func(t testing.TB) conformance.UsersFixture { return usersFixture(o.reopen(t)) }}
}

func goodsFixture(o opened) conformance.GoodsFixture {
	return conformance.GoodsFixture{Goods: o, Reopen: func(t testing.TB) conformance.GoodsFixture { return goodsFixture(o.reopen(t)) }}
}

// on gives each case a file of its own.
func on[F any](fixture func(opened) F) func(*testing.T) F {
	return func(t *testing.T) F {
		t.Helper()
		return fixture(newFile(t))
	}
}

func TestStock(t *testing.T)       { t.Parallel(); conformance.Stock(t, on(stockFixture)) }
func TestQueue(t *testing.T)       { t.Parallel(); conformance.Queue(t, on(queueFixture)) }
func TestLedger(t *testing.T)      { t.Parallel(); conformance.Ledger(t, on(databaseFixture)) }
func TestOrders(t *testing.T)      { t.Parallel(); conformance.Orders(t, on(databaseFixture)) }
func TestSales(t *testing.T)       { t.Parallel(); conformance.Sales(t, on(databaseFixture)) }
func TestDeadLetters(t *testing.T) { t.Parallel(); conformance.DeadLetters(t, on(databaseFixture)) }
func TestSessions(t *testing.T)    { t.Parallel(); conformance.Sessions(t, on(sessionsFixture)) }
func TestUsers(t *testing.T)       { t.Parallel(); conformance.Users(t, on(usersFixture)) }
func TestGoods(t *testing.T)       { t.Parallel(); conformance.Goods(t, on(goodsFixture)) }

func TestSaleRemoval(t *testing.T) {
	t.Parallel()
	conformance.SaleRemoval(t, on(func(o opened) conformance.RemovalFixture {
		return conformance.RemovalFixture{Database: o.database(), Remover: o, Stock: o, Settle: o.settle}
	}))
}
