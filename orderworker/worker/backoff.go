package worker

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"flashgate"
)

// Waits between attempts: doubled from firstWait, at most lastWait, of which a
// random half is taken off so that workers that failed together do not come back
// together.
const (
	firstWait = 20 * time.Millisecond
	lastWait  = 5 * time.Second
)

// callTimeout bounds one call of a backend. Every call is idempotent, so one that
// was cut off is repeated.
const callTimeout = 30 * time.Second

// backoff counts failures in a row.
type backoff struct{ failures int }

func (b *backoff) next() time.Duration {
	d := lastWait
	if b.failures < 8 {
		d = min(firstWait<<b.failures, lastWait)
	}
	b.failures++
	return d/2 + rand.N(d/2)
}

// wait waits for the next attempt, or returns false because ctx ended first.
func (b *backoff) wait(ctx context.Context) bool { return sleep(ctx, b.next()) }

// waitAtMost is wait with a lower longest one, for what must be noticed soon when it
// is back.
func (b *backoff) waitAtMost(ctx context.Context, longest time.Duration) bool {
	return sleep(ctx, min(b.next(), longest))
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// transient reports whether repeating the same call later may help.
func transient(err error) bool {
	return flashgate.ErrorCode(err) == flashgate.CodeUnavailable ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// suspectAfter is how many transient failures in a row make a call suspect: from
// then on it is given up if the backend answers other calls, as then the call itself
// is what cannot be done. It is about half a second.
const suspectAfter = 5

// patiently repeats a call while its error is transient and until has not ended. It
// returns nil, an error that is not transient, or the last error when until ended or
// the call is suspect. op is one of the retry metric's labels, backend what readiness
// shows.
func (r *run) patiently(until context.Context, op, backend string, call func(context.Context) error) error {
	var b backoff
	for {
		if err := until.Err(); err != nil {
			return err
		}
		// Asked before the call: a backend that has just come back proves nothing
		// against it.
		suspect := b.failures >= suspectAfter && r.answers(backend)
		err := r.once(call)
		if err == nil || !transient(err) {
			r.health.report(backend, nil)
			return err
		}
		r.health.report(backend, err)
		r.metrics.retries.WithLabelValues(op).Inc()
		r.log.Warn("a call failed, trying again", zap.String("op", op), zap.Int("attempt", b.failures+1), zap.Error(err))
		if suspect {
			return err
		}
		if !b.wait(until) {
			return err
		}
	}
}

// once makes one call with its time limit.
func (r *run) once(call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(r.calls, callTimeout)
	defer cancel()
	return call(ctx)
}

// answers reports whether a backend is known to be there. One that cannot be asked
// is not: then a call is repeated for as long as it takes.
func (r *run) answers(backend string) bool {
	c := r.health.checkers[backend]
	if c == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(r.calls, checkTimeout)
	defer cancel()
	return c.Check(ctx) == nil
}
