package servers_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"

	"github.com/redis/go-redis/v9"
)

func sentinelClient(t *testing.T, s *servers.Sentinel) *redis.Client {
	t.Helper()
	client := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: servers.SentinelName, SentinelAddrs: s.Addrs()})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// Both ways to another primary: asked for, and after a crash. A client that knows
// the sentinels alone finds it, with the data.
func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	s := serverstest.OwnSentinel(t)
	client, url := sentinelClient(t, s), s.URL()
	if err := client.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	crash := func(ctx context.Context) error {
		p, err := s.Primary(ctx)
		if err != nil {
			return err
		}
		return p.Kill()
	}
	for name, end := range map[string]func(context.Context) error{"asked": s.Failover, "crash": crash} {
		old, err := s.Primary(ctx)
		if err != nil {
			t.Fatal(name, err)
		}
		// The write has reached the replicas before one of them takes over.
		one := old.Client()
		if err := one.Do(ctx, "WAIT", 1, 30000).Err(); err != nil {
			t.Fatal(name, err)
		}
		_ = one.Close()
		if err := end(ctx); err != nil {
			t.Fatal(name, err)
		}
		now, err := s.Primary(ctx)
		eventually(t, "another primary", func() error {
			if now == old || err != nil {
				now, err = s.Primary(ctx)
				return errStillOld
			}
			return nil
		})
		if s.URL() != url {
			t.Errorf("%s: the URL is now %s", name, s.URL())
		}
		eventually(t, name+": the client follows", func() error {
			if err := client.Set(ctx, "written after "+name, "1", 0).Err(); err != nil {
				return err
			}
			one := now.Client()
			defer one.Close()
			return one.Get(ctx, "written after "+name).Err()
		})
		if got, err := client.Get(ctx, "k").Result(); got != "v" || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if err := old.Start(); err != nil { // comes back as a replica
			t.Fatal(err)
		}
	}
	ids, nodes := s.Processes(), s.Nodes()
	if len(ids) != 6 {
		t.Errorf("%d processes", len(ids))
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	checkGone(t, ids, nodes)
}

var errStillOld = errors.New("the old primary")

func checkGone(t *testing.T, ids []servers.Process, nodes []*servers.Redis) {
	t.Helper()
	for _, id := range ids {
		if id.Alive() {
			t.Errorf("%s (pid %d) runs after Close", id.Name, id.PID)
		}
	}
	for _, n := range nodes {
		if _, err := os.Stat(n.Dir()); !os.IsNotExist(err) {
			t.Errorf("%s: %v", n.Dir(), err)
		}
	}
}
