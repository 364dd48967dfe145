package pagestore_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/pagestore"
	"flashgate/internal/redis"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"
)

func TestMain(m *testing.M) { serverstest.Main(m) }

func open(t testing.TB, cfg pagestore.Config) *pagestore.Store {
	t.Helper()
	s, err := pagestore.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// gateway is a store on a Redis, as a process has it.
func gateway(t testing.TB, r *servers.Redis) (*pagestore.Store, *redis.Store) {
	t.Helper()
	shared, err := redis.Open(redis.Config{URL: r.URL(), SessionCache: -1, Timeout: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, pagestore.Config{Shared: shared, Log: shared})
	t.Cleanup(func() { _ = errors.Join(s.Close(), shared.Close()) })
	return s, shared
}

// ill is a Redis of which a gateway does not get everything.
type ill struct {
	*redis.Store
	deaf    atomic.Bool // no news
	cut     atomic.Bool // no connection for them
	blind   atomic.Bool // the log cannot be read
	limited bool        // it takes no more purges than appends, and no invalidation without one
	appends atomic.Int64
	reading chan struct{} // if not nil, says that a page was read, which then waits for tell
	tell    chan struct{}
	written chan struct{} // if not nil, a page that was written waits here before it is told so
}

var errIll = errors.New("ill")

func (i *ill) WatchPurges(ctx context.Context, purged func(), invalidated func(string)) error {
	if i.cut.Load() {
		return errIll
	}
	if i.deaf.Load() {
		<-ctx.Done()
		return errIll
	}
	return i.Store.WatchPurges(ctx, purged, invalidated)
}

func (i *ill) PurgesAfter(ctx context.Context, log string, after uint64) (flashgate.Purges, error) {
	if i.blind.Load() {
		return flashgate.Purges{}, errIll
	}
	return i.Store.PurgesAfter(ctx, log, after)
}

func (i *ill) AppendPurge(ctx context.Context, p flashgate.Purge) error {
	if i.limited && i.appends.Add(-1) < 0 {
		return errIll
	}
	return i.Store.AppendPurge(ctx, p)
}

func (i *ill) InvalidatePage(ctx context.Context, key string) error {
	if i.limited && i.appends.Load() <= 0 {
		return errIll
	}
	return i.Store.InvalidatePage(ctx, key)
}

func (i *ill) GetPage(ctx context.Context, key string) ([]byte, bool, error) {
	page, ok, err := i.Store.GetPage(ctx, key)
	if i.reading != nil {
		i.reading <- struct{}{}
		<-i.tell
	}
	return page, ok, err
}

func (i *ill) SetPage(ctx context.Context, key string, page []byte, ttl time.Duration) error {
	err := i.Store.SetPage(ctx, key, page, ttl)
	if i.written != nil {
		i.written <- struct{}{}
		<-i.written
	}
	return err
}

// illGateway is one on such a Redis.
func illGateway(t testing.TB, r *servers.Redis, poll time.Duration, i *ill) *pagestore.Store {
	t.Helper()
	shared, err := redis.Open(redis.Config{URL: r.URL(), SessionCache: -1, Timeout: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	i.Store = shared
	s := open(t, pagestore.Config{Shared: i, Log: i, Poll: poll})
	t.Cleanup(func() { _ = errors.Join(s.Close(), shared.Close()) })
	return s
}

const url = "https://shop.example/goods/1"

// fetched is a page that is fetched now.
func fetched(s *pagestore.Store, url string, tags ...string) *flashgate.Page {
	return &flashgate.Page{Key: url, URL: url, Tags: tags, Seen: s.Seen(), Ends: time.Now().Add(time.Hour), Data: []byte("page of " + url)}
}

func has(t testing.TB, s *pagestore.Store, key string) bool {
	t.Helper()
	p, _ := s.Get(t.Context(), key)
	if p != nil && string(p.Data) != "page of "+p.URL {
		t.Fatalf("%s has %q", key, p.Data)
	}
	return p != nil
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	late := time.After(15 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// share keeps a page on one gateway until another one finds it.
func share(t testing.TB, from, to *pagestore.Store, p *flashgate.Page) {
	t.Helper()
	from.Set(t.Context(), p)
	eventually(t, "another gateway finds "+p.Key, func() bool { return has(t, to, p.Key) })
}

func purge(t testing.TB, s *pagestore.Store, kind flashgate.PurgeKind, value string) {
	t.Helper()
	if err := s.Purge(t.Context(), flashgate.Purge{Kind: kind, Value: value}); err != nil {
		t.Fatal(err)
	}
}
