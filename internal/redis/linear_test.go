package redis_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/conformance/stockhistory"
	"flashgate/internal/conformance/stockmachine"
	"flashgate/internal/redis"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"

	goredis "github.com/redis/go-redis/v9"
)

// How much there is of everything in one run.
const (
	linearSales    = 6
	linearGateways = 3 // buyers of each sale
	linearWorkers  = 2 // of each sale
	linearCalls    = 14
	linearLost     = 6 // calls without an answer after which a buyer gives up
)

// linearSale is a sale with its database.
type linearSale struct {
	*stockhistory.Sale
	tables *stockmachine.Tables

	mu       sync.Mutex
	accepted []flashgate.Reservation
}

// linearRun is one run: clients behind links that break, and what they were told.
type linearRun struct {
	t        testing.TB
	recorder *stockhistory.Recorder
	sales    []*linearSale
	links    []*toxicLink
	stores   []*redis.Store
	gates    []flashgate.Stock // the gateways' view of their stores
	direct   *redis.Store
}

func newLinearRun(t testing.TB, timeout time.Duration, wrap func(*redis.Store, *goredis.Client) flashgate.Stock) *linearRun {
	t.Helper()
	server := serverstest.OwnRedis(t, servers.RedisConfig{Appendonly: "off"})
	raw := server.Client()
	t.Cleanup(func() { _ = raw.Close() })
	run := &linearRun{t: t, recorder: stockhistory.NewRecorder(), direct: newStore(t, server.URL())}
	run.links = newToxicLinks(t, server.Addr(), linearGateways+linearWorkers)
	for _, l := range run.links {
		s := openStore(t, redis.Config{URL: l.url(), Timeout: timeout})
		run.stores = append(run.stores, s)
		run.gates = append(run.gates, wrap(s, raw))
	}
	for range linearSales {
		sale := newSale(5, 2)
		var rs []flashgate.Reservation
		for _, user := range []flashgate.UserID{newUser(), newUser(), newUser(), newUser()} {
			for i := range 4 {
				rs = append(rs, reservation(sale.ID, user, 1+i/3))
			}
		}
		s := &linearSale{Sale: stockhistory.NewSale(sale, rs), tables: stockmachine.NewTables()}
		if err := s.tables.CreateSale(t.Context(), sale); err != nil {
			t.Fatal(err)
		}
		open(t, run.direct, snapshotOf(sale, 2, 0, sale.Seeded))
		run.sales = append(run.sales, s)
	}
	return run
}

// run lets everything happen at once, and then has an auditor look at what is there.
func (run *linearRun) run() stockhistory.Report {
	ctx, cancel := context.WithCancel(run.t.Context())
	var faults, clients sync.WaitGroup
	faults.Go(func() { infectAll(ctx, run.t, run.links) })
	for i, sale := range run.sales {
		for g := range linearGateways {
			clients.Go(func() { run.buyer(ctx, sale, g, rand.New(rand.NewPCG(uint64(i), uint64(g)))) })
		}
		for w := range linearWorkers {
			clients.Go(func() { run.worker(ctx, sale, linearGateways+w, rand.New(rand.NewPCG(uint64(i), uint64(100+w)))) })
		}
	}
	clients.Wait()
	cancel()
	faults.Wait()
	auditor := stockhistory.Caller{Recorder: run.recorder, ID: len(run.stores)}
	for _, sale := range run.sales {
		_, err := auditor.View(run.t.Context(), run.direct, sale.Sale)
		for _, r := range sale.Reservations {
			err = errors.Join(err, auditor.Held(run.t.Context(), run.direct, sale.Sale, r.Order))
		}
		if err != nil {
			run.t.Error(err)
		}
	}
	return run.recorder.Judge()
}

// buyer asks for some reservations of a sale through one gateway, and again after every
// answer that is none, as buyers do.
func (run *linearRun) buyer(ctx context.Context, sale *linearSale, gateway int, r *rand.Rand) {
	c := stockhistory.Caller{Recorder: run.recorder, ID: gateway, Nothing: func(err error) bool { return errors.Is(err, redis.ErrNotReserved) }}
	gate := run.gates[gateway]
	var again []flashgate.Reservation
	lost := 0
	for range linearCalls {
		if lost == linearLost {
			return
		}
		pause(ctx, time.Duration(r.IntN(60))*time.Millisecond)
		if again == nil && r.IntN(3) == 0 {
			_, _ = c.View(ctx, gate, sale.Sale)
			_ = c.Held(ctx, gate, sale.Sale, sale.Reservations[r.IntN(len(sale.Reservations))].Order)
			continue
		}
		rs := again
		if again = nil; rs == nil {
			first := r.IntN(len(sale.Reservations) - 1)
			rs = sale.Reservations[first : first+1+r.IntN(5)/4]
		}
		out, err := c.Reserve(ctx, gate, sale.Sale, rs...)
		if err != nil {
			again = rs
			lost++
		}
		for i, o := range out {
			switch o.Outcome {
			case flashgate.OutcomePublish:
				sale.mu.Lock()
				sale.accepted = append(sale.accepted, rs[i])
				sale.mu.Unlock()
			case flashgate.OutcomeUnset:
				again = rs[i : i+1]
			}
		}
	}
}

// worker decides what was accepted, cancels some of it, and brings the gate up to the
// log from where it knows it to be.
func (run *linearRun) worker(ctx context.Context, sale *linearSale, id int, r *rand.Rand) {
	c := stockhistory.Caller{Recorder: run.recorder, ID: id}
	var applied uint64
	for range linearCalls / 2 {
		pause(ctx, time.Duration(r.IntN(100))*time.Millisecond)
		o := sale.Reservations[r.IntN(len(sale.Reservations))] // a message that the gate may have lost
		sale.mu.Lock()
		if n := len(sale.accepted); n > 0 && r.IntN(8) > 0 {
			o = sale.accepted[r.IntN(n)]
		}
		sale.mu.Unlock()
		var err error
		if r.IntN(4) == 0 {
			_, _ = sale.tables.Cancel(ctx, o.Order, o.User) // where there is such an order
		} else if _, err = sale.tables.Decide(ctx, sale.ID, []flashgate.Reservation{o}, time.Hour); err != nil {
			run.t.Errorf("Decide: %v", err)
		}
		es, err := sale.tables.Entries(ctx, sale.ID, applied, 1000)
		if err != nil || len(es) == 0 {
			continue
		}
		if now, err := c.Apply(ctx, run.stores[id], sale.Sale, es); err == nil {
			applied = now
		}
	}
}

func bare(s *redis.Store, _ *goredis.Client) flashgate.Stock { return s }

// TestLinearizable: whatever the net does between gateways, workers and Redis, there is
// an order of their calls that explains every answer.
func TestLinearizable(t *testing.T) {
	t.Parallel()
	run := newLinearRun(t, linearTimeout, bare)
	report := run.run()
	kinds := map[string]int{}
	for _, l := range run.links {
		for kind, n := range l.kinds {
			kinds[kind] += n
		}
	}
	t.Logf("%d calls, %d without an answer, %d with an unset one, judged in %v at most; faults: %v", report.Calls, report.Unknown, report.Unset, report.Longest, kinds)
	for _, text := range report.Illegal {
		t.Errorf("P5: no order explains the history of %s", text)
	}
	for _, text := range report.Unjudged {
		t.Errorf("not judged:\n%s", text)
	}
	if report.Calls < 300 || report.Unknown < 10 {
		t.Errorf("%d calls, %d without an answer: nothing is shown by so few", report.Calls, report.Unknown)
	}
	for _, x := range toxics {
		if kinds[x.name()] == 0 {
			t.Errorf("there was no %s", x.name())
		}
	}
}
