package ratelimit

import (
	"time"

	"flashgate"
)

func (s State) takeSliding(r flashgate.Rate, units int, now int64) (State, flashgate.Verdict) {
	next := s.advance(r.Window, now)
	elapsed := min(max(time.Duration(now-next.start), 0), r.Window)
	used := float64(next.current) + float64(next.previous)*float64(r.Window-elapsed)/float64(r.Window)
	room := float64(r.Limit) - used
	if float64(units) <= room {
		next.current += int32(units)
		next.last = max(next.last, now)
		return next, flashgate.Verdict{Allowed: true, Remaining: max(0, int(room-float64(units))), Reset: time.Duration(next.last - now + int64(r.Window))}
	}
	if units > r.Limit {
		return s, never(r)
	}
	return s, flashgate.Verdict{
		Remaining:  max(0, int(room)),
		RetryAfter: next.wait(r, units, now, elapsed),
		Reset:      time.Duration(next.last - now + int64(r.Window)),
	}
}

// advance moves to the fixed window that now is in. After a window of silence it begins
// anew. A clock that went back stays where it is, so that it gives nobody a second
// share.
func (s State) advance(window time.Duration, now int64) State {
	switch {
	case s.last == 0, now-s.last >= int64(window):
		return State{start: now, last: now, form: s.form}
	case now-s.start >= int64(window):
		return State{start: s.start + int64(window), last: s.last, previous: s.current, form: s.form}
	default:
		return s
	}
}

// wait is how long it takes until the charge passes, if nothing comes in between; at
// the latest when a whole window has been silent.
func (s State) wait(r flashgate.Rate, units int, now int64, elapsed time.Duration) time.Duration {
	silence := time.Duration(s.last - now + int64(r.Window))
	if room := r.Limit - units - int(s.current); room >= 0 {
		return min(silence, until(r.Window, s.previous, room)-elapsed)
	}
	return min(silence, r.Window-elapsed+until(r.Window, s.current, r.Limit-units))
}

// until is the offset in a window from which n units of the window before weigh room at
// most, rounded up to the next millisecond.
func until(window time.Duration, n int32, room int) time.Duration {
	if int(n) <= room {
		return 0
	}
	share := 1 - float64(room)/float64(n)
	return upToMillisecond(time.Duration(share * float64(window)))
}
