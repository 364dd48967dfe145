package redis_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/redis"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"

	"go.uber.org/goleak"
)

func TestALogoutIsFeltEverywhereAtOnce(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, url string) {
		a, b := newStore(t, url), newStore(t, url)
		create(t, b)
		quick(t, a)
		for i := range 20 {
			ses := create(t, a)
			h := startHammer(t, b, ses.Key)
			eventually(t, "the session is in use", func() bool { return h.before.Load() > 10 })
			var err error
			if i%2 == 0 {
				err = a.DeleteSession(t.Context(), ses.Key)
			} else {
				err = a.DeleteSessionsOf(t.Context(), ses.User)
			}
			if err != nil {
				t.Error(err)
			}
			h.end(t)
		}
		begun := time.Now()
		if err := a.DeleteSession(t.Context(), create(t, a).Key); err != nil {
			t.Error(err)
		}
		t.Logf("a logout takes %v", time.Since(begun))
	})
}

// TestTheCacheAnswersForASecond, and for a twentieth of the idle time when that is
// less, because a use that it answers is not written.
func TestTheCacheAnswersForASecond(t *testing.T) {
	t.Parallel()
	for idle, most := range map[time.Duration]time.Duration{time.Hour: time.Second, 6 * time.Second: 300 * time.Millisecond} {
		t.Run(idle.String(), func(t *testing.T) {
			t.Parallel()
			s, p := behindProxy(t, serverstest.Redis(t).Addr(), unique())
			ses := newSession()
			ses.Idle = idle
			if err := s.CreateSession(t.Context(), ses); err != nil {
				t.Fatal(err)
			}
			cached(t, s, p, ses.Key)
			read := time.Now()
			p.Freeze()
			eventually(t, "the cache is not trusted for longer", func() bool {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
				defer cancel()
				begun := time.Now()
				_, err := s.Session(ctx, ses.Key)
				if err == nil && begun.Sub(read) > most {
					t.Fatalf("the cache answers %v after the last read", begun.Sub(read))
				}
				return err != nil
			})
		})
	}
}

// TestAReadThatCrossesALogout: its answer is from before and must not be kept.
func TestAReadThatCrossesALogout(t *testing.T) {
	t.Parallel()
	// A server of its own: on the shared one another test flushes the scripts, and
	// then the reply that is held may be a NOSCRIPT.
	addr, prefix := serverstest.OwnRedis(t, servers.RedisConfig{}).Addr(), redis.DefaultPrefix
	a := openStore(t, redis.Config{URL: "redis://" + addr, Prefix: prefix})
	b, p := behindProxy(t, addr, prefix)
	cached(t, b, p, create(t, a).Key)
	quick(t, a)
	for range 5 {
		ses := create(t, a)
		h := p.Hold(string(ses.Key))
		crossing := make(chan error)
		go func() {
			_, err := b.Session(t.Context(), ses.Key)
			crossing <- err
		}()
		<-h.there
		if err := a.DeleteSession(t.Context(), ses.Key); err != nil {
			t.Error(err)
		}
		close(h.released)
		if err := <-crossing; err != nil {
			t.Errorf("the read that came first: %v", err)
		}
		_, err := b.Session(t.Context(), ses.Key)
		wantCode(t, err, flashgate.CodeUnauthenticated, "the next read")
	}
}

func TestALogoutDoesNotWaitForASilentGateway(t *testing.T) {
	t.Parallel()
	addr, prefix := serverstest.Redis(t).Addr(), unique()
	a := openStore(t, redis.Config{URL: "redis://" + addr, Prefix: prefix})
	b, p := behindProxy(t, addr, prefix)
	for range 2 {
		ses := create(t, a)
		cached(t, b, p, ses.Key)
		quick(t, a)
		cached(t, b, p, ses.Key)
		h := startHammer(t, b, ses.Key)
		p.Freeze()

		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		wantCode(t, a.DeleteSession(ctx, ses.Key), flashgate.CodeUnavailable, "the context ended first")
		cancel()
		_, err := a.Session(t.Context(), ses.Key)
		wantCode(t, err, flashgate.CodeUnauthenticated, "it is gone from Redis all the same")

		begun := time.Now()
		if err := a.DeleteSession(t.Context(), ses.Key); err != nil {
			t.Error(err)
		}
		took := time.Since(begun)
		h.end(t)
		if took < 900*time.Millisecond || took > 2*time.Second {
			t.Errorf("a logout took %v with a silent gateway, want about a second", took)
		}
		quick(t, a) // the silent one's lease is over
		p.Thaw()
	}
}

// TestLogoutsWhileConnectionsBreak: whatever happens between a gateway and its
// server, no call that begins after a logout finds the session.
func TestLogoutsWhileConnectionsBreak(t *testing.T) {
	t.Parallel()
	addr, prefix := serverstest.Redis(t).Addr(), unique()
	a := openStore(t, redis.Config{URL: "redis://" + addr, Prefix: prefix})
	b, p := behindProxy(t, addr, prefix)
	cached(t, b, p, create(t, a).Key)
	quick(t, a)
	for i := range 6 {
		ses := create(t, a)
		h := startHammer(t, b, ses.Key)
		eventually(t, "the session is in use", func() bool { return h.before.Load() > 10 })
		switch i % 3 {
		case 0:
			p.Break()
		case 1:
			p.Freeze()
		case 2:
			p.Break()
			p.Freeze()
		}
		if err := a.DeleteSession(t.Context(), ses.Key); err != nil {
			t.Error(err)
		}
		h.end(t)
		p.Thaw()
	}
}

func TestLogoutsAroundARestart(t *testing.T) {
	t.Parallel()
	r := serverstest.OwnRedis(t, servers.RedisConfig{Appendonly: "always"})
	a, b := newStore(t, r.URL()), newStore(t, r.URL())
	create(t, b)
	quick(t, a)
	for range 3 {
		ses := create(t, a)
		h := startHammer(t, b, ses.Key)
		eventually(t, "the session is in use", func() bool { return h.before.Load() > 100 })
		if err := r.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := r.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "a logout after the restart", func() bool { return a.DeleteSession(t.Context(), ses.Key) == nil })
		h.end(t)
	}
	quick(t, a)
}

// TestALostRegisterIsNotBelieved: without it a logout waits, because it does not
// know who may trust the session.
func TestALostRegisterIsNotBelieved(t *testing.T) {
	t.Parallel()
	r := serverstest.OwnRedis(t, servers.RedisConfig{})
	a, b := newStore(t, r.URL()), newStore(t, r.URL())
	create(t, b)
	quick(t, a)
	c := r.Client()
	defer c.Close()
	ses := create(t, a)
	if err := c.Del(t.Context(), redis.DefaultPrefix+":session-caches").Err(); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := a.DeleteSession(t.Context(), ses.Key); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took < 900*time.Millisecond {
		t.Errorf("a logout took %v although the register was lost", took)
	}
	quick(t, a)
}

// TestLoginsWhileAllAreEnded: a login that crosses the end of all sessions of its
// user may stay, but the next end finds it.
func TestLoginsWhileAllAreEnded(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, url string) {
		s := openStore(t, redis.Config{URL: url, SessionCache: -1})
		create(t, s)
		quick(t, s)
		user := flashgate.UserID(unique())
		var mine [200]flashgate.Session
		var logins sync.WaitGroup
		for w := range 4 {
			logins.Go(func() {
				for i := w; i < len(mine); i += 4 {
					mine[i] = newSession()
					mine[i].User = user
					if err := s.CreateSession(t.Context(), mine[i]); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for range 20 {
			if err := s.DeleteSessionsOf(t.Context(), user); err != nil {
				t.Error(err)
			}
		}
		logins.Wait()
		if err := s.DeleteSessionsOf(t.Context(), user); err != nil {
			t.Error(err)
		}
		for _, ses := range mine {
			_, err := s.Session(t.Context(), ses.Key)
			wantCode(t, err, flashgate.CodeUnauthenticated, "after the last end")
		}
	})
}

func TestTheSessionCacheIsBounded(t *testing.T) {
	t.Parallel()
	s := openStore(t, redis.Config{URL: serverstest.Redis(t).URL(), SessionCache: 50})
	eventually(t, "the cache is in use", func() bool {
		if _, err := s.Session(t.Context(), create(t, s).Key); err != nil {
			t.Fatal(err)
		}
		return s.Cached() > 0
	})
	for range 500 {
		if _, err := s.Session(t.Context(), create(t, s).Key); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.Cached(); n > 50 {
		t.Errorf("%d sessions are cached, the bound is 50", n)
	}
}

// TestCloseLeavesNoGoroutine is not parallel, so nobody else's are there.
func TestCloseLeavesNoGoroutine(t *testing.T) {
	for _, top := range topologies() {
		url := top.url(t)
		before := goleak.IgnoreCurrent()
		s, err := redis.Open(redis.Config{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		ses := create(t, s)
		cachedEventually := func() bool {
			_, err := s.Session(t.Context(), ses.Key)
			return err == nil && s.Cached() > 0
		}
		eventually(t, "the cache is in use", cachedEventually)
		if err := s.Close(); err != nil {
			t.Errorf("%s: Close: %v", top.name, err)
		}
		if err := goleak.Find(before); err != nil {
			t.Errorf("%s: %v", top.name, err)
		}
		_, err = s.Session(t.Context(), ses.Key)
		wantCode(t, err, flashgate.CodeUnavailable, "a closed Store")
	}
}
