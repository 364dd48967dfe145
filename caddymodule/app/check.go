package app

import (
	"context"
	"time"

	"flashgate"
)

// BackendState is one backend's state for probes and operators.
type BackendState struct {
	Name   string // stock, queue or state
	Module string // the guest module, such as flashgate.stock.sqlite
	Err    error  // nil when it answers
}

// checkTimeout bounds a probe of all backends.
const checkTimeout = 2 * time.Second

// Check opens each backend that is not open, as the next request would, and asks it
// whether it answers. It takes at most 2 seconds.
func (a *App) Check(ctx context.Context) []BackendState {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	states := []BackendState{{Name: "stock", Module: a.stock.module, Err: check(ctx, a.stock)}}
	if a.queue != nil {
		states = append(states, BackendState{Name: "queue", Module: a.queue.module, Err: check(ctx, a.queue)})
	}
	state := BackendState{Name: "state", Module: a.stateModule}
	if c, ok := a.state.(flashgate.Checker); ok {
		state.Err = c.Check(ctx)
	}
	return append(states, state)
}

type checkedDestructor interface {
	flashgate.Checker
	Destruct() error
}

func check[T checkedDestructor](ctx context.Context, s *shared[T]) error {
	b, err := s.enter()
	if err != nil {
		return err
	}
	defer s.leave()
	return b.Check(ctx)
}
