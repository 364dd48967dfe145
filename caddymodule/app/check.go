package app

import (
	"context"
	"sync"
	"time"

	"flashgate"

	"github.com/caddyserver/caddy/v2"
)

// BackendState is one backend's state for probes and operators.
type BackendState struct {
	Name   string // stock, queue or state
	Module string // the guest module, such as flashgate.stock.sqlite
	Err    error  // nil when it answers
}

// checkTimeout bounds a probe of all backends.
const checkTimeout = 2 * time.Second

// Check opens each backend that is not open, as the next request would, and asks all
// of them at once whether they answer. It takes at most 2 seconds.
func (a *App) Check(ctx context.Context) []BackendState {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	states := []BackendState{{Name: "stock", Module: a.stock.module}}
	checks := []func() error{func() error { return check(ctx, a.stock) }}
	if a.queue != nil {
		states = append(states, BackendState{Name: "queue", Module: a.queue.module})
		checks = append(checks, func() error { return check(ctx, a.queue) })
	}
	states = append(states, BackendState{Name: "state", Module: a.state.module})
	checks = append(checks, func() error { return check(ctx, a.state) })
	var wg sync.WaitGroup
	for i, ask := range checks {
		wg.Go(func() { states[i].Err = ask() })
	}
	wg.Wait()
	return states
}

// check asks the server even while its circuit is open.
func check[T caddy.Destructor](ctx context.Context, s *shared[T]) error {
	b, err := s.enter()
	if err != nil {
		return err
	}
	defer s.leave()
	if c, ok := any(b).(flashgate.Checker); ok {
		return c.Check(ctx)
	}
	return nil
}
