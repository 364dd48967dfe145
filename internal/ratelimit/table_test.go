package ratelimit_test

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/ratelimit"
)

func charge(table *ratelimit.Table, key string, r flashgate.Rate, now int64) flashgate.Verdict {
	charges := [1]flashgate.Charge{{Key: key, Rate: r}}
	table.Charge(charges[:], now)
	return charges[0].Verdict
}

var minute = flashgate.Rate{Limit: 3, Window: time.Minute}

// No counter is lost while there is room, whatever the seed of a table: also not while it
// grows.
func TestTableAgainstAMap(t *testing.T) {
	t.Parallel()
	for n := range 50 {
		table := ratelimit.NewTable(1 << 20)
		want := map[string]ratelimit.State{}
		for i := range 41_000 {
			now, key := start+int64(i)*int64(time.Millisecond), fmt.Sprint("key ", i*7919%20_000)
			s, v := want[key].Take(minute, 1, now)
			want[key] = s
			if got := charge(table, key, minute, now); got != v {
				t.Fatalf("table %d, request %d of %s: %+v, want %+v", n, i, key, got, v)
			}
		}
	}
}

// A refused request takes from none of its limits, an advisory limit refuses nobody.
func TestAllOrNothing(t *testing.T) {
	t.Parallel()
	table := ratelimit.NewTable(0)
	ask := func(user, address string, advisory bool) []flashgate.Charge {
		cs := []flashgate.Charge{{Key: "user " + user, Rate: flashgate.Rate{Limit: 10, Window: time.Minute}}, {Key: "address " + address, Rate: minute, Advisory: advisory}}
		table.Charge(cs, start)
		return cs
	}
	for i := range 3 {
		if cs := ask("a", "x", false); !flashgate.Passed(cs) {
			t.Fatalf("request %d: %+v", i, cs)
		}
	}
	for range 5 {
		if cs := ask("a", "x", false); flashgate.Passed(cs) || !cs[0].Verdict.Allowed || cs[1].Verdict.Allowed {
			t.Fatalf("%+v", cs)
		}
	}
	if cs := ask("a", "x", true); !flashgate.Passed(cs) || cs[0].Verdict.Remaining != 6 {
		t.Errorf("advisory: %+v", cs)
	}
	if cs := ask("a", "y", false); !flashgate.Passed(cs) || cs[0].Verdict.Remaining != 5 {
		t.Errorf("a refused request cost something: %+v", cs)
	}
}

func TestTableIsAtomic(t *testing.T) {
	t.Parallel()
	table := ratelimit.NewTable(0)
	var passed atomic.Int64
	var wg sync.WaitGroup
	rate := flashgate.Rate{Limit: 1000, Window: time.Hour}
	for i := range 8 {
		wg.Go(func() {
			for k := range 1000 {
				cs := []flashgate.Charge{{Key: "all", Rate: rate}, {Key: fmt.Sprint(i, k%10), Rate: rate}}
				if i%2 == 0 {
					cs[0], cs[1] = cs[1], cs[0]
				}
				if table.Charge(cs, start); flashgate.Passed(cs) {
					passed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if passed.Load() != 1000 {
		t.Errorf("%d passed, want 1000", passed.Load())
	}
}

// Ten million keys come by (OWASP OAT-015, denial of service): the table stays within
// its bound, a key that is refused stays refused, and one that is in use stays counted.
func TestKeyFlood(t *testing.T) {
	t.Parallel()
	const bound = 1 << 16
	table := ratelimit.NewTable(bound)
	honest := flashgate.Rate{Limit: 100, Window: time.Hour}
	for range 3 {
		charge(table, "refused", minute, start)
	}
	flood := 10_000_000
	if testing.Short() {
		flood = 1_000_000
	}
	used := 0
	for i := range flood {
		if i%(flood/50) == 0 {
			if used++; charge(table, "honest", honest, start).Remaining != 100-used {
				t.Fatalf("after %d keys an honest one is miscounted", i)
			}
			if charge(table, "refused", minute, start).Allowed {
				t.Fatalf("after %d keys a refused one passes", i)
			}
		}
		charge(table, fmt.Sprint("flood ", i), minute, start)
	}
	if n := table.Places(); n > bound {
		t.Errorf("%d places, the bound is %d", n, bound)
	}
	if n := table.Len(start); n < bound*9/10 {
		t.Errorf("%d keys are counted, there is room for %d", n, bound)
	}
	if n := table.Len(start + int64(time.Hour)); n != 0 {
		t.Errorf("%d keys outlive their windows", n)
	}
}

// Keys of a large limit, of which each has used more units than the small limit of a key
// that is refused has: one that is used up is the last to be forgotten.
func TestFloodOfLargeLimits(t *testing.T) {
	t.Parallel()
	for name, large := range map[string]flashgate.Rate{
		"sliding window": {Limit: 1000, Window: time.Minute},
		"fixed window":   {Algorithm: flashgate.FixedWindow, Limit: 1000, Window: time.Hour},
		"token bucket":   {Algorithm: flashgate.TokenBucket, Limit: 1000, Window: 24 * time.Hour, Burst: 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const bound = ratelimit.MinKeys
			table := ratelimit.NewTable(bound)
			for range 3 {
				for i := range 100 {
					charge(table, fmt.Sprint("refused ", i), minute, start)
				}
			}
			for i := range 5 * bound {
				for range 4 {
					charge(table, fmt.Sprint("flood ", i), large, start)
				}
			}
			for i := range 100 {
				if charge(table, fmt.Sprint("refused ", i), minute, start).Allowed {
					t.Fatalf("refused key %d passes", i)
				}
			}
		})
	}
}

// At a million keys a key costs at most 200 bytes.
func TestBytesOfAKey(t *testing.T) {
	table := ratelimit.NewTable(1 << 22)
	before := heap()
	worst := 0.0
	for i := 1; i <= 1_000_000; i++ {
		charge(table, fmt.Sprint("key ", i), minute, start)
		if i >= 500_000 && i%50_000 == 0 {
			worst = max(worst, float64(table.Places()*ratelimit.PlaceBytes)/float64(i))
		}
	}
	if n := table.Len(start); n != 1_000_000 {
		t.Fatalf("%d keys are counted", n)
	}
	perKey := float64(heap()-before) / 1_000_000
	t.Logf("%.0f bytes a key; %.0f where the table had just grown", perKey, worst)
	if perKey > 200 || worst > 200 {
		t.Errorf("%.0f bytes a key, %.0f at the worst; at most 200 are allowed", perKey, worst)
	}
	runtime.KeepAlive(table)
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestReset(t *testing.T) {
	t.Parallel()
	table := ratelimit.NewTable(0)
	for range 3 {
		charge(table, "a", minute, start)
		charge(table, "b", minute, start)
	}
	table.Reset("a")
	table.Reset("never seen")
	if v := charge(table, "a", minute, start); !v.Allowed || v.Remaining != 2 {
		t.Errorf("after Reset: %+v", v)
	}
	if charge(table, "b", minute, start).Allowed {
		t.Error("Reset forgot another key")
	}
	table.Clear()
	if table.Places() != 0 || !charge(table, "b", minute, start).Allowed {
		t.Error("Clear keeps something")
	}
}

func BenchmarkTable(b *testing.B) {
	for _, keys := range []int{1, 10_000} {
		b.Run(fmt.Sprint("keys=", keys), func(b *testing.B) {
			table := ratelimit.NewTable(1 << 20)
			names := make([]string, keys)
			for i := range names {
				names[i] = fmt.Sprint("access/checkout/address 192.0.2.", i)
			}
			var n atomic.Int64
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i := int(n.Add(1))
					charge(table, names[i%keys], minute, start+int64(i)*1000)
				}
			})
		})
	}
}
