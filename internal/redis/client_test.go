package redis_test

import (
	"context"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/redis"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"

	goredis "github.com/redis/go-redis/v9"
)

// patience is how long a test waits for what must come.
const patience = 15 * time.Second

// eventually asks until it is true, or the test fails.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for begun := time.Now(); !ok(); <-tick.C {
		if time.Since(begun) > patience {
			t.Fatalf("not in %v: %s", patience, what)
		}
	}
}

func wantCode(t testing.TB, err error, code flashgate.Code, what string) {
	t.Helper()
	if flashgate.ErrorCode(err) != code {
		t.Errorf("%s: %v, want code %q", what, err, code)
	}
}

var day = flashgate.Rate{Limit: 1_000_000, Window: 24 * time.Hour}

func TestCheck(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, url string) {
		if err := newStore(t, url).Check(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestTLSWithPasswordAndUser(t *testing.T) {
	t.Parallel()
	const password, userPassword = "s3cr3t-of-all", "p@ss/w?rd"
	r := serverstest.OwnRedis(t, servers.RedisConfig{TLS: true, Password: password, Args: []string{
		"--tls-auth-clients", "optional",
		"--user", "app", "on", ">" + userPassword, "~flashgate:*", "&flashgate:*", "+@all", "-@dangerous", "+info",
	}})
	ca := "?tls_ca=" + r.CAFile()
	pair := "&tls_cert=" + filepath.Join(r.Dir(), "server.pem") + "&tls_key=" + filepath.Join(r.Dir(), "server-key.pem")
	for url, ok := range map[string]bool{
		"rediss://:" + password + "@" + r.Addr() + "/0" + ca:                               true,
		"rediss://default:" + password + "@" + r.Addr() + ca:                               true,
		"rediss://app:p%40ss%2Fw%3Frd@" + r.Addr() + ca:                                    true,
		"rediss://app:p%40ss%2Fw%3Frd@" + r.Addr() + ca + pair:                             true,
		"rediss://:" + password + "@" + r.Addr() + ca + "&tls_server_name=localhost":       true,
		"rediss://:" + password + "@" + r.Addr() + ca + "&tls_server_name=elsewhere.local": false,
		"rediss://:" + password + "@" + r.Addr():                                           false, // not trusted
		"redis://:" + password + "@" + r.Addr():                                            false, // not TLS
		"rediss://:" + password + "x@" + r.Addr() + ca:                                     false,
		"rediss://" + r.Addr() + ca:                                                        false,
	} {
		s := newStore(t, url)
		err := s.Check(t.Context())
		if (err == nil) != ok {
			t.Errorf("%s: %v", url, err)
		}
		if !ok {
			wantCode(t, err, flashgate.CodeUnavailable, url)
			if strings.Contains(err.Error(), password) {
				t.Errorf("the error tells the password: %v", err)
			}
			continue
		}
		useAll(t, s)
	}
}

// useAll uses every verb of the short-lived state and of the sessions once.
func useAll(t testing.TB, s *redis.Store) {
	t.Helper()
	ctx, key := t.Context(), unique()
	if v, err := flashgate.Allow(ctx, s, key, day); err != nil || !v.Allowed {
		t.Errorf("Allow: %+v, %v", v, err)
	}
	if err := s.Reset(ctx, key); err != nil {
		t.Errorf("Reset: %v", err)
	}
	if err := s.Put(ctx, key, []byte("v"), time.Hour); err != nil {
		t.Errorf("Put: %v", err)
	}
	if v, ok, err := s.Take(ctx, key); err != nil || !ok || string(v) != "v" {
		t.Errorf("Take: %q, %v, %v", v, ok, err)
	}
	if err := s.SetPage(ctx, key, []byte("p"), time.Hour); err != nil {
		t.Errorf("SetPage: %v", err)
	}
	if p, ok, err := s.GetPage(ctx, key); err != nil || !ok || string(p) != "p" {
		t.Errorf("GetPage: %q, %v, %v", p, ok, err)
	}
	if err := s.DeletePage(ctx, key); err != nil {
		t.Errorf("DeletePage: %v", err)
	}
	if err := s.ClearPages(ctx); err != nil {
		t.Errorf("ClearPages: %v", err)
	}
	ses := newSession()
	if err := s.CreateSession(ctx, ses); err != nil {
		t.Errorf("CreateSession: %v", err)
	}
	if got, err := s.Session(ctx, ses.Key); err != nil || got.User != ses.User {
		t.Errorf("Session: %+v, %v", got, err)
	}
	if err := s.DeleteSession(ctx, ses.Key); err != nil {
		t.Errorf("DeleteSession: %v", err)
	}
	if err := s.DeleteSessionsOf(ctx, ses.User); err != nil {
		t.Errorf("DeleteSessionsOf: %v", err)
	}
}

func TestScriptsAreSentAgainAfterAFlush(t *testing.T) {
	t.Parallel()
	for _, cfg := range []string{"standalone", "cluster"} {
		t.Run(cfg, func(t *testing.T) {
			t.Parallel()
			url := serverstest.Redis(t).URL()
			if cfg == "cluster" {
				url = serverstest.Cluster(t).URL()
			}
			s := openStore(t, redis.Config{URL: url, Prefix: unique()})
			opts, err := redis.ParseURL(url)
			if err != nil {
				t.Fatal(err)
			}
			c := goredis.NewUniversalClient(opts)
			defer c.Close()
			for range 3 {
				useAll(t, s)
				if err := c.ScriptFlush(t.Context()).Err(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// fill makes sure that the pool holds connections.
func fill(t testing.TB, s *redis.Store) {
	t.Helper()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for range 20 {
				if _, _, err := s.GetPage(t.Context(), "none"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// TestARestartHeals: once the server is back, idle connections from before do not
// show, but behind TLS, where the client cannot see that they are closed.
func TestARestartHeals(t *testing.T) {
	t.Parallel()
	for _, tls := range []bool{false, true} {
		for name, end := range map[string]func(*servers.Redis) error{"stop": (*servers.Redis).Stop, "kill": (*servers.Redis).Kill} {
			if tls {
				name += "-tls"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				r := serverstest.OwnRedis(t, servers.RedisConfig{TLS: tls})
				url := r.URL()
				if tls {
					url += "?tls_ca=" + r.CAFile()
				}
				s := newStore(t, url)
				useAll(t, s)
				fill(t, s)
				if err := end(r); err != nil {
					t.Fatal(err)
				}
				if err := r.Start(); err != nil {
					t.Fatal(err)
				}
				failed := 0
				for range 100 {
					if _, err := flashgate.Allow(t.Context(), s, "k", day); err != nil {
						wantCode(t, err, flashgate.CodeUnavailable, "Allow")
						failed++
					}
				}
				if !tls && failed > 0 || failed > 30 {
					t.Errorf("%d of 100 calls failed after the restart", failed)
				}
				useAll(t, s)
				fill(t, s)
			})
		}
	}
}

// TestAFailoverHeals: without a restart the Store finds the new primary.
func TestAFailoverHeals(t *testing.T) {
	t.Parallel()
	trio := serverstest.OwnSentinel(t)
	a, b := newStore(t, trio.URL()), newStore(t, trio.URL())
	useAll(t, a)
	useAll(t, b)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := trio.Failover(ctx); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*redis.Store{a, b} {
		eventually(t, "the new primary is written", func() bool { return s.SetPage(t.Context(), "p", nil, time.Hour) == nil })
		useAll(t, s)
	}
	quick(t, a)
}

// TestAServerThatIsAwayShowsInTime: refused, silent, and in the middle of calls.
func TestAServerThatIsAwayShowsInTime(t *testing.T) {
	t.Parallel()
	r := serverstest.OwnRedis(t, servers.RedisConfig{})
	s := openStore(t, redis.Config{URL: r.URL(), Timeout: redis.DefaultTimeout})
	calls := map[string]func(ctx context.Context) error{
		"Check":   s.Check,
		"Allow":   func(ctx context.Context) error { _, err := flashgate.Allow(ctx, s, "k", day); return err },
		"Take":    func(ctx context.Context) error { _, _, err := s.Take(ctx, "k"); return err },
		"Swap":    func(ctx context.Context) error { _, _, err := s.CompareAndSwap(ctx, "k", nil, nil); return err },
		"Session": func(ctx context.Context) error { _, err := s.Session(ctx, "k"); return err },
		"Clear":   s.ClearPages,
		"Delete":  func(ctx context.Context) error { return s.DeleteSession(ctx, "k") },
	}
	away := func(how string) {
		t.Helper()
		var all sync.WaitGroup
		for name, call := range calls {
			all.Go(func() {
				begun := time.Now()
				wantCode(t, call(t.Context()), flashgate.CodeUnavailable, name+", "+how)
				if took := time.Since(begun); took > redis.DefaultTimeout+time.Second {
					t.Errorf("%s, %s: took %v", name, how, took)
				}
			})
		}
		all.Wait()
	}
	back := func() {
		t.Helper()
		eventually(t, "the server is used again", func() bool { return s.Check(t.Context()) == nil })
		useAll(t, s)
	}
	useAll(t, s)
	if err := r.Pause(); err != nil {
		t.Fatal(err)
	}
	away("paused")
	if err := r.Resume(); err != nil {
		t.Fatal(err)
	}
	back()
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	away("killed")
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	back()
}

// TestLostReplies: what may be repeated is, and the rest says so and happens once.
func TestLostReplies(t *testing.T) {
	t.Parallel()
	// A server of its own: on the shared one another test flushes the scripts, and
	// then the reply that is lost may be a NOSCRIPT.
	p := newProxy(t, serverstest.OwnRedis(t, servers.RedisConfig{}).Addr())
	s := newStore(t, p.URL())
	ctx := t.Context()
	rate := flashgate.Rate{Limit: 10, Window: time.Hour}
	if _, err := flashgate.Allow(ctx, s, "k", rate); err != nil {
		t.Fatal(err)
	}
	p.CutReply("evalsha")
	_, err := flashgate.Allow(ctx, s, "k", rate)
	wantCode(t, err, flashgate.CodeUnavailable, "Allow without a reply")
	if v, err := flashgate.Allow(ctx, s, "k", rate); err != nil || v.Remaining != 7 {
		t.Errorf("the third Allow: %+v, %v, want 7 remaining", v, err)
	}
	p.CutReply("\r\nset\r\n")
	if err := s.Put(ctx, "k", []byte("v"), time.Hour); err != nil {
		t.Errorf("Put without a reply: %v", err)
	}
	p.CutReply("getdel")
	_, ok, err := s.Take(ctx, "k")
	wantCode(t, err, flashgate.CodeUnavailable, "Take without a reply")
	if ok {
		t.Error("a Take without a reply gave something")
	}
	if _, ok, err := s.Take(ctx, "k"); ok || err != nil {
		t.Errorf("the second Take: %v, %v", ok, err)
	}
	if err := s.Put(ctx, "k", []byte("v"), time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.CompareAndSwap(ctx, "k", []byte("x"), nil); err != nil { // the server knows the script now
		t.Fatal(err)
	}
	p.CutReply("evalsha")
	if before, ok, err := s.CompareAndSwap(ctx, "k", []byte("v"), []byte("mine")); string(before) != "mine" || !ok || err != nil {
		t.Errorf("CompareAndSwap without a reply: %q, %v, %v; want what it wrote itself", before, ok, err)
	}
	p.CutReply("\r\nget\r\n")
	if _, _, err := s.GetPage(ctx, "k"); err != nil {
		t.Errorf("GetPage without a reply: %v", err)
	}
}
