package conformance

import (
	"sync/atomic"
	"testing"
	"time"

	"flashgate"
)

// charge makes one request of several limits.
func charge(t testing.TB, l flashgate.Limiter, cs ...flashgate.Charge) []flashgate.Charge {
	t.Helper()
	if err := l.Charge(t.Context(), cs); err != nil {
		t.Fatalf("Charge: %v", err)
	}
	return cs
}

func limiterAlgorithms(t *testing.T, f LimiterFixture) {
	for _, r := range []flashgate.Rate{
		{Limit: 7, Window: time.Hour, Algorithm: flashgate.SlidingWindow},
		{Limit: 7, Window: time.Hour, Algorithm: flashgate.FixedWindow},
		{Limit: 7, Window: time.Hour, Algorithm: flashgate.TokenBucket},
		{Limit: 7, Window: time.Hour, Algorithm: flashgate.TokenBucket, Burst: 3},
	} {
		key := unique()
		var passed atomic.Int32
		concurrently(20, func(i int) {
			v, err := flashgate.Allow(t.Context(), f.Stores[i%2], key, r)
			if err != nil {
				t.Errorf("Allow: %v", err)
			}
			if v.Allowed {
				passed.Add(1)
			}
		})
		if int(passed.Load()) != r.AtOnce() {
			t.Errorf("%+v: %d of 20 requests passed, want %d", r, passed.Load(), r.AtOnce())
		}
	}
}

func limiterCost(t *testing.T, f LimiterFixture) {
	key := unique()
	for i, x := range []struct {
		cost, remaining int
		allowed         bool
	}{{3, 7, true}, {0, 6, true}, {7, 6, false}, {11, -1, false}, {6, 0, true}, {1, 0, false}} {
		v := charge(t, f.Stores[i%2], flashgate.Charge{Key: key, Rate: long(10), Cost: x.cost})[0].Verdict
		// What remains while a charge is refused is not known everywhere.
		if v.Allowed != x.allowed || x.allowed && v.Remaining != x.remaining || !v.Allowed && v.RetryAfter <= 0 {
			t.Errorf("step %d, a cost of %d: %+v, want %t and %d remaining", i, x.cost, v, x.allowed, x.remaining)
		}
	}
}

func limiterAllOrNothing(t *testing.T, f LimiterFixture) {
	user, address, other := unique(), unique(), unique()
	for i := range 3 {
		cs := charge(t, f.Stores[i%2], flashgate.Charge{Key: user, Rate: long(10)}, flashgate.Charge{Key: address, Rate: long(3)})
		if !flashgate.Passed(cs) || cs[0].Verdict.Remaining != 9-i || cs[1].Verdict.Remaining != 2-i {
			t.Fatalf("request %d: %+v", i, cs)
		}
	}
	for i := range 5 {
		cs := charge(t, f.Stores[i%2], flashgate.Charge{Key: user, Rate: long(10)}, flashgate.Charge{Key: address, Rate: long(3)})
		if flashgate.Passed(cs) || !cs[0].Verdict.Allowed || cs[1].Verdict.Allowed || cs[1].Verdict.RetryAfter <= 0 {
			t.Fatalf("a request that one of its limits refuses: %+v", cs)
		}
	}
	if cs := charge(t, f.Stores[0], flashgate.Charge{Key: user, Rate: long(10)}, flashgate.Charge{Key: other, Rate: long(3)}); cs[0].Verdict.Remaining != 6 {
		t.Errorf("refused requests have cost something: %+v", cs)
	}
}

func limiterAdvisory(t *testing.T, f LimiterFixture) {
	hard, soft := unique(), unique()
	for i := range 6 {
		cs := charge(t, f.Stores[i%2], flashgate.Charge{Key: soft, Rate: long(2), Advisory: true}, flashgate.Charge{Key: hard, Rate: long(5)})
		if got, want := flashgate.Passed(cs), i < 5; got != want {
			t.Errorf("request %d: passed %t, want %t: %+v", i, got, want, cs)
		}
		if cs[0].Verdict.Allowed != (i < 2) {
			t.Errorf("request %d: the advisory limit says %+v", i, cs[0].Verdict)
		}
	}
}

func limiterBadInput(t *testing.T, f LimiterFixture) {
	for name, c := range map[string]flashgate.Charge{
		"no limit":             {Rate: flashgate.Rate{Window: time.Second}},
		"no window":            {Rate: flashgate.Rate{Limit: 1}},
		"an unknown algorithm": {Rate: flashgate.Rate{Limit: 1, Window: time.Second, Algorithm: "leaky"}},
		"a burst of a window":  {Rate: flashgate.Rate{Limit: 1, Window: time.Second, Burst: 2}},
		"a negative cost":      {Rate: long(1), Cost: -1},
		"a negative lease":     {Rate: long(1), Lease: -1},
	} {
		if err := f.Stores[0].Charge(t.Context(), []flashgate.Charge{c}); flashgate.ErrorCode(err) != flashgate.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// limiterInspect: a look says what a request would be told, and costs nothing.
func limiterInspect(t *testing.T, f LimiterFixture) {
	key := unique()
	look := func(want flashgate.Verdict) {
		t.Helper()
		for i := range 3 {
			v, err := f.Stores[i%2].Inspect(t.Context(), key, long(2))
			if err != nil || v.Allowed != want.Allowed || v.Remaining != want.Remaining || v.Allowed != (v.RetryAfter == 0) {
				t.Errorf("Inspect: %+v, %v; want %+v", v, err, want)
			}
		}
	}
	look(flashgate.Verdict{Allowed: true, Remaining: 1})
	allow(t, f.Stores[0], key, long(2))
	look(flashgate.Verdict{Allowed: true, Remaining: 0})
	allow(t, f.Stores[1], key, long(2))
	look(flashgate.Verdict{})
}
