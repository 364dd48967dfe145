package mysql_test

import (
	"sync"
	"testing"

	"flashgate"
	"flashgate/internal/conformance"
	"flashgate/internal/mysql"
	"flashgate/internal/servers/serverstest"
)

func TestMain(m *testing.M) { serverstest.Main(m) }

// database is the DSN of one database for all suites: their ids are random.
var database = func() func(t testing.TB) string {
	var once sync.Once
	var dsn string
	return func(t testing.TB) string {
		t.Helper()
		once.Do(func() {
			server := serverstest.MariaDB(t)
			if err := server.CreateDatabase(t.Context(), "suites"); err != nil {
				t.Fatal(err)
			}
			dsn = server.DSN("suites")
			openStore(t, dsn)
		})
		if dsn == "" {
			t.Fatal("there is no database for the suites")
		}
		return dsn
	}
}()

// openStore opens a store on a database whose schema is up to date.
func openStore(t testing.TB, dsn string) *mysql.Store {
	t.Helper()
	s := openOnly(t, dsn)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func openOnly(t testing.TB, dsn string) *mysql.Store {
	t.Helper()
	s, err := mysql.Open(mysql.Config{DSN: dsn, MaxOpenConns: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// opened is a Store that can be closed and opened again.
type opened struct {
	*mysql.Store
	dsn string
}

func (o opened) reopen(t testing.TB) opened {
	t.Helper()
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	return opened{openOnly(t, o.dsn), o.dsn}
}

func (o opened) sale(t testing.TB, s flashgate.Sale) {
	t.Helper()
	if err := o.CreateSale(t.Context(), s); err != nil {
		t.Fatal(err)
	}
}

func (o opened) database() conformance.Database {
	return conformance.Database{Ledger: o, Orders: o, Sales: o, DeadLetters: o, Sale: o.sale}
}

func databaseFixture(o opened) conformance.DatabaseFixture {
	return conformance.DatabaseFixture{Database: o.database(), Reopen: func(t testing.TB) conformance.DatabaseFixture {
		return databaseFixture(o.reopen(t))
	}}
}

func logFixture(o opened) conformance.ChangeLogFixture {
	return conformance.ChangeLogFixture{Database: o.database(), Log: o, Reopen: func(t testing.TB) conformance.ChangeLogFixture {
		return logFixture(o.reopen(t))
	}}
}

func fenceFixture(o opened) conformance.FenceFixture {
	return conformance.FenceFixture{Fences: o, Sale: o.sale, Reopen: func(t testing.TB) conformance.FenceFixture {
		return fenceFixture(o.reopen(t))
	}}
}

func reconciliationFixture(o opened) conformance.ReconciliationFixture {
	return conformance.ReconciliationFixture{Database: o.database(), Log: o, Reconciliation: o,
		Reopen: func(t testing.TB) conformance.ReconciliationFixture { return reconciliationFixture(o.reopen(t)) }}
}

func eventsFixture(o opened) conformance.EventsFixture {
	return conformance.EventsFixture{Database: o.database(), Events: o, Reopen: func(t testing.TB) conformance.EventsFixture {
		return eventsFixture(o.reopen(t))
	}}
}

func usersFixture(o opened) conformance.UsersFixture {
	return conformance.UsersFixture{Users: o, Remover: o, Reopen: func(t testing.TB) conformance.UsersFixture { return usersFixture(o.reopen(t)) }}
}

func goodsFixture(o opened) conformance.GoodsFixture {
	return conformance.GoodsFixture{Goods: o, Reopen: func(t testing.TB) conformance.GoodsFixture { return goodsFixture(o.reopen(t)) }}
}

// on gives each case a Store of its own on the suites' database.
func on[F any](fixture func(opened) F) func(*testing.T) F {
	return func(t *testing.T) F {
		t.Helper()
		dsn := database(t)
		return fixture(opened{openOnly(t, dsn), dsn})
	}
}

func TestLedger(t *testing.T)      { t.Parallel(); conformance.Ledger(t, on(databaseFixture)) }
func TestOrders(t *testing.T)      { t.Parallel(); conformance.Orders(t, on(databaseFixture)) }
func TestSales(t *testing.T)       { t.Parallel(); conformance.Sales(t, on(databaseFixture)) }
func TestDeadLetters(t *testing.T) { t.Parallel(); conformance.DeadLetters(t, on(databaseFixture)) }
func TestChangeLog(t *testing.T)   { t.Parallel(); conformance.ChangeLog(t, on(logFixture)) }
func TestFence(t *testing.T)       { t.Parallel(); conformance.Fence(t, on(fenceFixture)) }
func TestUsers(t *testing.T)       { t.Parallel(); conformance.Users(t, on(usersFixture)) }
func TestGoods(t *testing.T)       { t.Parallel(); conformance.Goods(t, on(goodsFixture)) }

func TestReconciliation(t *testing.T) {
	t.Parallel()
	conformance.Reconciliation(t, on(reconciliationFixture))
}

// Each case has a database of its own.
func TestEvents(t *testing.T) {
	t.Parallel()
	conformance.Events(t, func(t *testing.T) conformance.EventsFixture {
		t.Helper()
		dsn := serverstest.Database(t)
		return eventsFixture(opened{openStore(t, dsn), dsn})
	})
}

func TestSaleRemoval(t *testing.T) {
	t.Parallel()
	conformance.SaleRemoval(t, on(func(o opened) conformance.RemovalFixture {
		return conformance.RemovalFixture{Database: o.database(), Remover: o}
	}))
}
