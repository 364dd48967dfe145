package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"flashgate"
	"flashgate/internal/sqlite"
)

// stranger is a connection that knows nothing of this process' Store, as that of another
// process.
func stranger(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

const (
	raiseSale = "UPDATE sale SET seeded = seeded + 1, stock_left = stock_left + 1, seq = seq + 1 WHERE id = '1'"
	raiseGate = "UPDATE gate SET free = free + 1 WHERE sale = '1'"
)

func wantFreed(t *testing.T, s *sqlite.Store, applied uint64, when string) {
	t.Helper()
	if f := s.Freed(t.Context(), "1"); f.Term != 1 || f.Since != (flashgate.Position{Epoch: 1, Applied: applied}) {
		t.Errorf("%s: %+v, want seq %d", when, f, applied)
	}
}

// What another process commits to the file is known within sqlite.FreedAge, what it has
// not committed is not, and in between nobody asks the file.
func TestFreedByAnotherProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "flashgate.db")
		s, err := sqlite.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		createSale(t, s, "1", 0)
		db := stranger(t, path)
		defer db.Close()
		wantFreed(t, s, 0, "before")
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{raiseSale, raiseGate} {
			if _, err := tx.ExecContext(t.Context(), text); err != nil {
				t.Fatal(err)
			}
		}
		pass(3 * sqlite.FreedAge)
		wantFreed(t, s, 0, "before the commit")
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		pass(sqlite.FreedAge - 1)
		wantFreed(t, s, 0, "after the commit, while what was read counts")
		pass(1)
		wantFreed(t, s, 1, "after that")
		if f := s.Freed(t.Context(), "none"); f.Term != 0 {
			t.Errorf("of no sale: %+v", f)
		}
		createSale(t, s, "none", 0)
		if f := s.Freed(t.Context(), "none"); f.Term != 1 {
			t.Errorf("of a sale that is new: %+v", f)
		}
	})
}

// pass lets d pass in a bubble.
func pass(d time.Duration) { <-time.After(d) }

// What this process commits is known at once.
func TestFreedByThisProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, err := sqlite.Open(filepath.Join(t.TempDir(), "flashgate.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		createSale(t, s, "1", 9)
		r, other := reservation("1", "a"), reservation("1", "b")
		if _, err := s.Reserve(t.Context(), "1", []flashgate.Reservation{r, other}); err != nil {
			t.Fatal(err)
		}
		decide := func(r flashgate.Reservation, ttl time.Duration) error {
			_, err := s.Decide(t.Context(), "1", []flashgate.Reservation{r}, ttl)
			return err
		}
		sale := func(c flashgate.SaleChange) error {
			_, err := s.ChangeSale(t.Context(), "1", c)
			return err
		}
		later := time.Now().Add(3 * time.Hour)
		wantFreed(t, s, 0, "before")
		for i, step := range []func() error{
			func() error { return decide(r, time.Hour) },
			func() error { return sale(flashgate.SaleChange{Restock: 1}) },
			func() error { return sale(flashgate.SaleChange{Ends: &later}) },
			func() error { _, err := s.Cancel(t.Context(), r.Order, r.User); return err },
			func() error { return decide(other, time.Hour) },
			func() error { return sale(flashgate.SaleChange{Close: true}) },
		} {
			if err := step(); err != nil {
				t.Fatal(err)
			}
			if got := s.Freed(t.Context(), "1").Since.Applied; got != uint64(i+1) {
				t.Errorf("after step %d the seq is %d", i+1, got)
			}
		}
	})
}

// raiser is a context that raises the sale's seq whenever somebody looks whether it is
// done, as the query and its helpers do from its beginning to its end.
type raiser struct {
	context.Context

	mu     sync.Mutex
	raise  func() error
	raised uint64
	failed error
}

func (r *raiser) Done() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.raise != nil {
		r.raised++
		r.failed = errors.Join(r.failed, r.raise())
	}
	return r.Context.Done()
}

// stop ends the raising, and says how often it was raised.
func (r *raiser) stop() (uint64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.raise = nil
	return r.raised, r.failed
}

// A query that began before a commit is not kept after it.
func TestFreedWhileItIsRaised(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	createSale(t, s, "1", 0)
	ctx := &raiser{Context: t.Context(), raise: func() error {
		_, err := s.ChangeSale(t.Context(), "1", flashgate.SaleChange{Restock: 1})
		return err
	}}
	s.Freed(ctx, "1")
	raised, err := ctx.stop()
	if raised == 0 || err != nil {
		t.Fatalf("raised %d times, %v", raised, err)
	}
	wantFreed(t, s, raised, "raised")
}

// Many ask while it is raised, and nobody who asks after a change sees less than it.
func TestFreedByManyAtOnce(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	createSale(t, s, "1", 0)
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for ctx.Err() == nil {
				s.Freed(t.Context(), "1")
			}
		})
	}
	for i := range uint64(50) {
		if _, err := s.ChangeSale(t.Context(), "1", flashgate.SaleChange{Restock: 1}); err != nil {
			t.Fatal(err)
		}
		wantFreed(t, s, i+1, "raised")
	}
	stop()
	readers.Wait()
}

// The positions that are kept are bounded.
func TestFreedIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "flashgate.db")
		s, err := sqlite.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		createSale(t, s, "1", 0)
		wantFreed(t, s, 0, "before")
		db := stranger(t, path)
		defer db.Close()
		if _, err := db.ExecContext(t.Context(), raiseSale); err != nil {
			t.Fatal(err)
		}
		fill := func(from, to int) {
			for i := from; i < to; i++ {
				s.AskAbout(flashgate.SaleID(fmt.Sprint("s", i)))
			}
		}
		fill(1, sqlite.MaxPositions)
		wantFreed(t, s, 0, "as many as are kept")
		fill(sqlite.MaxPositions, sqlite.MaxPositions+1)
		wantFreed(t, s, 1, "one more")
	})
}

// What was read costs nothing to say again.
func TestFreedAllocations(t *testing.T) {
	s := openStore(t)
	createSale(t, s, "1", 0)
	if n := testing.AllocsPerRun(1000, func() { s.Freed(t.Context(), "1") }); n > 0 {
		t.Errorf("%.0f allocations", n)
	}
}
