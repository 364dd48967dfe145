package pagestore

import (
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"flashgate"
)

// Bytes that a page costs beside what it consists of: the node of the cache, the page
// itself, its place in the table; and its decoded form when that does not say.
const (
	pageOverhead = 400
	formOverhead = 2 << 10
)

// sized is a form that knows what it costs beside the page's data, in bytes.
type sized interface{ Size() int }

// weight is what a page costs in memory, in bytes.
func weight(p *flashgate.Page) int64 {
	n := pageOverhead + len(p.Key) + len(p.URL) + len(p.Data)
	for _, tag := range p.Tags {
		n += len(tag) + 16
	}
	if form, ok := p.Form().(sized); ok {
		return int64(n + form.Size())
	}
	return int64(n + formOverhead)
}

// memory are the pages in memory. It is safe for concurrent use.
type memory struct {
	pages *otter.Cache[string, *flashgate.Page]
	most  atomic.Int64 // bytes of one page
	now   func() time.Time
}

func newMemory(bytes int64, now func() time.Time, evicted func()) (*memory, error) {
	pages, err := otter.New(&otter.Options[string, *flashgate.Page]{
		MaximumWeight: uint64(bytes),
		Weigher:       func(_ string, p *flashgate.Page) uint32 { return uint32(weight(p)) },
		// The cache's own clock only frees the memory; get goes by the pages' ends.
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[string, *flashgate.Page]) time.Duration {
			return max(e.Value.Ends.Sub(now()), time.Millisecond)
		}),
		OnAtomicDeletion: func(e otter.DeletionEvent[string, *flashgate.Page]) {
			if e.Cause == otter.CauseOverflow {
				evicted()
			}
		},
	})
	if err != nil {
		return nil, &flashgate.Error{Code: flashgate.CodeInternal, Op: "pagestore.New", Err: err}
	}
	m := &memory{pages: pages, now: now}
	m.bound(bytes)
	return m, nil
}

// bound sets how much there may be. One page may have an eighth, so that one never pushes
// out all others.
func (m *memory) bound(bytes int64) {
	m.most.Store(bytes / 8)
	m.pages.SetMaximum(uint64(bytes))
}

func (m *memory) get(key string) *flashgate.Page {
	p, ok := m.pages.GetIfPresent(key)
	if !ok || !m.now().Before(p.Ends) {
		return nil
	}
	return p
}

func (m *memory) set(p *flashgate.Page) { m.pages.Set(p.Key, p) }

func (m *memory) drop(key string) { m.pages.Invalidate(key) }

// dropIf drops the pages that a function picks.
func (m *memory) dropIf(dead func(*flashgate.Page) bool) {
	for key, p := range m.pages.All() {
		if dead(p) {
			m.pages.ComputeIfPresent(key, func(now *flashgate.Page) (*flashgate.Page, otter.ComputeOp) {
				if now == p {
					return now, otter.InvalidateOp
				}
				return now, otter.CancelOp
			})
		}
	}
}
