package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"flashgate"
	"flashgate/internal/gate"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
)

// Remote is implemented by an open backend on a server that can be away.
type Remote interface {
	// Circuit keeps calls away from the server while it does not answer.
	Circuit() *gate.Circuit
}

// Connected is implemented by an open queue that knows whether it has a connection.
type Connected interface {
	// Ready is an error while there is no connection. It makes no round trip.
	Ready() error
}

// readyTimeout bounds the wait for a queue's first connection.
const readyTimeout = time.Second

// newCircuit makes the circuit of one server, with its gauge and its log lines. A
// server that answers probes and fails calls opens and closes it all the time: that
// is logged once a second.
func newCircuit(server string, check func(context.Context) error) *gate.Circuit {
	circuits.WithLabelValues(server).Add(0) // so that the series is there before it is needed
	var logged time.Time
	quiet := false
	return gate.NewCircuit(gate.CircuitConfig{Check: check, Changed: func(cause error) {
		log := caddy.Log().Named("flashgate").With(zap.String("server", server))
		if cause == nil {
			circuits.WithLabelValues(server).Dec()
			if !quiet {
				log.Warn("server answers again")
			}
			return
		}
		circuits.WithLabelValues(server).Inc()
		if quiet = time.Since(logged) < time.Second; !quiet {
			logged = time.Now()
			log.Error("server is away: calls are refused until it answers", zap.Error(cause))
		}
	}})
}

// closeCircuit ends a circuit; one that is gone is not open.
func closeCircuit(server string, c *gate.Circuit) {
	c.Close()
	if c.Err() != nil {
		circuits.WithLabelValues(server).Dec()
	}
}

// circuitOf is nil for a backend in this process.
func circuitOf(backend any) *gate.Circuit {
	if r, ok := backend.(Remote); ok {
		return r.Circuit()
	}
	return nil
}

// Away is an error while the stock or the queue is known not to answer. It costs no
// round trip.
func (a *App) Away() error {
	if err := a.stock.away(); err != nil || a.queue == nil {
		return err
	}
	return a.queue.away()
}

// Ready is Away, and finds out about a queue without a connection, as before the
// first one, in at most a second: with a queue that is away nothing may be reserved.
func (a *App) Ready(ctx context.Context) error {
	if err := a.Away(); err != nil || a.queue == nil {
		return err
	}
	q, err := a.queue.enter()
	if err != nil {
		return err
	}
	defer a.queue.leave()
	c, ok := q.(Connected)
	if !ok || c.Ready() == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := q.Check(ctx); err != nil {
		circuitOf(q).Trip(err)
		return unavailable("app.Ready", err)
	}
	return nil
}

// HasQueue reports whether orders travel through a queue apart from the stock.
func (a *App) HasQueue() bool { return a.queue != nil }

// KnownAway reports whether an error says that a server was away before the call: a
// log has had its line when that was found out.
func KnownAway(err error) bool { return errors.Is(err, gate.ErrOpen) }

func unavailable(op string, err error) error {
	return &flashgate.Error{Code: flashgate.CodeUnavailable, Op: op, RetryAfter: time.Second, Err: err}
}

// errEmpty is for a line that is there and names nothing.
func errEmpty(option string) error {
	return fmt.Errorf("%s is empty: leave the line out for the embedded backends, or set what its placeholder stands for", option)
}

// public is an error as an operator may see it: what is wrong with a URL, and none of
// its parts.
func public(err error) error {
	if e, ok := errors.AsType[*flashgate.Error](err); ok {
		return fmt.Errorf("%s %s", e.Field, e.Message)
	}
	return err
}
