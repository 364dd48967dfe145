// Package serverstest gives tests their private real servers: shared ones, started
// when the first test asks and closed by Main, and ones of a test's own, closed at
// the test's end.
//
// Tests of every package may import it; nothing else does. A shared server's data is
// shared too: a test takes a key prefix, a queue name or a Database of its own. A
// test that stops, kills or pauses a server takes one of its own.
package serverstest

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"flashgate/internal/servers"
)

// shared is one server that all tests of the process use.
type shared[T interface{ Close() error }] struct {
	once   sync.Once
	start  func() (T, error)
	server T
	err    error
}

// get starts the server at its first use. Every test learns why it did not start.
func (s *shared[T]) get(t testing.TB) T {
	t.Helper()
	s.once.Do(func() {
		s.server, s.err = s.start()
		if s.err == nil {
			closers.add(s.server.Close)
		}
	})
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.server
}

var (
	sharedRedis    = shared[*servers.Redis]{start: func() (*servers.Redis, error) { return servers.StartRedis(servers.RedisConfig{}) }}
	sharedSentinel = shared[*servers.Sentinel]{start: func() (*servers.Sentinel, error) { return servers.StartSentinel(servers.SentinelConfig{}) }}
	sharedCluster  = shared[*servers.Cluster]{start: func() (*servers.Cluster, error) { return servers.StartCluster(servers.ClusterConfig{}) }}
	sharedRabbitMQ = shared[*servers.RabbitMQ]{start: func() (*servers.RabbitMQ, error) { return servers.StartRabbitMQ(servers.RabbitMQConfig{}) }}
	sharedMariaDB  = shared[*servers.MariaDB]{start: func() (*servers.MariaDB, error) { return servers.StartMariaDB(servers.MariaDBConfig{}) }}
)

// closerList is what Main closes.
type closerList struct {
	mu  sync.Mutex
	all []func() error
}

var closers closerList

func (c *closerList) add(f func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, f)
}

func (c *closerList) closeAll() (failed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.all {
		if err := f(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			failed = true
		}
	}
	c.all = nil
	return failed
}

// Main runs the tests, closes the shared servers and exits. A package that uses
// shared servers calls it from TestMain.
func Main(m *testing.M) { os.Exit(Closing(m).Run()) }

// Closing is Main without the exit, for a package that looks for leaks as well:
// goleak.VerifyTestMain(serverstest.Closing(m)).
func Closing(m *testing.M) interface{ Run() int } { return closing{m} }

type closing struct{ m *testing.M }

func (c closing) Run() int {
	code := c.m.Run()
	if closers.closeAll() && code == 0 {
		return 1
	}
	return code
}

// own closes a test's server at the test's end.
func own[T interface{ Close() error }](t testing.TB, server T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return server
}

// Redis is the shared Redis: append-only file synced every second, no password.
func Redis(t testing.TB) *servers.Redis { t.Helper(); return sharedRedis.get(t) }

// OwnRedis starts a Redis for this test alone.
func OwnRedis(t testing.TB, cfg servers.RedisConfig) *servers.Redis {
	t.Helper()
	r, err := servers.StartRedis(cfg)
	return own(t, r, err)
}

// Sentinel is the shared Sentinel trio. A failover of it is felt by every test that
// uses it.
func Sentinel(t testing.TB) *servers.Sentinel { t.Helper(); return sharedSentinel.get(t) }

// OwnSentinel starts a Sentinel trio for this test alone.
func OwnSentinel(t testing.TB) *servers.Sentinel {
	t.Helper()
	s, err := servers.StartSentinel(servers.SentinelConfig{})
	return own(t, s, err)
}

// Cluster is the shared Redis Cluster.
func Cluster(t testing.TB) *servers.Cluster { t.Helper(); return sharedCluster.get(t) }

// RabbitMQ is the shared RabbitMQ.
func RabbitMQ(t testing.TB) *servers.RabbitMQ { t.Helper(); return sharedRabbitMQ.get(t) }

// OwnRabbitMQ starts a RabbitMQ for this test alone; that takes seconds.
func OwnRabbitMQ(t testing.TB) *servers.RabbitMQ {
	t.Helper()
	r, err := servers.StartRabbitMQ(servers.RabbitMQConfig{})
	return own(t, r, err)
}

// MariaDB is the shared MariaDB.
func MariaDB(t testing.TB) *servers.MariaDB { t.Helper(); return sharedMariaDB.get(t) }

// OwnMariaDB starts a MariaDB for this test alone; that takes seconds.
func OwnMariaDB(t testing.TB) *servers.MariaDB {
	t.Helper()
	m, err := servers.StartMariaDB(servers.MariaDBConfig{})
	return own(t, m, err)
}

// Database makes an empty database on the shared MariaDB, returns its data source
// name, and drops it at the test's end.
func Database(t testing.TB) string {
	t.Helper()
	m := MariaDB(t)
	name := "test_" + strings.ToLower(rand.Text())
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := m.CreateDatabase(ctx, name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := m.DropDatabase(ctx, name); err != nil {
			t.Error(err)
		}
	})
	return m.DSN(name)
}
