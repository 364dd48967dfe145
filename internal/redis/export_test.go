package redis

// ParseURL shows what a URL was understood as.
var ParseURL = parseURL

// Cached is how many sessions are kept locally.
func (s *Store) Cached() int {
	s.sessions.entries.CleanUp()
	return s.sessions.entries.EstimatedSize()
}

// MaxFreed is of how many sales it is kept that units came free.
const MaxFreed = maxFreed
