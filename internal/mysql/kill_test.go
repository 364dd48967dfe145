package mysql_test

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/mysql"
	"flashgate/internal/servers/serverstest"
)

const (
	killBatches = 80 // of one list
	killRows    = 40 // of one batch
)

// until repeats a call as a worker does, counts how often it failed, and fails the test
// after a minute.
func until(t testing.TB, failures *atomic.Int64, call func() error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); ; {
		err := call()
		if err == nil {
			return
		}
		failures.Add(1)
		if flashgate.ErrorCode(err) != flashgate.CodeUnavailable || time.Now().After(deadline) {
			t.Errorf("the server dies and comes back: %v", err)
			return
		}
		<-tick.C
	}
}

// The server is killed while batches are decided, each of them by two workers at the
// same time. What a worker was not told it asks again.
func TestKill(t *testing.T) {
	t.Parallel()
	server := serverstest.OwnMariaDB(t)
	if err := server.CreateDatabase(t.Context(), "killed"); err != nil {
		t.Fatal(err)
	}
	dsn := server.DSN("killed")
	stores := []*mysql.Store{openStore(t, dsn), openOnly(t, dsn)}
	const units = killBatches * killRows // half of what is asked for
	sale := createSale(t, stores[0], units, 1)
	rs := reservations(sale, 2*killBatches*killRows)
	lists := slices.Collect(slices.Chunk(rs, killBatches*killRows))

	var decided, failures atomic.Int64
	var workers sync.WaitGroup
	for i := range 4 {
		workers.Go(func() {
			for batch := range slices.Chunk(lists[i/2], killRows) {
				until(t, &failures, func() error {
					ds, err := stores[i%2].Decide(t.Context(), sale, batch, time.Hour)
					if err == nil && len(ds) != len(batch) {
						t.Errorf("%d decisions for %d reservations", len(ds), len(batch))
					}
					return err
				})
				decided.Add(1)
			}
		})
	}
	wait := func(ok func() bool) {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for deadline := time.Now().Add(time.Minute); !ok(); <-tick.C {
			if time.Now().After(deadline) {
				t.Fatal("the workers do not come to where the server is to be killed")
			}
		}
	}
	for _, after := range []int64{50, 130, 210} { // of 320 calls
		wait(func() bool { return decided.Load() >= after })
		before := failures.Load()
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		wait(func() bool { return failures.Load() > before }) // it was felt
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
	}
	workers.Wait()
	t.Logf("%d calls failed and were repeated", failures.Load())
	wantWhole(t, stores[0], dsn, sale, units, rs)
}

// Two workers that get the same batches, in other orders: each reservation is new to
// one of them.
func TestSameBatches(t *testing.T) {
	t.Parallel()
	dsn := serverstest.Database(t)
	stores := []*mysql.Store{openStore(t, dsn), openOnly(t, dsn)}
	const units = 700
	sale := createSale(t, stores[0], units, 1)
	rs := reservations(sale, 1000)
	fresh := make([]map[flashgate.OrderID]bool, len(stores))
	var workers sync.WaitGroup
	for i, s := range stores {
		fresh[i] = map[flashgate.OrderID]bool{}
		workers.Go(func() {
			batches := slices.Collect(slices.Chunk(rs, 25))
			for n := range batches {
				batch := slices.Clone(batches[n^i]) // neighbours change places
				if i == 1 {
					slices.Reverse(batch)
				}
				ds, err := s.Decide(t.Context(), sale, batch, time.Hour)
				if err != nil {
					t.Errorf("Decide: %v", err)
				}
				for _, d := range ds {
					if !d.Duplicate {
						fresh[i][d.Order] = true
					}
				}
			}
		})
	}
	workers.Wait()
	for _, r := range rs {
		if fresh[0][r.Order] == fresh[1][r.Order] {
			t.Errorf("a reservation was new to both, or to none (%v)", fresh[0][r.Order])
		}
	}
	wantWhole(t, stores[0], dsn, sale, units, rs)
}
