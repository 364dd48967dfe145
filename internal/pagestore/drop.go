package pagestore

import "flashgate"

// dropped forgets a page in memory, also one that is just being read: whoever asks from now
// on does not share that reading.
func (s *Store) dropped(key string) {
	s.dropMu.Lock()
	defer s.dropMu.Unlock()
	s.drops++
	s.reads.Forget(key)
	s.memory.drop(key)
}

// droppedAll does so for all pages, as nobody knows which were invalidated.
func (s *Store) droppedAll() {
	s.dropMu.Lock()
	defer s.dropMu.Unlock()
	s.drops++
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
