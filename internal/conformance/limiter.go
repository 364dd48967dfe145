package conformance

import (
	"sync/atomic"
	"testing"
	"time"

	"flashgate"
)

// LimiterFixture is what Limiter runs on. Stores are two views of one limiter, as
// two gateways have them; the same one twice when there is only one process.
type LimiterFixture struct {
	Stores [2]flashgate.Limiter
}

// Limiter is the suite of flashgate.Limiter.
func Limiter(t *testing.T, open func(t *testing.T) LimiterFixture) {
	run(t, open, []testCase[LimiterFixture]{
		{name: "Counts", run: limiterCounts},
		{name: "Keys", run: limiterKeys},
		{name: "Reset", run: limiterReset},
		{name: "RetryAfter", run: limiterRetryAfter},
		{name: "Recovers", run: limiterRecovers},
		{name: "RefusalCostsNothing", run: limiterRefusalCostsNothing},
		{name: "Concurrent", run: limiterConcurrent},
		{name: "OverTime", run: limiterOverTime},
		{name: "Algorithms", run: limiterAlgorithms},
		{name: "Cost", run: limiterCost},
		{name: "AllOrNothing", run: limiterAllOrNothing},
		{name: "Advisory", run: limiterAdvisory},
		{name: "BadInput", run: limiterBadInput},
		{name: "Inspect", run: limiterInspect},
	})
}

// long is a rate whose window outlasts every test.
func long(limit int) flashgate.Rate { return flashgate.Rate{Limit: limit, Window: 24 * time.Hour} }

func allow(t testing.TB, l flashgate.Limiter, key string, r flashgate.Rate) flashgate.Verdict {
	t.Helper()
	v, err := flashgate.Allow(t.Context(), l, key, r)
	if err != nil {
		t.Fatalf("Allow: %v", err)
	}
	if v.Allowed != (v.RetryAfter == 0) || v.RetryAfter < 0 || v.RetryAfter > r.Window || v.Remaining < 0 || v.Remaining >= r.Limit || !v.Allowed && v.Remaining != 0 {
		t.Errorf("verdict %+v of a rate of %d in %v", v, r.Limit, r.Window)
	}
	return v
}

func limiterCounts(t *testing.T, f LimiterFixture) {
	for _, limit := range []int{1, 2, 5, 100} {
		key := unique()
		for i := range limit {
			if v := allow(t, f.Stores[i%2], key, long(limit)); !v.Allowed || v.Remaining != limit-1-i {
				t.Errorf("request %d of %d: %+v, want it allowed and %d remaining", i+1, limit, v, limit-1-i)
			}
		}
		for i := range 3 {
			if v := allow(t, f.Stores[i%2], key, long(limit)); v.Allowed {
				t.Errorf("request %d of %d was allowed", limit+1+i, limit)
			}
		}
	}
}

func limiterKeys(t *testing.T, f LimiterFixture) {
	base := unique()
	for _, suffix := range []string{"", " ", ":", "{}", "{a}", "a", "A", "\x00", "ä", "/sales/1|13800000000", "192.0.2.1", "2001:db8::1", string(make([]byte, 500))} {
		if v := allow(t, f.Stores[0], base+suffix, long(1)); !v.Allowed {
			t.Errorf("key %q shares the counter of another key", suffix)
		}
		if v := allow(t, f.Stores[1], base+suffix, long(1)); v.Allowed {
			t.Errorf("key %q is not limited", suffix)
		}
	}
}

func limiterReset(t *testing.T, f LimiterFixture) {
	key, other := unique(), unique()
	for range 2 {
		allow(t, f.Stores[0], key, long(2))
		allow(t, f.Stores[0], other, long(2))
	}
	for range 2 {
		if err := f.Stores[1].Reset(t.Context(), key); err != nil {
			t.Fatalf("Reset: %v", err)
		}
	}
	if v := allow(t, f.Stores[0], key, long(2)); !v.Allowed || v.Remaining != 1 {
		t.Errorf("after Reset: %+v, want it as new", v)
	}
	if v := allow(t, f.Stores[0], other, long(2)); v.Allowed {
		t.Error("Reset forgot another key")
	}
	if err := f.Stores[0].Reset(t.Context(), unique()); err != nil {
		t.Errorf("Reset of an unknown key: %v", err)
	}
}

// limiterRetryAfter: who waits as long as it says passes.
func limiterRetryAfter(t *testing.T, f LimiterFixture) {
	r := flashgate.Rate{Limit: 2, Window: 300 * time.Millisecond}
	key := unique()
	waits := 0
	for i := range 12 {
		v := allow(t, f.Stores[i%2], key, r)
		if v.Allowed {
			continue
		}
		waits++
		elapse(t, v.RetryAfter+2*time.Millisecond) // backends may count in whole milliseconds
		if next := allow(t, f.Stores[i%2], key, r); !next.Allowed {
			t.Errorf("refused for %v, and %v afterwards still refused for %v", v.RetryAfter, v.RetryAfter, next.RetryAfter)
		}
	}
	if waits == 0 {
		t.Error("nothing was ever refused")
	}
}

// limiterRecovers: after a whole window of silence the whole limit is there.
func limiterRecovers(t *testing.T, f LimiterFixture) {
	r := flashgate.Rate{Limit: 5, Window: 2 * time.Second}
	key := unique()
	for range 3 {
		allow(t, f.Stores[0], key, r)
	}
	elapse(t, r.Window+10*time.Millisecond)
	for i := range r.Limit {
		if v := allow(t, f.Stores[i%2], key, r); !v.Allowed {
			t.Errorf("request %d of %d after a window of silence: %+v", i+1, r.Limit, v)
		}
	}
}

// limiterRefusalCostsNothing: who never stops asking passes all the same.
func limiterRefusalCostsNothing(t *testing.T, f LimiterFixture) {
	r := flashgate.Rate{Limit: 2, Window: 200 * time.Millisecond}
	key := unique()
	passed, refused := 0, 0
	eventually(t, "requests pass again while others are refused", func() bool {
		for range 20 {
			if allow(t, f.Stores[0], key, r).Allowed {
				passed++
			} else {
				refused++
			}
		}
		return passed >= 3*r.Limit
	})
	if refused == 0 {
		t.Error("nothing was refused")
	}
}

func limiterConcurrent(t *testing.T, f LimiterFixture) {
	for _, limit := range []int{1, 7, 50} {
		key := unique()
		var passed atomic.Int32
		concurrently(100, func(i int) {
			for range 3 {
				v, err := flashgate.Allow(t.Context(), f.Stores[i%2], key, long(limit))
				if err != nil {
					t.Errorf("Allow: %v", err)
				}
				if v.Allowed {
					passed.Add(1)
				}
			}
		})
		if int(passed.Load()) != limit {
			t.Errorf("%d of 300 concurrent requests passed, want %d", passed.Load(), limit)
		}
	}
}

// limiterOverTime counts over many windows. A fixed window may let twice the limit
// pass around its edge, so one window more than went by is conceded.
func limiterOverTime(t *testing.T, f LimiterFixture) {
	r := flashgate.Rate{Limit: 5, Window: 100 * time.Millisecond}
	key := unique()
	var passed atomic.Int32
	begun := time.Now()
	concurrently(4, func(i int) {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for time.Since(begun) < 8*r.Window {
			v, err := flashgate.Allow(t.Context(), f.Stores[i%2], key, r)
			if err != nil {
				t.Errorf("Allow: %v", err)
				return
			}
			if v.Allowed {
				passed.Add(1)
			}
			<-tick.C
		}
	})
	windows := int(time.Since(begun)/r.Window) + 2
	if n := int(passed.Load()); n > r.Limit*windows || n < 2*r.Limit {
		t.Errorf("%d requests passed in %d windows of %d", n, windows, r.Limit)
	}
}
