package gate_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"flashgate"
	"flashgate/internal/gate"
)

// server answers a circuit's probes while it is up.
type server struct {
	up     atomic.Bool
	asked  atomic.Int32
	causes []error // what Changed was told
}

func (s *server) check(ctx context.Context) error {
	s.asked.Add(1)
	if s.up.Load() {
		return nil
	}
	<-ctx.Done() // a server that hangs
	return ctx.Err()
}

func (s *server) circuit(t *testing.T) *gate.Circuit {
	c := gate.NewCircuit(gate.CircuitConfig{Check: s.check, Changed: func(cause error) { s.causes = append(s.causes, cause) }})
	t.Cleanup(c.Close)
	return c
}

// pass lets time go by in a bubble of synctest.
func pass(d time.Duration) { <-time.After(d) }

func TestCircuitOpensAndCloses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		c := s.circuit(t)
		if err := c.Err(); err != nil || s.asked.Load() != 0 {
			t.Fatalf("a new circuit: %v, asked %d times", err, s.asked.Load())
		}
		boom := errors.New("boom")
		c.Trip(boom)
		c.Trip(errors.New("another"))
		err := c.Err()
		if e, ok := errors.AsType[*flashgate.Error](err); !ok || e.Code != flashgate.CodeUnavailable || e.RetryAfter != time.Second || !errors.Is(err, gate.ErrNotSent) || !errors.Is(err, gate.ErrOpen) || !errors.Is(err, boom) {
			t.Fatalf("open: %v", err)
		}
		// Each probe hangs for a second; pauses of 0.1, 0.2, 0.4, 0.8, 1, 1, … follow.
		pass(10100 * time.Millisecond)
		synctest.Wait()
		if n := s.asked.Load(); n != 7 {
			t.Errorf("asked %d times in 10 s, want 7", n)
		}
		if c.Err() == nil {
			t.Error("closed, and the server is still away")
		}
		s.up.Store(true)
		pass(2 * time.Second)
		synctest.Wait()
		if err := c.Err(); err != nil {
			t.Errorf("2 s after the server is back: %v", err)
		}
		if len(s.causes) != 2 || s.causes[0] != boom || s.causes[1] != nil {
			t.Errorf("told %v", s.causes)
		}
		n := s.asked.Load()
		pass(time.Minute)
		if s.asked.Load() != n {
			t.Error("a closed circuit still asks")
		}
		c.Trip(boom)
		synctest.Wait()
		if err := c.Err(); err != nil {
			t.Errorf("the server answers the first probe: %v", err)
		}
	})
}

// Closing ends the probe that runs and the goroutine; synctest fails on one that stays.
func TestCircuitEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		c := s.circuit(t)
		c.Trip(io.EOF)
		synctest.Wait()
		start := time.Now()
		c.Close()
		if d := time.Since(start); d != 0 {
			t.Errorf("closing took %s", d)
		}
		c.Close()
		c.Trip(io.EOF)
		synctest.Wait()
		if n := s.asked.Load(); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
}

func TestWhatOpensACircuit(t *testing.T) {
	t.Parallel()
	timeout := &flashgate.Error{Code: flashgate.CodeUnavailable, Err: context.DeadlineExceeded}
	for name, c := range map[string]struct {
		err  error
		open bool
	}{
		"no error":       {nil, false},
		"time-out":       {context.DeadlineExceeded, true},
		"broken":         {fmt.Errorf("read: %w", io.EOF), true},
		"unavailable":    {timeout, true},
		"unknown":        {&flashgate.Error{Code: flashgate.CodeUnknownOutcome}, true},
		"client left":    {&flashgate.Error{Code: flashgate.CodeUnavailable, Err: context.Canceled}, false},
		"an answer":      {&flashgate.Error{Code: flashgate.CodeNotFound}, false},
		"sale is closed": {&flashgate.Error{Code: flashgate.CodeSaleClosed}, false},
		"a bug":          {errors.New("bug"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			circuit := (&server{}).circuit(t)
			circuit.Note(c.err)
			if open := circuit.Err() != nil; open != c.open {
				t.Errorf("open: %t, want %t", open, c.open)
			}
		})
	}
	var none *gate.Circuit
	none.Note(timeout)
	none.Trip(timeout)
	none.Close()
	if none.Err() != nil {
		t.Error("no circuit is open")
	}
}

// While a backend is known to be away nothing is sent, whoever waits already
// included; afterwards the next request passes.
func TestNothingIsSentToABackendThatIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := &server{}
		circuit := srv.circuit(t)
		s := &stock{enter: make(chan []flashgate.Reservation, 10), resume: make(chan struct{}), answer: all(flashgate.Reserved{Outcome: flashgate.OutcomeAccepted})}
		g := gate.New(gate.Config{Backend: backend{stock: s, away: circuit.Err, ready: circuit.Err}})
		first := reserve(t.Context(), g, reservation("1", "first"))
		<-s.enter
		waits := reserve(t.Context(), g, reservation("1", "waits"))
		synctest.Wait()
		circuit.Trip(io.EOF)
		start := time.Now()
		late := <-reserve(t.Context(), g, reservation("1", "late"))
		if e, ok := errors.AsType[*flashgate.Error](late.err); !ok || e.Code != flashgate.CodeUnavailable || e.RetryAfter != time.Second || time.Since(start) != 0 {
			t.Errorf("with the circuit open: %v after %s", late.err, time.Since(start))
		}
		s.resume <- struct{}{}
		if r := <-first; r.err != nil {
			t.Errorf("what was in flight: %v", r.err)
		}
		if r := <-waits; flashgate.ErrorCode(r.err) != flashgate.CodeUnavailable {
			t.Errorf("who waited: %+v", r)
		}
		srv.up.Store(true)
		pass(3 * time.Second)
		if len(s.enter) != 0 {
			t.Error("something was sent")
		}
		again := reserve(t.Context(), g, reservation("1", "again"))
		s.resume <- struct{}{}
		if r := <-again; r.err != nil {
			t.Errorf("with the server back: %v", r.err)
		}
	})
}
