package ratelimit

import (
	"time"

	"flashgate"
)

func (s State) takeFixed(r flashgate.Rate, units int, now int64) (State, flashgate.Verdict) {
	next := s
	if next.current == 0 || now-next.start >= int64(r.Window) {
		next.start, next.current = now, 0
	}
	// A clock that went back is still in the window: it gives nobody a second share.
	left := time.Duration(min(next.start-now+int64(r.Window), int64(r.Window)))
	room := r.Limit - int(next.current)
	switch {
	case units <= room:
		next.current += int32(units)
		return next, flashgate.Verdict{Allowed: true, Remaining: room - units, Reset: left}
	case units > r.Limit:
		return s, never(r)
	default:
		return s, flashgate.Verdict{Remaining: max(room, 0), RetryAfter: left, Reset: left}
	}
}
