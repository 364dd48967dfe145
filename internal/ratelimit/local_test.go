package ratelimit_test

import (
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/ratelimit"
)

// What is remembered of a key is forgotten with its rate: a reload that gives more room, or
// another window, counts from the next request on.
func TestWhatIsRememberedIsForOneRate(t *testing.T) {
	t.Parallel()
	bucket := func(limit, burst int) flashgate.Rate {
		return flashgate.Rate{Limit: limit, Window: time.Hour, Algorithm: flashgate.TokenBucket, Burst: burst}
	}
	const until = start + int64(time.Minute)
	for name, x := range map[string]struct {
		before, after flashgate.Rate
		same          bool
	}{
		"the same window":        {minute, minute, true},
		"the same bucket":        {bucket(5, 2), bucket(5, 2), true},
		"the same burst, said":   {bucket(5, 0), bucket(5, 5), true},
		"another limit":          {minute, flashgate.Rate{Limit: 4, Window: time.Minute}, false},
		"another window":         {minute, flashgate.Rate{Limit: 3, Window: time.Hour}, false},
		"another algorithm":      {minute, flashgate.Rate{Limit: 3, Window: time.Minute, Algorithm: flashgate.FixedWindow}, false},
		"a larger burst":         {bucket(5, 2), bucket(5, 20), false},
		"a smaller burst":        {bucket(5, 2), bucket(5, 1), false},
		"a burst, and none":      {bucket(5, 2), bucket(5, 0), false},
		"a bucket of that limit": {bucket(5, 2), bucket(6, 2), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := ratelimit.NewLocal(0)
			before, after := &flashgate.Charge{Key: "k", Rate: x.before}, &flashgate.Charge{Key: "k", Rate: x.after}
			l.Deny(before, until, start)
			l.Grant(before, 3, until, start)
			if at := l.Denied(before, start); at != until {
				t.Errorf("refused until %d, want %d", at, until)
			}
			if known := l.Denied(after, start) != 0; known != x.same {
				t.Errorf("of the rate after, a refusal is remembered: %t, want %t", known, x.same)
			}
			if left, ok := l.Spend(after, start); ok != x.same || ok && left != 2 {
				t.Errorf("of the rate after, a lease is there: %t with %d left, want %t", ok, left, x.same)
			}
			if l.Denied(before, until) != 0 {
				t.Error("a refusal is remembered for too long")
			}
			if _, ok := l.Spend(before, until); ok {
				t.Error("a lease runs for too long")
			}
		})
	}
}
