package pagestore

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"flashgate"
)

// The log is read at each news, and every Config.Poll in case one is lost. What is
// shared is believed for three of them after the last reading, and not at all after one
// that failed.
const (
	meetTimeout = 500 * time.Millisecond
	readTimeout = time.Second
	firstPause  = 50 * time.Millisecond
	lastPause   = time.Second
)

// follower keeps a gateway up to date with the log.
type follower struct {
	met   sync.Once
	tried chan struct{} // closed when it listens, or cannot for now
	gap   atomic.Bool   // it has not listened for some time
	read  atomic.Int64  // when the log was last read to its end, in nanoseconds since begun
	begun time.Time
	one   sync.Mutex // reads the log

	// Of the purges that wait for the log those that are in it already; one guards it.
	flushed map[*flashgate.Purge]bool
}

// meet begins to follow the log, and waits until it listens and has read it once, so that
// the first pages are counted from where the log stands and no news of them is lost. A
// server that does not answer costs the first call meetTimeout.
func (s *Store) meet(ctx context.Context) {
	if s.cfg.Log == nil {
		return
	}
	s.follow.met.Do(func() {
		s.follow.begun = time.Now()
		if s.ended.Err() != nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), meetTimeout)
		defer cancel()
		s.follow.tried = make(chan struct{})
		s.done.Go(s.watch)
		select {
		case <-s.follow.tried:
		case <-ctx.Done():
			s.follow.gap.Store(true)
		}
		if !s.current() {
			s.catchUpInTime()
		}
		s.done.Go(s.poll)
	})
}

// current reports whether this gateway knows all purges, but for those of a moment.
func (s *Store) current() bool {
	read := s.follow.read.Load()
	return read > 0 && time.Since(s.follow.begun)-time.Duration(read) < 3*s.cfg.Poll
}

// watch listens for news, and again when the connection broke. What was invalidated in
// between is not known, so then nothing that is in memory is believed: the shared store
// has it, if it is still good.
func (s *Store) watch() {
	tried := sync.OnceFunc(func() { close(s.follow.tried) })
	for pause := firstPause; s.ended.Err() == nil; {
		begun, listens := time.Now(), false
		err := s.cfg.Log.WatchPurges(s.ended, func() {
			if !listens && s.follow.gap.Load() {
				s.droppedAll()
			}
			listens = true
			s.catchUpInTime()
			tried()
		}, s.dropped)
		s.follow.gap.Store(true)
		tried()
		if s.ended.Err() != nil {
			return
		}
		if err != nil {
			s.cfg.Failed("purge log", err)
		}
		if time.Since(begun) > 3*lastPause {
			pause = firstPause
		}
		if !s.wait(pause) {
			return
		}
		pause = min(2*pause, lastPause)
	}
}

func (s *Store) poll() {
	for s.wait(s.cfg.Poll) {
		s.catchUpInTime()
	}
}

// wait is false when the Store was closed.
func (s *Store) wait(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.ended.Done():
		return false
	}
}

func (s *Store) catchUpInTime() {
	ctx, cancel := context.WithTimeout(s.ended, readTimeout)
	defer cancel()
	if err := s.catchUp(ctx); err != nil && s.ended.Err() == nil {
		s.cfg.Failed("purge log", err)
	}
}

// catchUp puts into the log what waits for it, and reads what is new there.
func (s *Store) catchUp(ctx context.Context) error {
	s.follow.one.Lock()
	defer s.follow.one.Unlock()
	if err := s.flush(ctx); err != nil {
		s.follow.read.Store(0)
		return err
	}
	s.mu.RLock()
	log, after := s.log, s.table.last-s.base
	s.mu.RUnlock()
	asked := time.Now()
	news, err := s.cfg.Log.PurgesAfter(ctx, log, after)
	if err != nil {
		s.follow.read.Store(0)
		return err
	}
	s.learn(news, s.follow.flushed)
	s.follow.flushed = nil
	s.follow.read.Store(max(int64(asked.Sub(s.follow.begun)), 1))
	return nil
}

// flush appends the purges that could not be appended when they were made, each once, however
// many calls that takes.
func (s *Store) flush(ctx context.Context) error {
	s.mu.RLock()
	waiting := slices.Clone(s.pending)
	s.mu.RUnlock()
	for _, p := range waiting {
		if s.follow.flushed[p] {
			continue
		}
		if err := s.cfg.Log.AppendPurge(ctx, *p); err != nil {
			return err
		}
		if s.follow.flushed == nil {
			s.follow.flushed = map[*flashgate.Purge]bool{}
		}
		s.follow.flushed[p] = true
	}
	return nil
}

// learn applies what was read.
func (s *Store) learn(news flashgate.Purges, flushed map[*flashgate.Purge]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.table.last
	if news.Log != s.log {
		// Pages from before are of a log that is lost, with whatever was purged in it.
		if s.log != "" || last > 0 {
			s.base = last + 1
		}
		s.log = news.Log
	}
	if first := s.base + news.After; first > s.table.last {
		s.table.reset(first) // some are missing in between
	}
	for i, p := range news.List {
		n := s.base + news.After + uint64(i) + 1
		if n > s.table.last {
			s.table.apply(p, n)
		}
	}
	s.pending = slices.DeleteFunc(s.pending, func(p *flashgate.Purge) bool { return flushed[p] })
	if s.table.last != last {
		s.wakeSweep()
	}
}
