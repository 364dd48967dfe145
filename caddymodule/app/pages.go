package app

import (
	"context"
	"time"

	"flashgate"
	"flashgate/internal/pagestore"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
)

// PagesBackend is an open cache of pages.
type PagesBackend interface {
	flashgate.PageCache
	Stats() pagestore.Stats
	Inspect(ctx context.Context, url string) ([]pagestore.Stored, error)
	caddy.Destructor
}

// pageses holds one cache of pages for each state.
var pageses = caddy.NewUsagePool()

// Pages is the cache of pages. What it holds outlives a reload.
type Pages struct{ s *shared[PagesBackend] }

func pagesFailed(what string, err error) {
	if !KnownAway(err) { // else the log has its line
		caddy.Log().Named("flashgate").Warn("page cache: it goes on without what is shared", zap.String("step", what), zap.Error(err))
	}
}

// Key is the same for configurations that have their pages in common.
func (p *Pages) Key() string { return p.s.module + " " + p.s.key }

// enter keeps the cache open for a call, also when its configuration has gone. It is
// open since it was provisioned.
func (p *Pages) enter() (PagesBackend, bool) {
	b, err := p.s.enter()
	return b, err == nil
}

// Seen is the number of the newest purge that this gateway knows.
func (p *Pages) Seen() uint64 {
	b, ok := p.enter()
	if !ok {
		return 0
	}
	defer p.s.leave()
	return b.Seen()
}

// Get finds a page.
func (p *Pages) Get(ctx context.Context, key string) (page *flashgate.Page, soft bool) {
	b, ok := p.enter()
	if !ok {
		return nil, false
	}
	defer p.s.leave()
	return b.Get(ctx, key)
}

// Set keeps a page.
func (p *Pages) Set(ctx context.Context, page *flashgate.Page) {
	if b, ok := p.enter(); ok {
		defer p.s.leave()
		b.Set(ctx, page)
	}
}

// Invalidate forgets what is under a key.
func (p *Pages) Invalidate(ctx context.Context, key string) {
	if b, ok := p.enter(); ok {
		defer p.s.leave()
		b.Invalidate(ctx, key)
	}
}

// Purge gives up pages.
func (p *Pages) Purge(ctx context.Context, purge flashgate.Purge) error {
	b, err := p.s.enter()
	if err != nil {
		return err
	}
	defer p.s.leave()
	return b.Purge(ctx, purge)
}

// Stats reads the counts.
func (p *Pages) Stats() (pagestore.Stats, error) {
	b, err := p.s.enter()
	if err != nil {
		return pagestore.Stats{}, err
	}
	defer p.s.leave()
	return b.Stats(), nil
}

// Inspect lists what is stored under an address.
func (p *Pages) Inspect(ctx context.Context, url string) ([]pagestore.Stored, error) {
	b, err := p.s.enter()
	if err != nil {
		return nil, err
	}
	defer p.s.leave()
	return b.Inspect(ctx, url)
}

// OpenPages keeps them in memory alone.
func (m *Memory) OpenPages(maxBytes int64, failed func(string, error)) (PagesBackend, error) {
	store, err := pagestore.New(pagestore.Config{MaxBytes: maxBytes, Failed: failed})
	if err != nil {
		return nil, err
	}
	return ownPages{store, nil}, nil
}

// OpenPages keeps them in memory, and on the server for all gateways.
func (r *RedisState) OpenPages(maxBytes int64, failed func(string, error)) (PagesBackend, error) {
	client, err := r.server.open()
	if err != nil {
		return nil, err
	}
	remote := remotePages{client}
	store, err := pagestore.New(pagestore.Config{MaxBytes: maxBytes, Shared: remote, Log: remote, Failed: failed})
	if err != nil {
		_ = client.Destruct()
		return nil, err
	}
	return ownPages{store, client}, nil
}

// ownPages ends with its connections.
type ownPages struct {
	*pagestore.Store
	client *redisClient
}

func (p ownPages) Destruct() error {
	err := p.Close()
	if p.client != nil {
		return p.client.Destruct()
	}
	return err
}

// remotePages keeps calls away from a server that does not answer.
type remotePages struct{ client *redisClient }

func (p remotePages) through(call func() error) error {
	circuit := p.client.Circuit()
	if err := circuit.Err(); err != nil {
		return err
	}
	err := call()
	circuit.Note(err)
	return err
}

func (p remotePages) GetPage(ctx context.Context, key string) (page []byte, ok bool, err error) {
	err = p.through(func() (err error) {
		page, ok, err = p.client.GetPage(ctx, key)
		return err
	})
	return page, ok, err
}

func (p remotePages) SetPage(ctx context.Context, key string, page []byte, ttl time.Duration) error {
	return p.through(func() error { return p.client.SetPage(ctx, key, page, ttl) })
}

func (p remotePages) DeletePage(ctx context.Context, key string) error {
	return p.through(func() error { return p.client.DeletePage(ctx, key) })
}

func (p remotePages) ClearPages(ctx context.Context) error {
	return p.through(func() error { return p.client.ClearPages(ctx) })
}

func (p remotePages) AppendPurge(ctx context.Context, purge flashgate.Purge) error {
	return p.through(func() error { return p.client.AppendPurge(ctx, purge) })
}

func (p remotePages) PurgesAfter(ctx context.Context, log string, after uint64) (out flashgate.Purges, err error) {
	err = p.through(func() (err error) {
		out, err = p.client.PurgesAfter(ctx, log, after)
		return err
	})
	return out, err
}

// WatchPurges is no call that a circuit could judge: it lasts.
func (p remotePages) WatchPurges(ctx context.Context, purged func(), invalidated func(key string)) error {
	if err := p.client.Circuit().Err(); err != nil {
		return err
	}
	return p.client.WatchPurges(ctx, purged, invalidated)
}

func (p remotePages) InvalidatePage(ctx context.Context, key string) error {
	return p.through(func() error { return p.client.InvalidatePage(ctx, key) })
}

// Interface guards.
var (
	_ flashgate.PageCache = (*Pages)(nil)
	_ flashgate.PageStore = remotePages{}
	_ flashgate.PurgeLog  = remotePages{}
)
