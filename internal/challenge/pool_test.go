package challenge_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"flashgate/internal/challenge"
)

// slow is a Kind whose drawings take a while, and are counted.
type slow struct {
	takes       time.Duration
	size        int
	made        atomic.Int64
	now, atOnce atomic.Int64
}

func (s *slow) Image(seed challenge.Seed) (challenge.Challenge, error) {
	n := s.now.Add(1)
	defer s.now.Add(-1)
	for most := s.atOnce.Load(); n > most && !s.atOnce.CompareAndSwap(most, n); most = s.atOnce.Load() {
	}
	<-time.After(s.takes)
	s.made.Add(1)
	return challenge.Challenge{Seed: seed, Answer: "1", Body: make([]byte, s.size), ContentType: "image/png"}, nil
}

func (s *slow) Audio(seed challenge.Seed) (challenge.Challenge, error) { return s.Image(seed) }

// ledger is a Meter that adds up.
type ledger struct {
	mu    sync.Mutex
	held  [2]int
	bytes int
	most  int
	taken map[challenge.Source]int
}

func (*ledger) Made(challenge.Media, bool) {}

func (l *ledger) Held(m challenge.Media, n, bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held[m] += n
	l.bytes += bytes
	l.most = max(l.most, l.bytes)
}

func (l *ledger) Taken(_ challenge.Media, from challenge.Source) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.taken == nil {
		l.taken = map[challenge.Source]int{}
	}
	l.taken[from]++
}

// The pool fills up to its bytes, at its share of a core, and no further.
func TestPoolFillsSlowlyAndIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		kind, meter := &slow{takes: time.Millisecond, size: 4000}, &ledger{}
		const budget = 1 << 20
		p := challenge.NewPool(challenge.PoolConfig{Kind: kind, MaxBytes: budget, Percent: 20, Drawers: 1, Meter: meter})
		p.Start()
		<-time.After(time.Second)
		if n := kind.made.Load(); n < 190 || n > 201 {
			t.Errorf("%d drawings of 1 ms in a second, want 20 %% of a core: 200", n)
		}
		<-time.After(time.Minute)
		full := kind.made.Load()
		if meter.most > budget || meter.most < budget*9/10 {
			t.Errorf("%d bytes are held, want nearly all of %d and never more", meter.most, budget)
		}
		if meter.held[challenge.Audio] == 0 || meter.held[challenge.Image] < 2*meter.held[challenge.Audio] {
			t.Errorf("%v are held, want a quarter of the bytes for sounds", meter.held)
		}
		<-time.After(time.Minute)
		if again := kind.made.Load(); again != full {
			t.Errorf("%d drawings for a full pool", again-full)
		}
		// What is taken comes back.
		for range 10 {
			if _, err := p.Take(t.Context(), challenge.Image); err != nil {
				t.Fatal(err)
			}
		}
		if kind.made.Load() != full {
			t.Error("something was drawn although the pool is full")
		}
		<-time.After(time.Second)
		if n := kind.made.Load() - full; n != 10 {
			t.Errorf("%d were drawn for 10 that were taken", n)
		}
		p.Close()
		p.Close()
		if meter.bytes != 0 || meter.held != [2]int{} {
			t.Errorf("a closed pool holds %v, %d bytes", meter.held, meter.bytes)
		}
		if _, err := p.Take(t.Context(), challenge.Image); err != nil {
			t.Errorf("a request that outlives the pool: %v", err)
		}
	})
}

// OAT-015 Denial of Service: 5,000 ask an empty pool at once.
func TestEmptyPoolDrawsForAFew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		kind, meter := &slow{takes: 10 * time.Millisecond, size: 100}, &ledger{}
		p := challenge.NewPool(challenge.PoolConfig{Kind: kind, Drawers: 2, Waiting: 20, Meter: meter})
		p.Start()
		defer p.Close()
		var wg sync.WaitGroup
		var busy, longest atomic.Int64
		began := time.Now()
		for range 5000 {
			wg.Go(func() {
				_, err := p.Take(t.Context(), challenge.Image)
				if errors.Is(err, challenge.ErrBusy) {
					busy.Add(1)
					longest.Store(max(longest.Load(), int64(time.Since(began))))
				} else if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if kind.made.Load() != 22 || busy.Load() != 5000-22 || kind.atOnce.Load() != 2 {
			t.Errorf("%d drawn, %d at once, %d refused; want 22, 2, 4978", kind.made.Load(), kind.atOnce.Load(), busy.Load())
		}
		if longest.Load() != 0 {
			t.Errorf("a refusal took %v", time.Duration(longest.Load()))
		}
		if meter.taken[challenge.Refused] != 5000-22 || meter.taken[challenge.Drawn] != 22 {
			t.Errorf("the meter says %v", meter.taken)
		}
	})
}

// Whoever leaves while waiting makes room.
func TestLeavingTheQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := challenge.NewPool(challenge.PoolConfig{Kind: &slow{takes: time.Hour}, Drawers: 1, Waiting: 1})
		go func() { _, _ = p.Take(t.Context(), challenge.Audio) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.Take(ctx, challenge.Image); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting in vain: %v", err)
		}
		gone, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.Take(gone, challenge.Image); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the place of somebody who left: %v", err)
		}
		<-time.After(time.Hour)
	})
}

// BenchmarkPoolMemory fills a pool of 4 MiB and says what it takes of the heap.
func BenchmarkPoolMemory(b *testing.B) {
	const budget = 4 << 20
	for b.Loop() {
		var before, after runtime.MemStats
		for range 3 {
			runtime.GC()
		}
		runtime.ReadMemStats(&before)
		meter := &ledger{}
		p := challenge.NewPool(challenge.PoolConfig{Kind: challenge.NewMath(), MaxBytes: budget, Percent: 100, Drawers: 1, Meter: meter})
		p.Start()
		for p.Room() {
			runtime.Gosched()
		}
		for range 3 { // what sync.Pool keeps outlives one
			runtime.GC()
		}
		runtime.ReadMemStats(&after)
		meter.mu.Lock()
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/budget, "heap/budget")
		b.ReportMetric(float64(meter.held[challenge.Image]), "pictures")
		b.ReportMetric(float64(meter.held[challenge.Audio]), "sounds")
		meter.mu.Unlock()
		p.Close()
	}
}
