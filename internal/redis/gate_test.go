package redis_test

import (
	"testing"

	"flashgate"
	"flashgate/internal/conformance"
	"flashgate/internal/redis"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"
)

// gateFixture is a gate on a server.
func gateFixture(t testing.TB, url string) conformance.GateFixture {
	t.Helper()
	s := newStore(t, url)
	return conformance.GateFixture{
		Stock: s, Outbox: s, Applier: s, Opener: s,
		Open:  func(t testing.TB, sale flashgate.Sale) { t.Helper(); openSale(t, s, sale) },
		Close: func(t testing.TB, sale flashgate.SaleID) { t.Helper(); shut(t, s, sale) },
		Reopen: func(t testing.TB) conformance.GateFixture {
			t.Helper()
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return gateFixture(t, url)
		},
	}
}

// ownGateFixture is a gate on a server of its own, which can be started again.
func ownGateFixture(t testing.TB) conformance.GateFixture {
	t.Helper()
	server := serverstest.OwnRedis(t, servers.RedisConfig{Appendonly: "always"})
	f := gateFixture(t, server.URL())
	f.Restart = func(t testing.TB) { t.Helper(); restart(t, server) }
	return f
}

func restart(t testing.TB, server *servers.Redis) {
	t.Helper()
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
}

// openSale opens a new sale's gate, all units free, in epoch 1.
func openSale(t testing.TB, s *redis.Store, sale flashgate.Sale) {
	t.Helper()
	sale.Epoch, sale.StockLeft = 1, sale.Seeded
	open(t, s, flashgate.Snapshot{Sale: sale, Bound: flashgate.DefaultBound})
}

// shut closes a sale as another life of its server does.
func shut(t testing.TB, s *redis.Store, sale flashgate.SaleID) {
	t.Helper()
	if err := s.Shut(t.Context(), sale); err != nil {
		t.Fatalf("Shut: %v", err)
	}
}

// open opens a gate in the incarnation that the server is in; one that is open is shut
// first.
func open(t testing.TB, s *redis.Store, snapshot flashgate.Snapshot) flashgate.Opened {
	t.Helper()
	shut(t, s, snapshot.Sale.ID)
	incarnation, err := s.Incarnation(t.Context(), snapshot.Sale.ID)
	if err != nil {
		t.Fatalf("Incarnation: %v", err)
	}
	opened, err := s.Open(t.Context(), incarnation, snapshot)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return opened
}

func TestOutbox(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, url string) {
		conformance.Outbox(t, func(t *testing.T) conformance.GateFixture { return gateFixture(t, url) })
	})
}

func TestApplier(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, url string) {
		conformance.Applier(t, func(t *testing.T) conformance.GateFixture { return gateFixture(t, url) })
	})
}

func TestGateRemoval(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, url string) {
		conformance.GateRemoval(t, func(t *testing.T) (conformance.GateFixture, flashgate.GateRemover) {
			f := gateFixture(t, url)
			return f, f.Stock.(flashgate.GateRemover)
		})
	})
}

func TestOpener(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, url string) {
		conformance.Opener(t, func(t *testing.T) conformance.GateFixture { return gateFixture(t, url) })
	})
	t.Run("restarted", func(t *testing.T) {
		t.Parallel()
		conformance.Opener(t, func(t *testing.T) conformance.GateFixture { return ownGateFixture(t) })
	})
}
