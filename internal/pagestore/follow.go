package pagestore

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"flashgate"
)

// The log is read at each news, and every poll in case one is lost. What is shared is
// believed for trust after the last reading, and not at all after one that failed.
const (
	poll        = time.Second
	trust       = 3 * poll
	meetTimeout = 500 * time.Millisecond
	firstPause  = 50 * time.Millisecond
)

// follower keeps a gateway up to date with the log.
type follower struct {
	met   sync.Once
	read  atomic.Int64 // when the log was last read to its end, in nanoseconds since begun
	begun time.Time
	one   sync.Mutex // reads the log
}

// meet begins to follow the log, and waits for its first reading, so that the first
// pages are counted from where the log stands. A server that is away costs the first
// call meetTimeout.
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
		if err := s.catchUp(ctx); err != nil {
			s.cfg.Failed("purge log", err)
		}
		s.done.Go(s.watch)
		s.done.Go(s.poll)
	})
}

// current reports whether this gateway knows all purges, but for those of a moment.
func (s *Store) current() bool {
	read := s.follow.read.Load()
	return read > 0 && time.Since(s.follow.begun)-time.Duration(read) < trust
}

// watch listens for news, and again when the connection broke.
func (s *Store) watch() {
	for pause := firstPause; s.ended.Err() == nil; {
		begun := time.Now()
		err := s.cfg.Log.WatchPurges(s.ended, func() { s.catchUpInTime() }, s.dropped)
		if s.ended.Err() != nil {
			return
		}
		if err != nil {
			s.cfg.Failed("purge log", err)
		}
		if time.Since(begun) > trust {
			pause = firstPause
		}
		if !s.wait(pause) {
			return
		}
		pause = min(2*pause, poll)
	}
}

func (s *Store) poll() {
	for s.wait(poll) {
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
	ctx, cancel := context.WithTimeout(s.ended, poll)
	defer cancel()
	if err := s.catchUp(ctx); err != nil && s.ended.Err() == nil {
		s.cfg.Failed("purge log", err)
	}
}

// catchUp puts into the log what waits for it, and reads what is new there.
func (s *Store) catchUp(ctx context.Context) error {
	s.follow.one.Lock()
	defer s.follow.one.Unlock()
	flushed, err := s.flush(ctx)
	if err != nil {
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
	s.learn(news, flushed)
	s.follow.read.Store(max(int64(asked.Sub(s.follow.begun)), 1))
	return nil
}

// flush appends the purges that could not be appended when they were made. They go on
// counting for every page until the log was read again.
func (s *Store) flush(ctx context.Context) (flushed map[*flashgate.Purge]bool, err error) {
	s.mu.RLock()
	waiting := slices.Clone(s.pending)
	s.mu.RUnlock()
	if len(waiting) == 0 {
		return nil, nil
	}
	flushed = map[*flashgate.Purge]bool{}
	for _, p := range waiting {
		if err := s.cfg.Log.AppendPurge(ctx, *p); err != nil {
			return flushed, err
		}
		flushed[p] = true
	}
	return flushed, nil
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
		s.table.reset(s.base)
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
