package app

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"flashgate"

	"go.uber.org/zap"
)

// marksAge is how old what is known of the marks may be when a request is judged by it.
const marksAge = time.Second

// Bounds of the bans that limits write by themselves, so that a crowd of refused clients
// neither takes the room that operators need nor keeps the store busy.
const (
	maxEscalated  = flashgate.MaxMarks * 9 / 10
	escalations   = 4 // at once
	escalationLog = time.Minute
)

// marks are the keys that are banned or let pass, as they were a moment ago, so that a
// request costs no round trip.
type marks struct {
	known   atomic.Pointer[map[string]flashgate.Mark]
	read    atomic.Int64 // when they were tried to be read last, by sinceStart
	reading sync.Mutex

	escalating atomic.Int32
	logged     atomic.Int64 // when the log said last that a ban could not be written
}

// lastMarks are those that any configuration of this process has read last, for the next
// one: a reload while the store is away must not set everybody free.
var lastMarks atomic.Pointer[markList]

type markList struct {
	state string // the key of the backend
	known *map[string]flashgate.Mark
}

// sinceStart is a clock that nobody sets.
func sinceStart() int64 { return int64(time.Since(processStart)) }

var processStart = time.Now()

// Mark returns the mark of a key, at most a second after it was set on any gateway. While
// the store is away the last ones that were read go on to hold.
func (a *App) Mark(key string) (flashgate.Mark, bool) {
	m := &a.marks
	known := m.known.Load()
	switch age := sinceStart() - m.read.Load(); {
	case known == nil || age > 2*int64(marksAge):
		// A new configuration, or nobody has asked for a while: what is known is too old.
		known = a.readOldMarks()
	case age > int64(marksAge) && m.reading.TryLock():
		m.read.Store(sinceStart())
		go func() {
			defer m.reading.Unlock()
			a.readMarks()
		}()
	}
	if len(*known) == 0 {
		return flashgate.Mark{}, false
	}
	mark, ok := (*known)[key]
	return mark, ok && mark.Until.After(time.Now())
}

// readOldMarks reads the marks unless another request has done so meanwhile.
func (a *App) readOldMarks() *map[string]flashgate.Mark {
	m := &a.marks
	m.reading.Lock()
	defer m.reading.Unlock()
	if m.known.Load() == nil || sinceStart()-m.read.Load() > 2*int64(marksAge) {
		a.readMarks()
	}
	return m.known.Load()
}

// readMarks replaces what is known, with reading held.
func (a *App) readMarks() {
	ctx, cancel := context.WithTimeout(context.Background(), marksAge)
	defer cancel()
	all, err := stateCalls{a.state}.AllMarks(ctx)
	a.marks.read.Store(sinceStart())
	if err != nil {
		if !KnownAway(err) {
			a.logger.Warn("bans and exemptions cannot be read, the last ones hold", zap.Error(err))
		}
		if a.marks.known.Load() != nil {
			return
		}
		if last := lastMarks.Load(); last != nil && last.state == a.state.key {
			a.marks.known.Store(last.known)
			return
		}
	}
	next := make(map[string]flashgate.Mark, len(all))
	for _, m := range all {
		next[m.Key] = m
	}
	a.marks.known.Store(&next)
	if err == nil {
		lastMarks.Store(&markList{a.state.key, &next})
	}
}

// SetMark bans a key, or lets it pass, on all gateways.
func (a *App) SetMark(ctx context.Context, m flashgate.Mark) error {
	return a.changeMarks(func() error { return stateCalls{a.state}.SetMark(ctx, m) },
		func(known map[string]flashgate.Mark) { known[m.Key] = m })
}

// DeleteMark takes that back.
func (a *App) DeleteMark(ctx context.Context, key string) error {
	return a.changeMarks(func() error { return stateCalls{a.state}.DeleteMark(ctx, key) },
		func(known map[string]flashgate.Mark) { delete(known, key) })
}

// Escalate bans a key that was refused too often, without letting its visitor wait. It is
// given up when many bans are being written, or when there are so many that the rest is
// for operators: the next refusals try again.
func (a *App) Escalate(m flashgate.Mark) {
	if known := a.marks.known.Load(); known != nil && len(*known) >= maxEscalated {
		a.logEscalation(flashgate.Errorf(flashgate.CodeTooLarge, "app.Escalate", "There are %d bans and exemptions already.", maxEscalated))
		return
	}
	if a.marks.escalating.Add(1) > escalations {
		a.marks.escalating.Add(-1)
		return
	}
	go func() {
		defer a.marks.escalating.Add(-1)
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if err := a.SetMark(ctx, m); err != nil && !KnownAway(err) {
			a.logEscalation(err)
		}
	}()
}

// logEscalation says it once a minute: whoever attacks does not write the log.
func (a *App) logEscalation(err error) {
	now, last := sinceStart(), a.marks.logged.Load()
	if (last == 0 || now-last > int64(escalationLog)) && a.marks.logged.CompareAndSwap(last, now) {
		a.logger.Warn("a ban after too many refusals could not be written; the next refusals try again", zap.Error(err))
	}
}

// Marks lists all of them.
func (a *App) Marks(ctx context.Context) ([]flashgate.Mark, error) {
	return stateCalls{a.state}.AllMarks(ctx)
}

// changeMarks makes a change count here at once.
func (a *App) changeMarks(change func() error, apply func(known map[string]flashgate.Mark)) error {
	if err := change(); err != nil {
		return err
	}
	m := &a.marks
	m.reading.Lock() // what is being read now may be from before the change
	defer m.reading.Unlock()
	known := m.known.Load()
	if known == nil {
		a.readMarks()
		return nil
	}
	next := maps.Clone(*known)
	apply(next)
	m.known.Store(&next)
	lastMarks.Store(&markList{a.state.key, &next})
	return nil
}
