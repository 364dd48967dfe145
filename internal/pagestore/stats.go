package pagestore

import (
	"context"
	"sync/atomic"

	"flashgate"
)

// Stats are the counts of a Store since it was made.
type Stats struct {
	Bytes, Pages       int64  // in memory, now
	MaxBytes           int64  // of memory
	MemoryHits         uint64 // pages found in memory
	SharedHits         uint64 // pages found in what is shared
	Misses             uint64
	Evictions          uint64 // pages that had to make room
	Sets               uint64
	Dropped            uint64 // pages that were not written to what is shared
	Purges             map[flashgate.PurgeKind]uint64
	Shared, SharedSeen bool // there is something shared; it can be used now
}

type counts struct {
	hits, sharedHits, misses, evictions, sets, dropped atomic.Uint64
	url, prefix, tag, all                              atomic.Uint64
}

func (c *counts) purge(kind flashgate.PurgeKind) { c.of(kind).Add(1) }

func (c *counts) of(kind flashgate.PurgeKind) *atomic.Uint64 {
	switch kind {
	case flashgate.PurgeURL:
		return &c.url
	case flashgate.PurgePrefix:
		return &c.prefix
	case flashgate.PurgeTag:
		return &c.tag
	}
	return &c.all
}

// Stats reads the counts.
func (s *Store) Stats() Stats {
	out := Stats{
		Bytes: int64(s.memory.pages.WeightedSize()), Pages: int64(s.memory.pages.EstimatedSize()), MaxBytes: int64(s.memory.pages.GetMaximum()),
		MemoryHits: s.counts.hits.Load(), SharedHits: s.counts.sharedHits.Load(), Misses: s.counts.misses.Load(),
		Evictions: s.counts.evictions.Load(), Sets: s.counts.sets.Load(), Dropped: s.counts.dropped.Load(),
		Purges: map[flashgate.PurgeKind]uint64{}, Shared: s.cfg.Shared != nil, SharedSeen: s.cfg.Shared != nil && s.current(),
	}
	for _, kind := range []flashgate.PurgeKind{flashgate.PurgeURL, flashgate.PurgePrefix, flashgate.PurgeTag, flashgate.PurgeAll} {
		out.Purges[kind] = s.counts.of(kind).Load()
	}
	return out
}

// Stored is a page for operators who inspect an address.
type Stored struct {
	Page   *flashgate.Page
	Soft   bool // a soft purge has met it
	Shared bool // it is in what is shared, too
}

// Inspect lists the pages of an address in memory, and asks what is shared for them.
func (s *Store) Inspect(ctx context.Context, url string) ([]Stored, error) {
	var out []Stored
	for _, p := range s.memory.pages.All() {
		if p.URL != url || !s.cfg.Now().Before(p.Ends) {
			continue
		}
		dead, soft := s.judge(p)
		if !dead {
			out = append(out, Stored{Page: p, Soft: soft})
		}
	}
	if s.cfg.Shared == nil {
		return out, nil
	}
	for i := range out {
		_, ok, err := s.cfg.Shared.GetPage(ctx, out[i].Page.Key)
		if err != nil {
			return out, err
		}
		out[i].Shared = ok
	}
	return out, nil
}
