package app

import (
	"context"
	"sync"
	"time"

	"flashgate"
)

type temporary struct {
	mu    sync.Mutex
	byKey map[string]*flashgate.Page
	seen  uint64
}

var theTemporary = &temporary{byKey: map[string]*flashgate.Page{}}

func (a *App) PageCache() flashgate.PageCache { return theTemporary }
func (p *temporary) Seen() uint64             { return p.seen }
func (p *temporary) Get(_ context.Context, key string) (*flashgate.Page, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	page := p.byKey[key]
	if page == nil || !time.Now().Before(page.Ends) {
		return nil, false
	}
	return page, false
}
func (p *temporary) Set(_ context.Context, page *flashgate.Page) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.byKey[page.Key] = page
}
func (p *temporary) Invalidate(_ context.Context, key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.byKey, key)
}
func (p *temporary) Purge(_ context.Context, purge flashgate.Purge) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen++
	clear(p.byKey)
	return nil
}
