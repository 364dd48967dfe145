package redis_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/redis"
)

func newSession() flashgate.Session {
	now := time.Now().Truncate(time.Millisecond)
	return flashgate.Session{
		Key: flashgate.NewSessionToken().Key(), User: flashgate.UserID("u" + unique()), Role: flashgate.RoleCustomer,
		Created: now, Expires: now.Add(time.Hour), Idle: 30 * time.Minute,
	}
}

func create(t testing.TB, s *redis.Store) flashgate.Session {
	t.Helper()
	ses := newSession()
	if err := s.CreateSession(t.Context(), ses); err != nil {
		t.Fatal(err)
	}
	return ses
}

// quick waits until a logout takes a round trip and not the second that it takes
// while somebody may not hear of it.
func quick(t testing.TB, s *redis.Store) {
	t.Helper()
	eventually(t, "a logout is quick", func() bool {
		ses := create(t, s)
		begun := time.Now()
		if err := s.DeleteSession(t.Context(), ses.Key); err != nil {
			t.Fatal(err)
		}
		return time.Since(begun) < 300*time.Millisecond
	})
}

// hammer asks a Store for a session all the time, and fails the test when a call
// that began after the end was declared still finds it.
type hammer struct {
	ended   atomic.Bool
	after   atomic.Int64 // calls that began after the end
	before  atomic.Int64 // successful calls
	stop    chan struct{}
	workers sync.WaitGroup
}

func startHammer(t testing.TB, s *redis.Store, key flashgate.SessionKey) *hammer {
	h := &hammer{stop: make(chan struct{})}
	for range 3 {
		h.workers.Go(func() {
			for {
				select {
				case <-h.stop:
					return
				default:
				}
				ended := h.ended.Load()
				ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
				_, err := s.Session(ctx, key)
				cancel()
				switch {
				case ended && err == nil:
					t.Error("a session was found after its end was declared")
					return
				case ended:
					h.after.Add(1)
				case err == nil:
					h.before.Add(1)
				}
			}
		})
	}
	return h
}

// end declares the end and waits for some calls.
func (h *hammer) end(t testing.TB) {
	t.Helper()
	h.ended.Store(true)
	eventually(t, "calls after the end", func() bool { return h.after.Load() > 20 || t.Failed() })
	close(h.stop)
	h.workers.Wait()
}

// behindProxy is a gateway whose connections can be broken, with its cache in use.
func behindProxy(t testing.TB, addr, prefix string) (*redis.Store, *proxy) {
	t.Helper()
	p := newProxy(t, addr)
	s := openStore(t, redis.Config{URL: p.URL(), Prefix: prefix})
	return s, p
}

// cached waits until a Store answers for a session without its server.
func cached(t testing.TB, s *redis.Store, p *proxy, key flashgate.SessionKey) {
	t.Helper()
	eventually(t, "the cache answers", func() bool {
		defer p.Thaw()
		if _, err := s.Session(t.Context(), key); err != nil {
			return false
		}
		p.Freeze()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		_, err := s.Session(ctx, key)
		return err == nil
	})
}
