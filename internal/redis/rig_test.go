package redis_test

import (
	"crypto/rand"
	"flag"
	"strings"
	"testing"

	"flashgate/internal/redis"
	"flashgate/internal/servers/serverstest"
)

// TestMain lets more tests run at once than there are processors: most of them wait
// for a clock. The command line has the last word.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	serverstest.Main(m)
}

// topology is one way to run Redis. The server is shared by all tests of the
// package and started when the first one asks.
type topology struct {
	name string
	url  func(t testing.TB) string
}

func topologies() []topology {
	return []topology{
		{"standalone", func(t testing.TB) string { t.Helper(); return serverstest.Redis(t).URL() }},
		{"sentinel", func(t testing.TB) string { t.Helper(); return serverstest.Sentinel(t).URL() }},
		{"cluster", func(t testing.TB) string { t.Helper(); return serverstest.Cluster(t).URL() }},
	}
}

// everywhere runs a test on each topology, in parallel.
func everywhere(t *testing.T, run func(t *testing.T, url string)) {
	t.Helper()
	for _, top := range topologies() {
		t.Run(top.name, func(t *testing.T) {
			t.Parallel()
			run(t, top.url(t))
		})
	}
}

// newStore opens a Store on a server; it is closed at the test's end.
func newStore(t testing.TB, url string) *redis.Store {
	t.Helper()
	return openStore(t, redis.Config{URL: url})
}

// openStore is patient where cfg does not say otherwise: a machine that is busy with
// other tests is not what they are about.
func openStore(t testing.TB, cfg redis.Config) *redis.Store {
	t.Helper()
	if cfg.Timeout == 0 {
		cfg.Timeout = patience
	}
	s, err := redis.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// unique is a fresh word of letters and digits.
func unique() string { return strings.ToLower(rand.Text()[:16]) }
