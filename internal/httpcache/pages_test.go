package httpcache_test

import (
	"context"
	"sync"
	"time"

	"flashgate"
)

// pages is a store that forgets nothing but what it is told to.
type pages struct {
	now   func() time.Time
	mu    sync.Mutex
	byKey map[string]*flashgate.Page
	seen  uint64
	hard  uint64 // the last purge of all
	soft  map[string]uint64
}

func newPages(now func() time.Time) *pages {
	return &pages{now: now, byKey: map[string]*flashgate.Page{}}
}

func (p *pages) Seen() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen
}

func (p *pages) Get(_ context.Context, key string) (*flashgate.Page, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	page := p.byKey[key]
	if page == nil || page.Seen < p.hard || !p.now().Before(page.Ends) {
		return nil, false
	}
	return page, p.soft[page.URL] > page.Seen
}

func (p *pages) Set(_ context.Context, page *flashgate.Page) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.byKey[page.Key] = page
}

func (p *pages) Invalidate(_ context.Context, key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.byKey, key)
}

func (p *pages) Purge(_ context.Context, purge flashgate.Purge) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen++
	if purge.Kind == flashgate.PurgeURL && purge.Soft {
		if p.soft == nil {
			p.soft = map[string]uint64{}
		}
		p.soft[purge.Value] = p.seen
		return nil
	}
	p.hard = p.seen
	return nil
}
