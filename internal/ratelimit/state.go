package ratelimit

import (
	"math"
	"time"

	"flashgate"
)

// State is the counter of one key, 32 bytes. The zero value is a key that was never
// seen. Times are nanoseconds of one clock, not before 1.
type State struct {
	start    int64  // of the current window; of a token bucket, when it is full again
	last     int64  // when something passed last; of a sliding window only
	current  int32  // units in the current window
	previous int32  // units in the one before; of a token bucket, the fraction of start
	form     uint64 // algorithm and window: another one starts anew; and usedUp
}

// usedUp is the bit of form that says that what passed last took all there was.
const usedUp = 1 << 63

// form tells counters apart that do not go on from each other. The zero state has the
// form of no rate.
func form(r flashgate.Rate) uint64 {
	algorithm := uint64(1)
	switch r.Algorithm {
	case flashgate.FixedWindow:
		algorithm = 2
	case flashgate.TokenBucket:
		algorithm = 3
	}
	return uint64(r.Window)<<2 | algorithm // 24 h have 47 bits
}

// Take charges units at the moment now, if there is room for them. A refused charge
// returns the state as it was. The rate must be valid.
func (s State) Take(r flashgate.Rate, units int, now int64) (State, flashgate.Verdict) {
	if f := form(r); s.form&^usedUp != f {
		s = State{form: f}
	}
	var v flashgate.Verdict
	switch r.Algorithm {
	case flashgate.FixedWindow:
		s, v = s.takeFixed(r, units, now)
	case flashgate.TokenBucket:
		s, v = s.takeBucket(r, units, now)
	default:
		s, v = s.takeSliding(r, units, now)
	}
	if v.Allowed {
		s.form &^= usedUp
		if v.Remaining == 0 {
			s.form |= usedUp
		}
	}
	return s, v
}

// Ends is when the state counts for nothing any more.
func (s State) Ends() int64 {
	window := int64(s.form &^ usedUp >> 2)
	switch s.form & 3 {
	case 1:
		return s.last + window
	case 2:
		return s.start + window
	default:
		return s.start
	}
}

// weight is what would be lost if the state were forgotten. Most is a limit that is used
// up, however small: the key would pass again. Else it compares roughly how much is in
// use: units, or for a token bucket milliseconds.
func (s State) weight(now int64) int64 {
	switch {
	case s.form&usedUp != 0:
		return math.MaxInt64
	case s.form&3 == 3:
		return max(0, (s.start-now)/int64(time.Millisecond))
	default:
		return int64(s.current) + int64(s.previous)
	}
}

// never is the wait for a charge that is larger than what can pass at once: it passes
// at no time, and asking again is not worth it before the window is over.
func never(r flashgate.Rate) flashgate.Verdict {
	return flashgate.Verdict{RetryAfter: r.Window, Reset: r.Window}
}

// upToMillisecond rounds a wait up, so that who waits as long passes whatever backend
// counts.
func upToMillisecond(d time.Duration) time.Duration {
	return d.Truncate(time.Millisecond) + time.Millisecond
}
