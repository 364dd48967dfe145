package rabbitmq

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"
)

// The wait before connecting again doubles from the shortest to the longest; half of
// it is random, so that many gateways do not come at once. A connection that lasted
// longer than the longest starts anew.
const (
	shortestWait = 50 * time.Millisecond
	longestWait  = 2 * time.Second
)

// session is what a Publisher or a Consumer builds on a connection.
type session interface {
	// over is closed when the session is of no use any more.
	over() <-chan struct{}
	// err says why.
	err() error
	// close ends it and waits for its goroutines.
	close()
}

// link keeps one session alive, from the first use until close.
type link[S session] struct {
	log  *zap.Logger
	open func(context.Context) (S, error)
	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu      sync.Mutex
	started bool
	alive   bool
	current S
	cause   error         // why there is no session; nil while the first dial runs
	changed chan struct{} // closed and replaced at every change
}

func newLink[S session](log *zap.Logger, open func(context.Context) (S, error)) *link[S] {
	ctx, stop := context.WithCancel(context.Background())
	return &link[S]{log: log, open: open, ctx: ctx, stop: stop, changed: make(chan struct{})}
}

// get returns the session. Without one it fails at once with the reason, except that
// it waits for the very first dial.
func (l *link[S]) get(ctx context.Context) (S, error) {
	return l.await(ctx, func(cause error) bool { return cause != nil })
}

// wait returns the session, and waits for it until the context ends or close.
func (l *link[S]) wait(ctx context.Context) (S, error) {
	return l.await(ctx, func(error) bool { return false })
}

func (l *link[S]) await(ctx context.Context, giveUp func(cause error) bool) (none S, err error) {
	for {
		l.mu.Lock()
		if l.ctx.Err() != nil {
			l.mu.Unlock()
			return none, errClosed
		}
		if !l.started {
			l.started = true
			l.wg.Go(l.run)
		}
		alive, current, cause, changed := l.alive, l.current, l.cause, l.changed
		l.mu.Unlock()
		if alive && !isOver(current) {
			return current, nil
		}
		if alive { // run is about to notice
			cause = current.err()
		}
		if giveUp(cause) {
			return none, cause
		}
		select {
		case <-changed:
		case <-l.ctx.Done():
		case <-ctx.Done():
			return none, errors.Join(context.Cause(ctx), cause)
		}
	}
}

// peek returns the session if there is one, and starts nothing.
func (l *link[S]) peek() (S, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current, l.alive && !isOver(l.current)
}

func isOver(s session) bool {
	select {
	case <-s.over():
		return true
	default:
		return false
	}
}

func (l *link[S]) set(s S, alive bool, cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.current, l.alive, l.cause = s, alive, cause
	close(l.changed)
	l.changed = make(chan struct{})
}

// run connects again and again.
func (l *link[S]) run() {
	var none S
	wait := shortestWait
	for l.ctx.Err() == nil {
		begin := time.Now()
		s, err := l.open(l.ctx)
		if err == nil {
			l.log.Info("connected to the broker")
			l.set(s, true, nil)
			select {
			case <-s.over():
			case <-l.ctx.Done():
			}
			err = s.err()
			l.set(none, false, err)
			s.close()
			if time.Since(begin) > longestWait {
				wait = shortestWait
			}
		} else {
			l.set(none, false, err)
		}
		if l.ctx.Err() != nil {
			return
		}
		l.log.Warn("no connection to the broker, trying again", zap.Duration("wait", wait), zap.Error(err))
		sleep(l.ctx.Done(), jitter(wait))
		wait = min(2*wait, longestWait)
	}
}

// jitter is between half a wait and a whole one.
func jitter(wait time.Duration) time.Duration { return wait/2 + rand.N(wait/2) }

// sleep reports whether the time has passed; it ends early, with false, at stop.
func sleep(stop <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-stop:
		return false
	}
}

// close ends the session and waits.
func (l *link[S]) close() {
	l.mu.Lock()
	l.stop()
	l.mu.Unlock()
	l.wg.Wait()
}
