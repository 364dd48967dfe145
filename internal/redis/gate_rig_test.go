package redis_test

import (
	"fmt"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/redis"

	goredis "github.com/redis/go-redis/v9"
)

// rawClient is a client for what a Store does not do.
func rawClient(t testing.TB, url string) goredis.UniversalClient {
	t.Helper()
	opts, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	opts.Protocol = 2
	c := goredis.NewUniversalClient(opts)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// mint makes the order ids of these tests.
var mint = func() *flashgate.Keyring {
	k, err := flashgate.ParseKeyring(flashgate.NewKey())
	if err != nil {
		panic(err)
	}
	return k
}()

// newSale is open for two hours around now.
func newSale(units int64, perUser int) flashgate.Sale {
	now := time.Now().Truncate(time.Millisecond)
	return flashgate.Sale{
		ID: flashgate.SaleID("s" + unique()), Goods: "goods", Starts: now.Add(-time.Hour), Ends: now.Add(time.Hour),
		PerUser: perUser, Seeded: units,
	}
}

func newUser() flashgate.UserID { return flashgate.UserID("u" + unique()) }

func reservation(sale flashgate.SaleID, user flashgate.UserID, units int) flashgate.Reservation {
	_, id := mint.Mint(flashgate.Claim{Sale: string(sale), User: string(user)}, time.Now().Add(time.Hour))
	return flashgate.Reservation{Order: id, User: user, Units: units, At: time.Now().UnixMilli()}
}

func reservations(sale flashgate.SaleID, n int) []flashgate.Reservation {
	rs := make([]flashgate.Reservation, n)
	for i := range rs {
		rs[i] = reservation(sale, newUser(), 1)
	}
	return rs
}

func idsOf(rs []flashgate.Reservation) []flashgate.OrderID {
	ids := make([]flashgate.OrderID, len(rs))
	for i, r := range rs {
		ids[i] = r.Order
	}
	return ids
}

// wantOutcome reserves and fails the test unless all outcomes are the one wanted.
func wantOutcome(t testing.TB, s *redis.Store, want flashgate.Outcome, what string, rs ...flashgate.Reservation) {
	t.Helper()
	out, err := s.Reserve(t.Context(), rs[0].Order.Sale(), rs)
	if err != nil {
		t.Fatalf("%s: Reserve: %v", what, err)
	}
	for i := range rs {
		if out[i].Outcome != want {
			t.Fatalf("%s: outcome %d of reservation %d, want %d", what, out[i].Outcome, i, want)
		}
	}
}

// wantView compares what the gate counts.
func wantView(t testing.TB, s *redis.Store, sale flashgate.SaleID, free, held int64, when string) flashgate.StockView {
	t.Helper()
	v, err := s.View(t.Context(), sale)
	if err != nil {
		t.Fatalf("%s: View: %v", when, err)
	}
	if v.Free != free || v.Held != held {
		t.Errorf("%s: free %d, held %d; want %d, %d", when, v.Free, v.Held, free, held)
	}
	return v
}

func wantHeld(t testing.TB, s *redis.Store, r flashgate.Reservation, want bool, when string) {
	t.Helper()
	got, ok, err := s.Held(t.Context(), r.Order)
	if err != nil || ok != want || ok && got != r {
		t.Errorf("%s: Held gives %+v, %v, %v; want %v", when, got, ok, err, want)
	}
}

func wantOutbox(t testing.TB, s *redis.Store, sale flashgate.SaleID, n int, when string) {
	t.Helper()
	rs, err := s.Lease(t.Context(), sale, 0, time.Microsecond, n+1)
	if err != nil || len(rs) != n {
		t.Errorf("%s: %d in the outbox, %v; want %d", when, len(rs), err, n)
	}
}

// wantClosed fails the test unless the sale is closed for reservations and writes.
func wantClosed(t testing.TB, s *redis.Store, r flashgate.Reservation, when string) {
	t.Helper()
	sale := r.Order.Sale()
	wantOutcome(t, s, flashgate.OutcomeClosed, when, r)
	_, err := s.Apply(t.Context(), sale, nil)
	wantCode(t, err, flashgate.CodeSaleClosed, when)
	if v, err := s.View(t.Context(), sale); err == nil && v.Open {
		t.Errorf("%s: the view says that it is open", when)
	}
}

func snapshotOf(sale flashgate.Sale, epoch, seq uint64, left int64) flashgate.Snapshot {
	sale.Epoch, sale.Seq, sale.StockLeft = epoch, seq, left
	return flashgate.Snapshot{Sale: sale, Bound: flashgate.DefaultBound}
}

func rowOf(r flashgate.Reservation, live bool) flashgate.SnapshotOrder {
	return flashgate.SnapshotOrder{Order: r.Order, User: r.User, Units: r.Units, Live: live}
}

func entryOf(sale flashgate.SaleID, seq uint64, kind flashgate.ChangeKind, rs ...flashgate.Reservation) flashgate.LogEntry {
	e := flashgate.LogEntry{Sale: sale, Epoch: 1, Seq: seq}
	for _, r := range rs {
		e.Changes = append(e.Changes, flashgate.Change{Kind: kind, Order: r.Order, User: r.User, Units: int64(r.Units)})
	}
	return e
}

func apply(t testing.TB, s *redis.Store, sale flashgate.SaleID, want uint64, es ...flashgate.LogEntry) {
	t.Helper()
	if applied, err := s.Apply(t.Context(), sale, es); err != nil || applied != want {
		t.Fatalf("Apply: %d, %v; want %d", applied, err, want)
	}
}

// entered makes it so that an order has entered the outbox at another time.
func entered(t testing.TB, raw goredis.UniversalClient, r flashgate.Reservation, at time.Time) {
	t.Helper()
	prefix := "flashgate:{" + string(r.Order.Sale()) + "}:"
	p := raw.Pipeline()
	p.HSet(t.Context(), prefix+"held", string(r.Order), fmt.Sprintf("%d %d %d %s", r.Units, r.At, at.UnixMicro(), r.User))
	p.ZAddXX(t.Context(), prefix+"outbox", goredis.Z{Score: float64(at.UnixMicro()), Member: string(r.Order)})
	if _, err := p.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
}
