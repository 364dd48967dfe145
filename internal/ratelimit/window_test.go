package ratelimit_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/ratelimit"
)

var rate = flashgate.Rate{Limit: 5, Window: 5 * time.Second}

// at the start of a fixed window
var start = time.Unix(1_000_000_000, 0)

func take(t *testing.T, w ratelimit.Window, r flashgate.Rate, at time.Time, want bool) (ratelimit.Window, flashgate.Verdict) {
	t.Helper()
	w, v := w.Take(r, at)
	if v.Allowed != want {
		t.Fatalf("at %v: %+v, want allowed = %v", at.Sub(start), v, want)
	}
	return w, v
}

func TestTheLimitIsReachedExactly(t *testing.T) {
	t.Parallel()
	var w ratelimit.Window
	for i := range 5 {
		var v flashgate.Verdict
		w, v = take(t, w, rate, start, true)
		if v.Remaining != 4-i {
			t.Errorf("after %d: remaining %d", i+1, v.Remaining)
		}
	}
	before := w
	w, v := take(t, w, rate, start.Add(time.Second), false)
	if w != before {
		t.Errorf("a refused request changed the counter: %+v", w)
	}
	if v.RetryAfter != 4*time.Second {
		t.Errorf("retry after %v, want the rest of the window", v.RetryAfter)
	}
	for range 5 { // after a window of silence everything is as at the beginning
		w, _ = take(t, w, rate, start.Add(5*time.Second), true)
	}
	take(t, w, rate, start.Add(5*time.Second), false)
}

// Whoever waits for RetryAfter passes; whoever comes a little earlier does not.
func TestRetryAfterIsExact(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	refused := 0
	for range 2000 {
		rate := flashgate.Rate{Limit: 1 + r.IntN(20), Window: time.Duration(1+r.IntN(10_000)) * time.Millisecond}
		var w ratelimit.Window
		now := start
		for range 100 {
			var v flashgate.Verdict
			w, v = w.Take(rate, now)
			if !v.Allowed {
				refused++
				if _, later := w.Take(rate, now.Add(v.RetryAfter)); !later.Allowed {
					t.Fatalf("%+v: after waiting %v it is refused again: %+v", rate, v.RetryAfter, w)
				}
				if early := v.RetryAfter - 3*time.Millisecond; early > 0 {
					if _, sooner := w.Take(rate, now.Add(early)); sooner.Allowed {
						t.Fatalf("%+v: %v would have been enough, not %v", rate, early, v.RetryAfter)
					}
				}
			}
			now = now.Add(time.Duration(r.Int64N(int64(rate.Window)/2 + 1)))
		}
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
}

// The documented bounds against an exact log of what passed.
func TestBounds(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	worst := 0.0
	for range 300 {
		rate := flashgate.Rate{Limit: 1 + r.IntN(30), Window: time.Second}
		var w ratelimit.Window
		var passed []time.Time
		now := start
		for range 500 {
			var v flashgate.Verdict
			if w, v = w.Take(rate, now); v.Allowed {
				passed = append(passed, now)
			}
			if r.IntN(3) == 0 {
				now = now.Add(time.Duration(r.Int64N(int64(rate.Window) / 2)))
			}
		}
		for i, p := range passed {
			sliding := 0
			for _, q := range passed[i:] {
				if q.Sub(p) < rate.Window {
					sliding++
				}
			}
			worst = max(worst, float64(sliding)/float64(rate.Limit))
			if sliding >= 2*rate.Limit && rate.Limit > 1 {
				t.Fatalf("%d passed in a sliding window with limit %d", sliding, rate.Limit)
			}
		}
	}
	if worst <= 1 {
		t.Errorf("the worst sliding window had %.2f of the limit: the test does not reach the bound that it checks", worst)
	}
}

func TestClockGoingBackGivesNothingAway(t *testing.T) {
	t.Parallel()
	var w ratelimit.Window
	for range 5 {
		w, _ = take(t, w, rate, start, true)
	}
	take(t, w, rate, start.Add(-time.Hour), false)
}

func TestAnotherWindowLengthStartsAnew(t *testing.T) {
	t.Parallel()
	var w ratelimit.Window
	for range 5 {
		w, _ = take(t, w, rate, start, true)
	}
	take(t, w, flashgate.Rate{Limit: 5, Window: time.Second}, start, true)
}
