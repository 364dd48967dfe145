package ratelimit_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/ratelimit"
)

var algorithms = []flashgate.Algorithm{flashgate.SlidingWindow, flashgate.FixedWindow, flashgate.TokenBucket}

func five(a flashgate.Algorithm) flashgate.Rate {
	return flashgate.Rate{Limit: 5, Window: 5 * time.Second, Algorithm: a}
}

// start is any moment.
const start = int64(1_000_000_000_000)

func each(t *testing.T, work func(t *testing.T, a flashgate.Algorithm)) {
	for _, a := range algorithms {
		t.Run(string(a), func(t *testing.T) {
			t.Parallel()
			work(t, a)
		})
	}
}

func take(t *testing.T, s ratelimit.State, r flashgate.Rate, at int64, want bool) (ratelimit.State, flashgate.Verdict) {
	t.Helper()
	s, v := s.Take(r, 1, at)
	if v.Allowed != want {
		t.Fatalf("at %v: %+v, want allowed = %v", time.Duration(at-start), v, want)
	}
	return s, v
}

func TestTheLimitIsReachedExactly(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a flashgate.Algorithm) {
		var s ratelimit.State
		for i := range 5 {
			var v flashgate.Verdict
			s, v = take(t, s, five(a), start, true)
			if v.Remaining != 4-i || v.Reset <= 0 || v.Reset > 5*time.Second {
				t.Errorf("after %d: %+v", i+1, v)
			}
		}
		before := s
		s, v := take(t, s, five(a), start+int64(time.Second)-1, false)
		if s != before {
			t.Errorf("a refused request changed the counter: %+v", s)
		}
		if want := map[flashgate.Algorithm]time.Duration{flashgate.TokenBucket: time.Millisecond}[a]; want != 0 && v.RetryAfter != want {
			t.Errorf("retry after %v, want %v", v.RetryAfter, want)
		} else if want == 0 && v.RetryAfter != 4*time.Second+1 {
			t.Errorf("retry after %v, want the rest of the window", v.RetryAfter)
		}
		if s.Ends() != start+int64(5*time.Second) {
			t.Errorf("it ends after %v", time.Duration(s.Ends()-start))
		}
		for range 5 { // after a window of silence everything is as at the beginning
			s, _ = take(t, s, five(a), start+int64(5*time.Second), true)
		}
		take(t, s, five(a), start+int64(5*time.Second), false)
	})
}

// Whoever waits for RetryAfter passes; whoever comes a little earlier does not.
func TestRetryAfterIsExact(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a flashgate.Algorithm) {
		r := rand.New(rand.NewPCG(1, 2))
		refused := 0
		for range 2000 {
			rate := flashgate.Rate{Limit: 1 + r.IntN(20), Window: time.Duration(1+r.IntN(10_000)) * time.Millisecond, Algorithm: a}
			if a == flashgate.TokenBucket && r.IntN(2) == 0 {
				rate.Burst = 1 + r.IntN(40)
			}
			var s ratelimit.State
			now := start
			for range 100 {
				units := 1 + r.IntN(min(3, rate.AtOnce()))
				var v flashgate.Verdict
				s, v = s.Take(rate, units, now)
				if !v.Allowed {
					refused++
					if _, later := s.Take(rate, units, now+int64(v.RetryAfter)); !later.Allowed {
						t.Fatalf("%+v: after waiting %v it is refused again: %+v", rate, v.RetryAfter, s)
					}
					if early := v.RetryAfter - 3*time.Millisecond; early > 0 {
						if _, sooner := s.Take(rate, units, now+int64(early)); sooner.Allowed {
							t.Fatalf("%+v: %v would have been enough, not %v", rate, early, v.RetryAfter)
						}
					}
				}
				now += r.Int64N(int64(rate.Window)/2 + 1)
			}
		}
		if refused == 0 {
			t.Error("nothing was refused")
		}
	})
}

// The documented bounds against an exact log of what passed.
func TestBounds(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a flashgate.Algorithm) {
		r := rand.New(rand.NewPCG(3, 4))
		worst := 0.0
		for range 300 {
			rate := flashgate.Rate{Limit: 1 + r.IntN(30), Window: time.Second, Algorithm: a}
			if a == flashgate.TokenBucket {
				rate.Burst = 1 + r.IntN(30)
			}
			bound := 2 * rate.Limit // of a window
			if a == flashgate.TokenBucket {
				bound = rate.Limit + rate.Burst
			}
			var s ratelimit.State
			var passed []int64
			now := start
			for range 500 {
				var v flashgate.Verdict
				if s, v = s.Take(rate, 1, now); v.Allowed {
					passed = append(passed, now)
				}
				if r.IntN(3) == 0 {
					now += r.Int64N(int64(rate.Window) / 2)
				}
			}
			for i, p := range passed {
				n := 0
				for _, q := range passed[i:] {
					if q-p < int64(rate.Window) {
						n++
					}
				}
				worst = max(worst, float64(n)/float64(rate.Limit))
				if n > bound || a == flashgate.SlidingWindow && n == bound && rate.Limit > 1 {
					t.Fatalf("%d passed in a window, %+v", n, rate)
				}
			}
		}
		if worst <= 1 {
			t.Errorf("the worst window had %.2f of the limit: the test does not reach the bound that it checks", worst)
		}
	})
}

// A cost of several units is taken whole or not at all, and one that can never pass says
// so without an end of the wait that would be a lie.
func TestCost(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a flashgate.Algorithm) {
		s, v := ratelimit.State{}.Take(five(a), 3, start)
		if !v.Allowed || v.Remaining != 2 {
			t.Errorf("3 of 5: %+v", v)
		}
		if _, v := s.Take(five(a), 3, start); v.Allowed || v.Remaining != 2 {
			t.Errorf("3 of the 2 that are left: %+v", v)
		}
		if _, v = s.Take(five(a), 2, start); !v.Allowed || v.Remaining != 0 {
			t.Errorf("the last 2: %+v", v)
		}
		if _, v := (ratelimit.State{}).Take(five(a), 6, start); v.Allowed || v.RetryAfter != 5*time.Second {
			t.Errorf("6 of 5: %+v", v)
		}
	})
}

// A rate whose window does not divide by its limit is reached exactly, too.
func TestFractions(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 8))
	for range 2000 {
		rate := flashgate.Rate{Limit: 1 + r.IntN(1000), Window: time.Duration(1+r.IntN(100_000)) * time.Millisecond, Algorithm: flashgate.TokenBucket}
		var s ratelimit.State
		for i := range rate.Limit {
			var v flashgate.Verdict
			if s, v = s.Take(rate, 1, start); !v.Allowed || v.Remaining != rate.Limit-1-i {
				t.Fatalf("%+v, request %d: %+v", rate, i+1, v)
			}
		}
		take(t, s, rate, start, false)
	}
}

func TestTheBurst(t *testing.T) {
	t.Parallel()
	rate := flashgate.Rate{Limit: 10, Window: time.Second, Algorithm: flashgate.TokenBucket, Burst: 2}
	var s ratelimit.State
	for range 2 {
		s, _ = take(t, s, rate, start, true)
	}
	_, v := take(t, s, rate, start, false)
	if v.RetryAfter < 100*time.Millisecond || v.RetryAfter > 101*time.Millisecond {
		t.Errorf("retry after %v, want a tenth of a second", v.RetryAfter)
	}
	take(t, s, rate, start+int64(100*time.Millisecond), true)
}

func TestClockGoingBackGivesNothingAway(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a flashgate.Algorithm) {
		var s ratelimit.State
		for range 5 {
			s, _ = take(t, s, five(a), start, true)
		}
		take(t, s, five(a), start-int64(time.Minute), false)
	})
}

func TestAnotherFormStartsAnew(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a flashgate.Algorithm) {
		var s ratelimit.State
		for range 5 {
			s, _ = take(t, s, five(a), start, true)
		}
		take(t, s, flashgate.Rate{Limit: 5, Window: time.Second, Algorithm: a}, start, true)
	})
}
