package conformance_test

import (
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/conformance"
)

// system is a gate, a queue and a database, of which none shares a transaction
// with another.
type system struct {
	*gate
	*queue
	db *database
}

func newSystem() system { return system{newGate(), newQueue(), newDatabase()} }

func (s system) sale(t testing.TB, sale flashgate.Sale) {
	t.Helper()
	if err := s.db.CreateSale(t.Context(), sale); err != nil {
		t.Fatal(err)
	}
	s.open(sale)
}

// follow applies the logs of all sales, by the ports.
func (s system) follow(t testing.TB) {
	t.Helper()
	sales, err := s.db.Sales(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, sale := range sales {
		v, err := s.View(t.Context(), sale.ID)
		if err != nil {
			t.Fatal(err)
		}
		es, err := s.db.Entries(t.Context(), sale.ID, v.Applied, 10_000)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Apply(t.Context(), sale.ID, es); err != nil {
			t.Fatal(err)
		}
	}
}

// settle is the way of relay and worker: outbox, queue, ledger, log.
func (s system) settle(t testing.TB) {
	t.Helper()
	sales, err := s.db.Sales(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, sale := range sales {
		rs, err := s.Lease(t.Context(), sale.ID, 0, time.Nanosecond, 10_000)
		if err != nil {
			t.Fatal(err)
		}
		for len(rs) > 0 {
			n := min(len(rs), flashgate.MaxMessageReservations)
			s.relay(t, sale.ID, rs[:n])
			rs = rs[n:]
		}
	}
	s.follow(t)
}

func (s system) relay(t testing.TB, sale flashgate.SaleID, rs []flashgate.Reservation) {
	t.Helper()
	if err := s.Publish(t.Context(), flashgate.NewMessage(sale, 1, rs...)); err != nil {
		t.Fatal(err)
	}
	ds, err := s.Receive(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	m, err := flashgate.DecodeMessage(ds[0].Body)
	if err != nil {
		t.Fatal(err)
	}
	decisions, err := s.db.Decide(t.Context(), m.Sale, m.Reservations, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	s.follow(t)
	for i, d := range decisions {
		ids := []flashgate.OrderID{rs[i].Order}
		if err := s.Published(t.Context(), sale, ids); err != nil {
			t.Fatal(err)
		}
		if d.Duplicate && !d.DeadLettered {
			if err := s.Settle(t.Context(), sale, d.Seq, ids); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Ack(t.Context(), ds); err != nil {
		t.Fatal(err)
	}
}

func (s system) database() conformance.Database {
	return conformance.Database{Ledger: s.db, Orders: s.db, Sales: s.db, DeadLetters: s.db, Sale: s.sale}
}

// crash is what a crash leaves: the model's maps are its durable storage.
func (s system) crash() system {
	s.queue = s.queue.crash()
	if planted("gate: not durable") {
		s.gate = newGate()
	}
	if planted("database: not durable") {
		s.db = newDatabase()
	}
	if planted("events: not durable") {
		s.db.events = nil
	}
	return s
}

func stockFixture(s system) conformance.StockFixture {
	return conformance.StockFixture{Stock: s, Database: s.database(), Follow: s.follow, Settle: s.settle, Bound: gateBound,
		Reopen: func(testing.TB) conformance.StockFixture { return stockFixture(s.crash()) }}
}

func databaseFixture(s system) conformance.DatabaseFixture {
	return conformance.DatabaseFixture{Database: s.database(),
		Reopen: func(testing.TB) conformance.DatabaseFixture { return databaseFixture(s.crash()) }}
}

func gateFixture(s system) conformance.GateFixture {
	return conformance.GateFixture{Stock: s, Outbox: s, Applier: s, Opener: s, Open: func(_ testing.TB, sale flashgate.Sale) { s.open(sale) },
		Reopen:  func(testing.TB) conformance.GateFixture { return gateFixture(s.crash()) },
		Close:   func(_ testing.TB, sale flashgate.SaleID) { s.shut(sale) },
		Restart: func(testing.TB) { s.restart() }}
}

func logFixture(s system) conformance.ChangeLogFixture {
	return conformance.ChangeLogFixture{Database: s.database(), Log: s.db,
		Reopen: func(testing.TB) conformance.ChangeLogFixture { return logFixture(s.crash()) }}
}

func fenceFixture(s system) conformance.FenceFixture {
	return conformance.FenceFixture{Fences: s.db, Sale: s.sale,
		Reopen: func(testing.TB) conformance.FenceFixture { return fenceFixture(s.crash()) }}
}

func reconciliationFixture(s system) conformance.ReconciliationFixture {
	return conformance.ReconciliationFixture{Database: s.database(), Log: s.db, Reconciliation: s.db,
		Reopen: func(testing.TB) conformance.ReconciliationFixture { return reconciliationFixture(s.crash()) }}
}

func eventsFixture(s system) conformance.EventsFixture {
	return conformance.EventsFixture{Database: s.database(), Events: s.db,
		Reopen: func(testing.TB) conformance.EventsFixture { return eventsFixture(s.crash()) }}
}

func queueFixture(s system) conformance.QueueFixture {
	return conformance.QueueFixture{Publisher: s.queue, Consumer: s.queue,
		Raw:    func(_ testing.TB, _ flashgate.SaleID, body []byte) { s.put(body) },
		Reopen: func(testing.TB) conformance.QueueFixture { return queueFixture(s.crash()) }}
}

func crashShop(s *shop) *shop {
	if planted("shop: not durable") {
		return newShop()
	}
	return s
}

func sessionsFixture(s *shop) conformance.SessionsFixture {
	return conformance.SessionsFixture{Stores: [2]flashgate.SessionStore{s, &cachingSessions{shop: s}},
		Reopen: func(testing.TB) conformance.SessionsFixture { return sessionsFixture(crashShop(s)) }}
}

func usersFixture(s *shop) conformance.UsersFixture {
	return conformance.UsersFixture{Users: s,
		Reopen: func(testing.TB) conformance.UsersFixture { return usersFixture(crashShop(s)) }}
}

func goodsFixture(s *shop) conformance.GoodsFixture {
	return conformance.GoodsFixture{Goods: s,
		Reopen: func(testing.TB) conformance.GoodsFixture { return goodsFixture(crashShop(s)) }}
}

// TestSuites runs every suite on the model: each of them can be passed, also those
// that no adapter runs yet.
func TestSuites(t *testing.T) {
	t.Parallel()
	for name, suite := range map[string]func(t *testing.T){
		"Stock": func(t *testing.T) {
			conformance.Stock(t, func(*testing.T) conformance.StockFixture { return stockFixture(newSystem()) })
		},
		"Ledger": func(t *testing.T) {
			conformance.Ledger(t, func(*testing.T) conformance.DatabaseFixture { return databaseFixture(newSystem()) })
		},
		"Orders": func(t *testing.T) {
			conformance.Orders(t, func(*testing.T) conformance.DatabaseFixture { return databaseFixture(newSystem()) })
		},
		"Sales": func(t *testing.T) {
			conformance.Sales(t, func(*testing.T) conformance.DatabaseFixture { return databaseFixture(newSystem()) })
		},
		"DeadLetters": func(t *testing.T) {
			conformance.DeadLetters(t, func(*testing.T) conformance.DatabaseFixture { return databaseFixture(newSystem()) })
		},
		"Outbox": func(t *testing.T) {
			conformance.Outbox(t, func(*testing.T) conformance.GateFixture { return gateFixture(newSystem()) })
		},
		"Applier": func(t *testing.T) {
			conformance.Applier(t, func(*testing.T) conformance.GateFixture { return gateFixture(newSystem()) })
		},
		"Opener": func(t *testing.T) {
			conformance.Opener(t, func(*testing.T) conformance.GateFixture { return gateFixture(newSystem()) })
		},
		"ChangeLog": func(t *testing.T) {
			conformance.ChangeLog(t, func(*testing.T) conformance.ChangeLogFixture { return logFixture(newSystem()) })
		},
		"Fence": func(t *testing.T) {
			conformance.Fence(t, func(*testing.T) conformance.FenceFixture { return fenceFixture(newSystem()) })
		},
		"Reconciliation": func(t *testing.T) {
			conformance.Reconciliation(t, func(*testing.T) conformance.ReconciliationFixture { return reconciliationFixture(newSystem()) })
		},
		"Events": func(t *testing.T) {
			conformance.Events(t, func(*testing.T) conformance.EventsFixture { return eventsFixture(newSystem()) })
		},
		"Queue": func(t *testing.T) {
			conformance.Queue(t, func(*testing.T) conformance.QueueFixture { return queueFixture(newSystem()) })
		},
		"Fencer": func(t *testing.T) {
			conformance.Fencer(t, func(*testing.T) conformance.QueueFixture { return queueFixture(newSystem()) })
		},
		"Sessions": func(t *testing.T) {
			conformance.Sessions(t, func(*testing.T) conformance.SessionsFixture { return sessionsFixture(newShop()) })
		},
		"Users": func(t *testing.T) {
			conformance.Users(t, func(*testing.T) conformance.UsersFixture { return usersFixture(newShop()) })
		},
		"Goods": func(t *testing.T) {
			conformance.Goods(t, func(*testing.T) conformance.GoodsFixture { return goodsFixture(newShop()) })
		},
		"Limiter": func(t *testing.T) {
			conformance.Limiter(t, func(*testing.T) conformance.LimiterFixture {
				s := newState()
				return conformance.LimiterFixture{Stores: [2]flashgate.Limiter{s, s}}
			})
		},
		"Marks": func(t *testing.T) {
			conformance.Marks(t, func(*testing.T) conformance.MarksFixture {
				s := newState()
				return conformance.MarksFixture{Stores: [2]flashgate.Marks{s, s}}
			})
		},
		"OneTime": func(t *testing.T) {
			conformance.OneTime(t, func(*testing.T) conformance.OneTimeFixture {
				s := newState()
				return conformance.OneTimeFixture{Stores: [2]flashgate.OneTime{s, s}}
			})
		},
		"Pages": func(t *testing.T) {
			conformance.Pages(t, func(*testing.T) conformance.PagesFixture {
				return conformance.PagesFixture{Pages: newState(), TooLarge: tooLarge}
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			suite(t)
		})
	}
}
