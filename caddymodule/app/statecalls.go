package app

import (
	"context"
	"time"

	"flashgate"
)

// stateCalls is the short-lived state, by way of through.
type stateCalls struct{ s *shared[StateBackend] }

// Charge is on the way of every request: without through's function it costs no allocation.
func (c stateCalls) Charge(ctx context.Context, charges []flashgate.Charge) error {
	b, circuit, err := c.s.begin()
	if err != nil {
		return err
	}
	defer c.s.leave()
	err = b.Charge(ctx, charges)
	circuit.Note(err)
	return err
}

func (c stateCalls) Inspect(ctx context.Context, key string, r flashgate.Rate) (flashgate.Verdict, error) {
	return through(c.s, func(b StateBackend) (flashgate.Verdict, error) { return b.Inspect(ctx, key, r) })
}

func (c stateCalls) SetMark(ctx context.Context, m flashgate.Mark) error {
	return do(c.s, func(b StateBackend) error { return b.SetMark(ctx, m) })
}

func (c stateCalls) DeleteMark(ctx context.Context, key string) error {
	return do(c.s, func(b StateBackend) error { return b.DeleteMark(ctx, key) })
}

func (c stateCalls) AllMarks(ctx context.Context) ([]flashgate.Mark, error) {
	return through(c.s, func(b StateBackend) ([]flashgate.Mark, error) { return b.AllMarks(ctx) })
}

func (c stateCalls) Reset(ctx context.Context, key string) error {
	return do(c.s, func(b StateBackend) error { return b.Reset(ctx, key) })
}

func (c stateCalls) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return do(c.s, func(b StateBackend) error { return b.Put(ctx, key, value, ttl) })
}

func (c stateCalls) Take(ctx context.Context, key string) (value []byte, ok bool, err error) {
	value, err = through(c.s, func(b StateBackend) (value []byte, err error) {
		value, ok, err = b.Take(ctx, key)
		return value, err
	})
	return value, ok, err
}

func (c stateCalls) CompareAndSwap(ctx context.Context, key string, old, next []byte) (before []byte, ok bool, err error) {
	before, err = through(c.s, func(b StateBackend) (before []byte, err error) {
		before, ok, err = b.CompareAndSwap(ctx, key, old, next)
		return before, err
	})
	return before, ok, err
}

// Interface guards.
var (
	_ flashgate.Limiter = stateCalls{}
	_ flashgate.Marks   = stateCalls{}
	_ flashgate.OneTime = stateCalls{}
)
