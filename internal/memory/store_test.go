package memory_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/memory"
)

type clock struct{ ns atomic.Int64 }

func (c *clock) Now() time.Time          { return time.Unix(0, c.ns.Load()) }
func (c *clock) Advance(d time.Duration) { c.ns.Add(int64(d)) }

func open(t *testing.T, cfg memory.Config) *memory.Store {
	t.Helper()
	s, err := memory.New(cfg)
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

func TestNewChecksTheBudget(t *testing.T) {
	t.Parallel()
	for _, n := range []int64{-1, 1, 1 << 41} {
		if _, err := memory.New(memory.Config{MaxBytes: n}); flashgate.ErrorCode(err) != flashgate.CodeInvalid {
			t.Errorf("MaxBytes %d: %v", n, err)
		}
	}
}

// A flood of one kind stays within its bound and leaves the others alone.
func TestAFloodIsBoundedAndStaysInItsKind(t *testing.T) {
	t.Parallel()
	const budget = 4 << 20
	s := open(t, memory.Config{MaxBytes: budget})
	ctx := t.Context()
	rate := flashgate.Rate{Limit: 1, Window: time.Hour}
	if err := s.Put(ctx, "captcha", []byte("17"), time.Hour); err != nil {
		t.Fatal(err)
	}
	for i := range 200_000 {
		if _, err := flashgate.Allow(ctx, s, fmt.Sprint("limit/", i), rate); err != nil {
			t.Fatal(err)
		}
	}
	if w := s.Weight(); w > budget {
		t.Errorf("200,000 limits weigh %d bytes, the budget is %d", w, budget)
	}
	if _, ok, _ := s.Take(ctx, "captcha"); !ok {
		t.Error("the flood of limits pushed a captcha out")
	}
	for i := range 20_000 {
		if err := s.Put(ctx, fmt.Sprint("v/", i), make([]byte, 1000), time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if w := s.Weight(); w > budget {
		t.Errorf("after a flood of values: %d bytes", w)
	}
}

func TestValuesEndByTheClock(t *testing.T) {
	t.Parallel()
	c := &clock{}
	c.Advance(time.Hour)
	s := open(t, memory.Config{Now: c.Now})
	for _, wait := range []time.Duration{time.Minute - 1, time.Minute} {
		if err := s.Put(t.Context(), "v", []byte("1"), time.Minute); err != nil {
			t.Fatal(err)
		}
		c.Advance(wait)
		_, value, _ := s.Take(t.Context(), "v")
		if want := wait < time.Minute; value != want {
			t.Errorf("after %v: value %v", wait, value)
		}
	}
}

func TestAllowIsAtomic(t *testing.T) {
	t.Parallel()
	s := open(t, memory.Config{})
	var passed atomic.Int64
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			v, err := flashgate.Allow(context.Background(), s, "k", flashgate.Rate{Limit: 37, Window: time.Hour})
			if err != nil {
				t.Error(err)
			}
			if v.Allowed {
				passed.Add(1)
			}
		})
	}
	wg.Wait()
	if passed.Load() != 37 {
		t.Errorf("%d passed of 37", passed.Load())
	}
}
