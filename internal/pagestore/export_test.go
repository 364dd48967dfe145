package pagestore

import "flashgate"

// Table is the rules of purges, for tests.
type Table struct{ t table }

// Apply adds the purge with a number.
func (t *Table) Apply(p flashgate.Purge, n uint64) { t.t.apply(p, n) }

// Judge says whether a page is dead, or stale.
func (t *Table) Judge(p *flashgate.Page) (dead, soft bool) { return t.t.judge(p) }

// Names is how many purges it knows by name.
func (t *Table) Names() int { return len(t.t.urls) + len(t.t.tags) + len(t.t.prefixes) }

// Bounds of a Table, and what pages cost.
const (
	MaxPurges   = maxPurges
	MaxPrefixes = maxPrefixes
)

// Seal and Unseal are the form of pages in what is shared.
func Seal(p *flashgate.Page, log string, seen uint64) []byte { return seal(p, log, seen) }

// Unseal reads it.
func Unseal(key string, b []byte) (*flashgate.Page, string, uint64, error) { return unseal(key, b) }

// Settled reports that nothing waits to be written, and that the log was read.
func (s *Store) Settled() bool {
	if s.writer != nil {
		if !s.current() {
			return false
		}
		for i := range s.writer.queues {
			q := &s.writer.queues[i]
			q.mu.Lock()
			busy := len(q.order) > 0 || q.busy != ""
			q.mu.Unlock()
			if busy {
				return false
			}
		}
	}
	return true
}

// Forget takes a page out of memory alone.
func (s *Store) Forget(key string) { s.memory.drop(key) }

// Log is the shared log that is followed.
func (s *Store) Log() string {
	log, _ := s.position()
	return log
}
