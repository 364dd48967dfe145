package servers_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"
	"testing"
	"time"

	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"

	"github.com/redis/go-redis/v9"
)

func redisClient(t *testing.T, r *servers.Redis) *redis.Client {
	t.Helper()
	opts, err := redis.ParseURL(r.URL())
	if err != nil {
		t.Fatal(err)
	}
	if r.CAFile() != "" {
		pem, err := os.ReadFile(r.CAFile())
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		opts.TLSConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	opts.MaxRetries = -1
	client := redis.NewClient(opts)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func TestRedisComesBackWithItsData(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]servers.RedisConfig{
		"plain":    {Appendonly: "always"},
		"password": {Appendonly: "always", Password: "p@ss/w:rd"},
		"tls":      {Appendonly: "always", TLS: true, Password: "secret"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := serverstest.OwnRedis(t, cfg)
			if got, want := strings.HasPrefix(r.URL(), "rediss://"), cfg.TLS; got != want {
				t.Errorf("URL %s", r.URL())
			}
			if err := redisClient(t, r).Set(t.Context(), "k", "v", 0).Err(); err != nil {
				t.Fatal(err)
			}
			for _, end := range []func() error{r.Kill, r.Stop} {
				url := r.URL()
				if err := end(); err != nil {
					t.Fatal(err)
				}
				if !servers.PortFree(r.Port()) {
					t.Error("still listening")
				}
				if err := r.Start(); err != nil {
					t.Fatal(err)
				}
				if got, err := redisClient(t, r).Get(t.Context(), "k").Result(); got != "v" || err != nil || r.URL() != url {
					t.Errorf("got %q, %v from %s, before %s", got, err, r.URL(), url)
				}
			}
			checkClosed(t, r)
		})
	}
}

func TestRedisWithoutAFileComesBackEmpty(t *testing.T) {
	t.Parallel()
	r := serverstest.OwnRedis(t, servers.RedisConfig{Appendonly: "off"})
	if err := redisClient(t, r).Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	if n, err := redisClient(t, r).DBSize(t.Context()).Result(); n != 0 || err != nil {
		t.Errorf("%d keys, %v", n, err)
	}
}

func TestRedisWipe(t *testing.T) {
	t.Parallel()
	r := serverstest.OwnRedis(t, servers.RedisConfig{})
	if err := redisClient(t, r).Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := r.Wipe(); err == nil {
		t.Error("a running Redis was wiped")
	}
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := r.Wipe(); err != nil {
		t.Fatal(err)
	}
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	if n, err := redisClient(t, r).DBSize(t.Context()).Result(); n != 0 || err != nil {
		t.Errorf("%d keys, %v", n, err)
	}
}

func TestRedisPauses(t *testing.T) {
	t.Parallel()
	r := serverstest.OwnRedis(t, servers.RedisConfig{})
	client := redisClient(t, r)
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if err := r.Pause(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := redisClient(t, r).Ping(ctx).Err(); err == nil {
		t.Error("a paused Redis answered")
	}
	if err := r.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Error(err)
	}
	// A paused server can be stopped and killed as well.
	for _, end := range []func() error{r.Stop, r.Kill} {
		if err := r.Start(); err != nil {
			t.Fatal(err)
		}
		if err := r.Pause(); err != nil {
			t.Fatal(err)
		}
		if err := end(); err != nil {
			t.Error(err)
		}
	}
	if err := r.Pause(); err == nil {
		t.Error("a server that does not run was paused")
	}
}

func TestTwoRedisAtTheSameTime(t *testing.T) {
	t.Parallel()
	a, b := serverstest.OwnRedis(t, servers.RedisConfig{}), serverstest.OwnRedis(t, servers.RedisConfig{})
	if a.URL() == b.URL() || a.Dir() == b.Dir() {
		t.Fatalf("%s %s and %s %s", a.URL(), a.Dir(), b.URL(), b.Dir())
	}
	if err := redisClient(t, a).Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := redisClient(t, b).Get(t.Context(), "k").Err(); err != redis.Nil {
		t.Errorf("the other Redis answers %v", err)
	}
}

// A port that is taken is an error at once when the caller named it, and says so.
func TestANamedPortThatIsTaken(t *testing.T) {
	t.Parallel()
	a := serverstest.OwnRedis(t, servers.RedisConfig{})
	b, err := servers.StartRedis(servers.RedisConfig{Port: a.Port()})
	if err == nil {
		_ = b.Close()
		t.Fatal("two servers on one port")
	}
	if !strings.Contains(err.Error(), "port was taken") {
		t.Error(err)
	}
}

func TestAServerThatDoesNotStartShowsItsLog(t *testing.T) {
	t.Parallel()
	r, err := servers.StartRedis(servers.RedisConfig{Args: []string{"--no-such-option", "1"}})
	if err == nil {
		_ = r.Close()
		t.Fatal("started")
	}
	if !strings.Contains(err.Error(), "no-such-option") {
		t.Error(err)
	}
}
