package ratelimit

import (
	"time"

	"flashgate"
)

// takeBucket is GCRA's virtual scheduling: start is the theoretical arrival time. A unit
// moves it by window/limit; more than burst units ahead of now it must not be. It is
// exact: in whole microseconds, and the fraction in parts of the limit (previous). All
// products stay below 10^6 × 24 h in microseconds, which has 57 bits.
func (s State) takeBucket(r flashgate.Rate, units int, now int64) (State, flashgate.Verdict) {
	burst := r.AtOnce()
	if units > burst {
		return s, never(r)
	}
	const us = int64(time.Microsecond)
	limit, window := int64(r.Limit), r.Window.Microseconds()
	now /= us
	start, fraction := s.start/us, int64(s.previous)
	if start < now || fraction >= limit { // the limit was changed: its parts are others
		start, fraction = max(start, now), 0
	}
	ahead := min((start-now)*limit+fraction, int64(burst)*window) // in parts
	next := ahead + int64(units)*window
	room := int64(burst)*window - next
	if room < 0 {
		wait := time.Duration((-room+limit-1)/limit) * time.Microsecond
		rounded := upToMillisecond(wait)
		if wait <= r.Window {
			rounded = min(rounded, r.Window)
		}
		return s, flashgate.Verdict{
			Remaining: int((room + int64(units)*window) / window), RetryAfter: rounded, Reset: time.Duration(ahead/limit) * time.Microsecond,
		}
	}
	s.start, s.previous = (now+next/limit)*us, int32(next%limit)
	return s, flashgate.Verdict{Allowed: true, Remaining: int(room / window), Reset: time.Duration(next/limit) * time.Microsecond}
}
