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
	// Resize changes how many bytes of pages are in memory; zero stands for the default.
	Resize(maxBytes int64) error
	Stats() pagestore.Stats
	Inspect(ctx context.Context, url string) ([]pagestore.Stored, error)
	caddy.Destructor
}

// pageses holds one cache of pages for each state.
var pageses = caddy.NewUsagePool()

// Pages is the cache of pages. What it holds outlives a reload; after the last
// configuration that has it there are no pages, and no errors.
type Pages struct {
	PagesBackend
	// Key is the same for configurations that have their pages in common.
	Key string
}

func pagesFailed(what string, err error) {
	if !KnownAway(err) { // else the log has its line
		caddy.Log().Named("flashgate").Warn("page cache: it goes on without what is shared", zap.String("step", what), zap.Error(err))
	}
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
	_ flashgate.PageCache = Pages{}
	_ flashgate.PageStore = remotePages{}
	_ flashgate.PurgeLog  = remotePages{}
)
