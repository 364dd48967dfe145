package httpcache

import (
	"context"
	"crypto/rand"
	"hash/maphash"
	"net/http"
	"sync"
	"time"
)

// Flights are the requests to the origin whose answers may be kept. At most one of a
// key can be joined. Caches that share a store share them too.
type Flights struct {
	id    string // of those who share them, as in CDN-Loop
	mu    sync.Mutex
	byKey map[string]*flight
	all   map[*flight]struct{}
	seed  maphash.Seed
	lone  map[uint64]time.Time // hashes of keys whose answers were nobody else's, until when
}

// NewFlights returns Flights of which there are none.
func NewFlights() *Flights {
	return &Flights{id: "flashgate-" + rand.Text(), byKey: map[string]*flight{}, all: map[*flight]struct{}{}, seed: maphash.MakeSeed(), lone: map[uint64]time.Time{}}
}

// An answer that may not be shared is likely to be followed by others: nobody waits for
// the next ones of the key. Varnish calls it hit-for-miss. Keys are as long as clients make
// them, so only their hashes stay; two that have the same only share less.
const (
	loneFor  = 10 * time.Second
	maxLones = 10_000
)

// flight is one such request. The mutex of flights guards all but the constants.
type flight struct {
	of      *Flights
	key     string // what it is joined by
	primary string // of the URI
	extra   string
	header  http.Header // of the request
	seen    uint64      // purges up to here were over when it began
	done    chan struct{}

	cancel  context.CancelFunc
	timer   *time.Timer
	waiters int
	gone    bool // the leading client has left, or there never was one
	keeping bool // the header says that the answer may be kept
	settled bool
	doomed  bool // the URI was invalidated meanwhile

	outcome // set before done is closed
}

// outcome is what those get who wait for a flight.
type outcome struct {
	page    *entry        // nil: nobody may have it
	soft    bool          // it is stale as of now
	vary    []string      // names in which a request must agree with the flight's
	failed  bool          // the origin is in trouble: what is stale may do
	beyond  time.Duration // how stale, when it cannot be reached
	trouble string        // of Cache-Status
}

// join takes part in a key's flight, or leads a new one. latest refuses (nil) a
// flight whose answer is older than the call. A flight from before a purge, of which seen
// is the count, is left to those who wait for it already.
func (s *Flights) join(at place, header http.Header, latest bool, now time.Time, seen uint64) (f *flight, leads bool) {
	key := flightKey(at)
	hash := maphash.String(s.seed, key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if until, ok := s.lone[hash]; ok {
		if now.Before(until) {
			return nil, false
		}
		delete(s.lone, hash)
	}
	if f := s.byKey[key]; f != nil && f.seen >= seen {
		if latest && f.keeping {
			return nil, false
		}
		f.waiters++
		return f, false
	}
	f = s.add(at, header)
	f.seen = seen
	s.byKey[key] = f
	return f, true
}

// flightKey keeps key and extra apart by a byte that no address has.
func flightKey(at place) string { return at.key + "\n" + at.extra }

// noteLone remembers that the answers of a key are nobody else's, or that they are not.
func (s *Flights) noteLone(key string, lone bool, now time.Time) {
	hash := maphash.String(s.seed, key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !lone {
		delete(s.lone, hash)
		return
	}
	if len(s.lone) >= maxLones {
		clear(s.lone)
	}
	s.lone[hash] = now.Add(loneFor)
}

// lead returns a new flight, or nil when there is one.
func (s *Flights) lead(at place, header http.Header, seen uint64) *flight {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byKey[flightKey(at)] != nil {
		return nil
	}
	f := s.add(at, header)
	f.gone, f.seen = true, seen
	s.byKey[f.key] = f
	return f
}

// alone returns a flight that nobody can join.
func (s *Flights) alone(at place, header http.Header) *flight {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.add(at, header)
}

func (s *Flights) add(at place, header http.Header) *flight {
	f := &flight{of: s, key: flightKey(at), primary: at.primary, extra: at.extra, header: header.Clone(), done: make(chan struct{}), cancel: func() {}}
	s.all[f] = struct{}{}
	return f
}

// doom makes the running flights of a URI not worth keeping.
func (s *Flights) doom(primary string) {
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

// settle gives those who wait what there is for them. Only the first call counts. An
// answer that nobody may keep ends with its client.
func (f *flight) settle(o outcome) {
	f.of.mu.Lock()
	defer f.of.mu.Unlock()
	f.settleLocked(o)
}

func (f *flight) settleLocked(o outcome) {
	if f.settled {
		return
	}
	f.settled = true
	f.outcome = o
	f.unlist()
	if f.gone && !f.keeping {
		f.cancel()
	}
	close(f.done)
}

// giveUp says that the answer is not kept after all.
func (f *flight) giveUp() {
	f.of.mu.Lock()
	defer f.of.mu.Unlock()
	f.keeping = false
	f.settleLocked(outcome{})
	if f.gone {
		f.cancel()
	}
}

// end is called once, when the origin has been heard.
func (f *flight) end() {
	f.of.mu.Lock()
	defer f.of.mu.Unlock()
	f.settleLocked(outcome{})
	delete(f.of.all, f)
	if f.timer != nil {
		f.timer.Stop()
	}
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
	if f.settled && !f.keeping {
		f.cancel()
		return
	}
	f.timer = time.AfterFunc(limit, f.cancel)
	f.abandonLocked()
}

func (f *flight) abandonLocked() {
	if f.gone && f.waiters == 0 && !f.keeping && f.timer != nil {
		f.settleLocked(outcome{})
	}
}
