package pagestore

import (
	"hash/maphash"
	"time"

	"flashgate"
)

// maxRecent bounds the invalidations that are remembered by address. Past them all pages
// that were asked for until then are not kept: too much, never too little.
const maxRecent = 10_000

// recent are the last invalidations: an origin may have been asked before one, at this
// gateway or, when the news came from elsewhere, anywhere.
type recent struct {
	seed  maphash.Seed
	at    map[uint64]time.Time // by the address' hash
	floor time.Time
}

func newRecent() recent { return recent{seed: maphash.MakeSeed(), at: map[uint64]time.Time{}} }

func (r *recent) note(url string, now time.Time) {
	if len(r.at) >= maxRecent {
		r.all(now)
	}
	r.at[maphash.String(r.seed, url)] = now
}

func (r *recent) all(now time.Time) {
	clear(r.at)
	r.floor = now
}

func (r *recent) met(p *flashgate.Page) bool {
	if p.Asked.IsZero() {
		return false
	}
	at, ok := r.at[maphash.String(r.seed, p.URL)]
	return ok && !p.Asked.After(at) || p.Asked.Before(r.floor)
}

// dropped forgets a page in memory, also one that is just being read: whoever asks from now
// on does not share that reading.
func (s *Store) dropped(key string) {
	s.dropMu.Lock()
	defer s.dropMu.Unlock()
	s.drops++
	s.recent.note(key, s.cfg.Now())
	s.reads.Forget(key)
	s.memory.drop(key)
}

// droppedAll does so for all pages, as nobody knows which were invalidated.
func (s *Store) droppedAll() {
	s.dropMu.Lock()
	defer s.dropMu.Unlock()
	s.drops++
	s.recent.all(s.cfg.Now())
	s.memory.pages.InvalidateAll()
}

func (s *Store) dropCount() uint64 {
	s.dropMu.Lock()
	defer s.dropMu.Unlock()
	return s.drops
}

// keepRead keeps a page that was read when there were so many drops. With one more it may
// be this page that was meant.
func (s *Store) keepRead(p *flashgate.Page, drops uint64) {
	s.dropMu.Lock()
	defer s.dropMu.Unlock()
	if s.drops == drops {
		s.memory.set(p)
	}
}

// keepFetched keeps a page that has come from the origin; false when it was invalidated on
// its way.
func (s *Store) keepFetched(p *flashgate.Page) bool {
	s.dropMu.Lock()
	defer s.dropMu.Unlock()
	if s.recent.met(p) {
		return false
	}
	s.memory.set(p)
	return true
}
