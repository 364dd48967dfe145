package mysql_test

import (
	"sync"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/conformance"
	"flashgate/internal/redis"
	"flashgate/internal/servers/serverstest"
)

// pair is a gate on Redis with the database behind it. It does what a worker does,
// when it is told to.
type pair struct {
	opened
	gate  *redis.Store
	redis string
	sales *openedSales
}

// openedSales are those that the fixture has opened.
type openedSales struct {
	mu  sync.Mutex
	ids []flashgate.SaleID
}

func (o *openedSales) add(id flashgate.SaleID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ids = append(o.ids, id)
}

func (o *openedSales) all() []flashgate.SaleID {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]flashgate.SaleID{}, o.ids...)
}

func openGate(t testing.TB, url string) *redis.Store {
	t.Helper()
	g, err := redis.Open(redis.Config{URL: url, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	return g
}

const bound = 20 * flashgate.MaxUnits

// open creates a sale and opens its gate, as the first reconciliation does.
func (p pair) open(t testing.TB, s flashgate.Sale) {
	t.Helper()
	p.sale(t, s)
	if raised, err := p.RaiseEpoch(t.Context(), s.ID, 1); err != nil || !raised {
		t.Fatalf("RaiseEpoch: %v, %v", raised, err)
	}
	snapshot, err := p.Snapshot(t.Context(), s.ID)
	if err != nil {
		t.Fatal(err)
	}
	snapshot.Bound = bound
	incarnation, err := p.gate.Incarnation(t.Context(), s.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.gate.Open(t.Context(), incarnation, snapshot); err != nil {
		t.Fatal(err)
	}
	p.sales.add(s.ID)
}

// follow applies every log.
func (p pair) follow(t testing.TB) {
	t.Helper()
	for _, sale := range p.sales.all() {
		v, err := p.gate.View(t.Context(), sale)
		if err != nil {
			t.Fatal(err)
		}
		es, err := p.Entries(t.Context(), sale, v.Applied, 100_000)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.gate.Apply(t.Context(), sale, es); err != nil {
			t.Fatal(err)
		}
	}
}

// settle decides everything that is held.
func (p pair) settle(t testing.TB) {
	t.Helper()
	for _, sale := range p.sales.all() {
		rs, err := p.gate.Lease(t.Context(), sale, 0, time.Minute, 100_000)
		if err != nil {
			t.Fatal(err)
		}
		waiting, err := p.gate.Waiting(t.Context(), sale, 0, 100_000)
		if err != nil {
			t.Fatal(err)
		}
		rs = append(rs, waiting...)
		var again []flashgate.OrderID
		var seq uint64
		for len(rs) > 0 {
			n := min(len(rs), flashgate.MaxMessageReservations)
			ds, err := p.Decide(t.Context(), sale, rs[:n], time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range ds {
				if d.Duplicate && d.Seq > 0 {
					again, seq = append(again, d.Order), max(seq, d.Seq)
				}
			}
			rs = rs[n:]
		}
		p.follow(t)
		if err := p.gate.Settle(t.Context(), sale, seq, again); err != nil {
			t.Fatal(err)
		}
	}
	p.follow(t)
}

func (p pair) fixture() conformance.StockFixture {
	db := p.database()
	db.Sale = p.open
	return conformance.StockFixture{
		Stock: p.gate, Database: db, Follow: p.follow, Settle: p.settle, Bound: bound,
		Reopen: func(t testing.TB) conformance.StockFixture {
			t.Helper()
			if err := p.gate.Close(); err != nil {
				t.Fatal(err)
			}
			p.opened, p.gate = p.reopen(t), openGate(t, p.redis)
			return p.fixture()
		},
	}
}

// The gate on Redis, in each of its forms, in front of this database.
func TestStock(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]func(t testing.TB) string{
		"standalone": func(t testing.TB) string { return serverstest.Redis(t).URL() },
		"sentinel":   func(t testing.TB) string { return serverstest.Sentinel(t).URL() },
		"cluster":    func(t testing.TB) string { return serverstest.Cluster(t).URL() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conformance.Stock(t, on(func(o opened) conformance.StockFixture {
				return pair{o, openGate(t, url(t)), url(t), &openedSales{}}.fixture()
			}))
		})
	}
}
