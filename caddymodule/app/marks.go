package app

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"flashgate"

	"go.uber.org/zap"
)

// marksAge is how old what is known of the marks may be when a request is judged by it.
const marksAge = time.Second

// marks are the keys that are banned or let pass, as they were a moment ago, so that a
// request costs no round trip.
type marks struct {
	known   atomic.Pointer[map[string]flashgate.Mark]
	read    atomic.Int64 // Unix nanoseconds of the last try
	reading sync.Mutex
}

// Mark returns the mark of a key, at most a second after it was set on any gateway. While
// the store is away the last ones that were read go on to hold.
func (a *App) Mark(key string) (flashgate.Mark, bool) {
	m := &a.marks
	now := time.Now()
	if now.UnixNano()-m.read.Load() > int64(marksAge) && m.reading.TryLock() {
		if m.known.Load() == nil { // a new configuration begins with what is true
			a.readMarks()
			m.reading.Unlock()
		} else {
			m.read.Store(now.UnixNano())
			go func() {
				defer m.reading.Unlock()
				a.readMarks()
			}()
		}
	}
	known := m.known.Load()
	if known == nil || len(*known) == 0 {
		return flashgate.Mark{}, false
	}
	mark, ok := (*known)[key]
	return mark, ok && mark.Until.After(now)
}

// readMarks replaces what is known, with reading held.
func (a *App) readMarks() {
	ctx, cancel := context.WithTimeout(context.Background(), marksAge)
	defer cancel()
	all, err := stateCalls{a.state}.AllMarks(ctx)
	a.marks.read.Store(time.Now().UnixNano())
	if err != nil {
		if !KnownAway(err) {
			a.logger.Warn("bans and exemptions cannot be read, the last ones hold", zap.Error(err))
		}
		if a.marks.known.Load() != nil {
			return
		}
	}
	next := make(map[string]flashgate.Mark, len(all))
	for _, m := range all {
		next[m.Key] = m
	}
	a.marks.known.Store(&next)
}

// SetMark bans a key, or lets it pass, on all gateways.
func (a *App) SetMark(ctx context.Context, m flashgate.Mark) error {
	return a.changeMarks(func() error { return stateCalls{a.state}.SetMark(ctx, m) })
}

// DeleteMark takes that back.
func (a *App) DeleteMark(ctx context.Context, key string) error {
	return a.changeMarks(func() error { return stateCalls{a.state}.DeleteMark(ctx, key) })
}

// Marks lists all of them.
func (a *App) Marks(ctx context.Context) ([]flashgate.Mark, error) {
	return stateCalls{a.state}.AllMarks(ctx)
}

// changeMarks makes a change count here at once.
func (a *App) changeMarks(change func() error) error {
	if err := change(); err != nil {
		return err
	}
	a.marks.reading.Lock()
	defer a.marks.reading.Unlock()
	a.readMarks()
	return nil
}
