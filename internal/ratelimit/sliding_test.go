package ratelimit_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/ratelimit"
)

// exactLog keeps every request of a key that passed. It is the oracle: what the sliding
// window says is worked out from it, in whole numbers, and so is what really came.
type exactLog struct {
	passed []int64 // when, ascending
	window int64   // when the fixed window began that the last request was in
}

// count says how many passed after one moment and until another.
func (l *exactLog) count(after, until int64) (n int64) {
	for i := len(l.passed) - 1; i >= 0 && l.passed[i] > after; i-- {
		if l.passed[i] <= until {
			n++
		}
	}
	return n
}

// allows says what the documentation does: a fixed window begins with the first request
// and after a window of silence, and those of the window before weigh by the share that the
// sliding one still covers. even is that weight, times w.
func (l *exactLog) allows(limit, w, now int64) (ok bool, even int64) {
	switch last := len(l.passed) - 1; {
	case last < 0, now-l.passed[last] >= w:
		l.window = now
		l.passed = l.passed[:0] // nothing of it is in any window from here on
	case now-l.window >= w:
		l.window += w
	}
	current, before := l.count(l.window-1, now), l.count(l.window-w-1, l.window-1)
	even = before * (w - (now - l.window))
	return current*w+even+w <= limit*w, even
}

// The sliding window against an oracle over many windows of many keys: it decides as it
// says. More than the limit pass within a window only where those of the fixed window before
// came bunched at its end, and no more than that bunch has beyond its even share.
func TestSlidingWindowAgainstAnOracle(t *testing.T) {
	t.Parallel()
	const keys, requests = 40, 60_000
	w := int64(time.Second)
	table, r := ratelimit.NewTable(0), rand.New(rand.NewPCG(11, 12))
	logs := make([]exactLog, keys)
	now, over, refused, most := start, 0, 0, 0.0
	for range requests {
		now += r.Int64N(w / 200)
		if r.IntN(500) == 0 {
			now += r.Int64N(3 * w) // silence, of less and of more than a window
		}
		k := r.IntN(keys)
		limit, log := int64(1+k%13), &logs[k]
		want, even := log.allows(limit, w, now)
		if charge(table, fmt.Sprint("key ", k), flashgate.Rate{Limit: int(limit), Window: time.Duration(w)}, now).Allowed != want {
			t.Fatalf("key %d at %v: allowed %t, the oracle says %t", k, time.Duration(now-start), !want, want)
		}
		if !want {
			refused++
			continue
		}
		log.passed = append(log.passed, now)
		n := log.count(now-w, now)
		bunch := log.count(now-w, log.window-1)*w - even // beyond an even share, times w
		if n > limit {
			over++
			most = max(most, float64(n)/float64(limit))
		}
		if n >= 2*limit || (n-limit)*w > max(0, bunch) {
			t.Fatalf("key %d at %v: %d of %d pass in a window, with a bunch of %.2f", k, time.Duration(now-start), n, limit, float64(bunch)/float64(w))
		}
	}
	t.Logf("%d refused, %d times more than the limit in a window, %.2f of it at most", refused, over, most)
	if refused < requests/10 || over == 0 {
		t.Errorf("%d are refused and %d times more than the limit pass: the test does not reach what it checks", refused, over)
	}
}
