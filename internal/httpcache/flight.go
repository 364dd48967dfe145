package httpcache

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// flights are the requests to the origin whose answers may be kept. At most one of a
// key can be joined.
type flights struct {
	mu    sync.Mutex
	byKey map[string]*flight
	all   map[*flight]struct{}
}

// flight is one such request. The mutex of flights guards all but the constants.
type flight struct {
	of      *flights
	key     string      // of the page; of its URI when it is not known to vary
	primary string      // of the URI
	header  http.Header // of the request
	done    chan struct{}

	cancel  context.CancelFunc
	timer   *time.Timer
	waiters int
	gone    bool // the leading client has left, or there never was one
	keeping bool // the header says that the answer may be kept
	settled bool
	doomed  bool // the URI was invalidated meanwhile

	page *entry   // set before done is closed; nil: nobody may have it
	vary []string // names in which a request must agree with header
}

// join takes part in a key's flight, or leads a new one. latest refuses (nil) a
// flight whose answer is older than the call.
func (s *flights) join(at place, header http.Header, latest bool) (f *flight, leads bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.byKey[at.key]; f != nil {
		if latest && f.keeping {
			return nil, false
		}
		f.waiters++
		return f, false
	}
	f = s.add(at, header)
	s.byKey[at.key] = f
	return f, true
}

// lead returns a new flight, or nil when there is one.
func (s *flights) lead(at place, header http.Header) *flight {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byKey[at.key] != nil {
		return nil
	}
	f := s.add(at, header)
	f.gone = true
	s.byKey[at.key] = f
	return f
}

// alone returns a flight that nobody can join.
func (s *flights) alone(at place, header http.Header) *flight {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.add(at, header)
}

func (s *flights) add(at place, header http.Header) *flight {
	f := &flight{of: s, key: at.key, primary: at.primary, header: header.Clone(), done: make(chan struct{}), cancel: func() {}}
	s.all[f] = struct{}{}
	return f
}

// doom makes the running flights of a URI not worth keeping.
func (s *flights) doom(primary string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for f := range s.all {
		if f.primary == primary {
			f.doomed = true
			f.unlist()
		}
	}
}

func (f *flight) unlist() {
	if f.of.byKey[f.key] == f {
		delete(f.of.byKey, f.key)
	}
}

// begin says how the request is ended early.
func (f *flight) begin(cancel context.CancelFunc) {
	f.of.mu.Lock()
	defer f.of.mu.Unlock()
	f.cancel = cancel
}

// keep says that the answer may be kept: from now on it is worth finishing even when
// everybody leaves.
func (f *flight) keep() {
	f.of.mu.Lock()
	defer f.of.mu.Unlock()
	f.keeping = true
}

func (f *flight) isDoomed() bool {
	f.of.mu.Lock()
	defer f.of.mu.Unlock()
	return f.doomed
}

// settle ends the flight for those who wait: with the page, or with nothing. Only
// the first call counts. An answer that nobody may keep ends with its client.
func (f *flight) settle(page *entry, vary []string) {
	f.of.mu.Lock()
	defer f.of.mu.Unlock()
	f.settleLocked(page, vary)
}

func (f *flight) settleLocked(page *entry, vary []string) {
	if f.settled {
		return
	}
	f.settled = true
	f.page, f.vary = page, vary
	f.unlist()
	delete(f.of.all, f)
	if f.timer != nil {
		f.timer.Stop()
	}
	if page == nil && f.gone {
		f.cancel()
	}
	close(f.done)
}

// leave is called by one who waits no longer.
func (f *flight) leave() {
	f.of.mu.Lock()
	defer f.of.mu.Unlock()
	f.waiters--
	f.abandonLocked()
}

// clientGone is called when the leading client has left. While others wait, or the
// page is worth keeping, the flight goes on for at most limit.
func (f *flight) clientGone(limit time.Duration) {
	f.of.mu.Lock()
	defer f.of.mu.Unlock()
	f.gone = true
	if f.settled {
		if f.page == nil {
			f.cancel()
		}
		return
	}
	f.timer = time.AfterFunc(limit, f.cancel)
	f.abandonLocked()
}

func (f *flight) abandonLocked() {
	if f.gone && f.waiters == 0 && !f.keeping && f.timer != nil {
		f.settleLocked(nil, nil)
	}
}
