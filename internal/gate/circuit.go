package gate

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"flashgate"
)

// What an error says beside its code.
var (
	// ErrNotSent: nothing has come of the call. It has not left this process, or the
	// server has refused it as a whole. Backends put it into the chain of an error
	// of Reserve to promise that; without it a reservation counts as unknown.
	ErrNotSent = errors.New("nothing was sent")

	// ErrOpen: a circuit has refused the call.
	ErrOpen = errors.New("the circuit is open")
)

// The times of a probe.
const (
	probeTimeout = time.Second            // one probe takes at most so long
	probeFirst   = 100 * time.Millisecond // the pause after the first that failed
	probeLast    = time.Second            // pauses double up to this
)

// CircuitConfig is what NewCircuit needs.
type CircuitConfig struct {
	// Check asks the server for a sign of life, in a round trip.
	Check func(ctx context.Context) error
	// Changed, if not nil, is told the cause when the circuit opens, and nil when it
	// closes. It must not block.
	Changed func(cause error)
}

// Circuit keeps calls away from a server that does not answer. It opens with the
// first call that failed because of the server; from then on Err refuses all calls at
// once, while a goroutine asks the server again and again, at once and then with
// pauses of 100 ms doubling to a second. When it answers, the circuit closes: no
// request is sacrificed to find out. A nil Circuit is always closed. It is safe for
// concurrent use.
type Circuit struct {
	cfg  CircuitConfig
	open atomic.Pointer[flashgate.Error] // what Err returns; nil while closed

	mu    sync.Mutex
	ended context.Context // over once Close was called
	end   context.CancelFunc
	probe sync.WaitGroup
}

// NewCircuit makes a closed circuit. It runs no goroutine while it is closed.
func NewCircuit(cfg CircuitConfig) *Circuit {
	c := &Circuit{cfg: cfg}
	c.ended, c.end = context.WithCancel(context.Background())
	return c
}

// Err is nil while the circuit is closed. While it is open it is CodeUnavailable with
// a RetryAfter, and has ErrOpen and ErrNotSent in its chain.
func (c *Circuit) Err() error {
	if c == nil {
		return nil
	}
	if e := c.open.Load(); e != nil {
		return e
	}
	return nil
}

// Note looks at the error of a call and opens the circuit when the server did not
// answer it: CodeUnavailable, a time-out, a broken connection. A caller that left is
// no reason.
func (c *Circuit) Note(err error) {
	if c != nil && away(err) {
		c.Trip(err)
	}
}

// Trip opens the circuit, whatever the cause. It does nothing to an open one.
func (c *Circuit) Trip(cause error) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open.Load() != nil || c.ended.Err() != nil {
		return
	}
	c.open.Store(&flashgate.Error{Code: flashgate.CodeUnavailable, Op: "gate.Circuit", RetryAfter: time.Second,
		Err: errors.Join(ErrOpen, ErrNotSent, cause)})
	c.changed(cause)
	c.probe.Go(c.ask)
}

// ask probes until the server answers or the circuit is given up.
func (c *Circuit) ask() {
	for pause := probeFirst; !c.answers(); pause = min(2*pause, probeLast) {
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-c.ended.Done():
			timer.Stop()
			return
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open.Store(nil)
	c.changed(nil)
}

func (c *Circuit) answers() bool {
	ctx, cancel := context.WithTimeout(c.ended, probeTimeout)
	defer cancel()
	return c.cfg.Check(ctx) == nil
}

func (c *Circuit) changed(cause error) {
	if c.cfg.Changed != nil {
		c.cfg.Changed(cause)
	}
}

// Close ends the probing and waits for it. The circuit stays as it is.
func (c *Circuit) Close() {
	if c == nil {
		return
	}
	c.mu.Lock()
	c.end()
	c.mu.Unlock()
	c.probe.Wait()
}

// away reports whether an error says that the server did not answer.
func away(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	switch flashgate.ErrorCode(err) {
	case flashgate.CodeUnavailable, flashgate.CodeUnknownOutcome:
		return true
	case flashgate.CodeInternal: // also whatever is no *flashgate.Error
	default:
		return false
	}
	_, net := errors.AsType[net.Error](err)
	return net || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
