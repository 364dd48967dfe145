package app_test

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"flashgate"
	"flashgate/caddymodule/app"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { serverstest.Main(m) }

// nobody is an address where nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// stateOn is an app whose short-lived state is on a Redis.
func stateOn(dir, url string) string {
	b, err := json.Marshal(map[string]any{"data_dir": dir, "state": map[string]string{"backend": "redis", "url": url}})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// Apps with one URL share the client, and what it knows of its server; nothing stays
// behind when the last has gone.
func TestAServerThatIsAway(t *testing.T) {
	before := goleak.IgnoreCurrent()
	url := "redis://user:hunter2@" + nobody(t)
	one, two := must(t, stateOn(t.TempDir(), url)), must(t, stateOn(t.TempDir(), url))
	rate := flashgate.Rate{Limit: 1, Window: time.Hour}
	_, err := flashgate.Allow(t.Context(), one.Limiter(), "k", rate)
	if flashgate.ErrorCode(err) != flashgate.CodeUnavailable || app.KnownAway(err) {
		t.Errorf("the first call: %v", err)
	}
	for name, a := range map[string]*app.App{"again": one, "another app": two} {
		start := time.Now()
		_, err := flashgate.Allow(t.Context(), a.Limiter(), "k", rate)
		if flashgate.ErrorCode(err) != flashgate.CodeUnavailable || !app.KnownAway(err) || time.Since(start) > time.Second {
			t.Errorf("%s: %v after %s", name, err, time.Since(start))
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error has the password: %v", err)
		}
	}
	for _, s := range one.Check(t.Context()) {
		if (s.Err != nil) != (s.Name == "state") {
			t.Errorf("%s (%s): %v", s.Name, s.Module, s.Err)
		}
	}
	for _, a := range []*app.App{one, two} {
		if err := a.Cleanup(); err != nil {
			t.Error(err)
		}
	}
	// The pages' library cleans up in the background until its memory is collected.
	goleak.VerifyNone(t, before, goleak.IgnoreAnyFunction("github.com/maypok86/otter/v2.(*cache[...]).periodicCleanUp"))
}

// The circuit closes by itself when the server is back.
func TestAServerComesBack(t *testing.T) {
	r := serverstest.OwnRedis(t, servers.RedisConfig{})
	a := must(t, stateOn(t.TempDir(), r.URL()))
	put := func() error { return a.OneTime().Put(t.Context(), "k", []byte("v"), time.Minute) }
	if err := put(); err != nil {
		t.Fatal(err)
	}
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if err := put(); flashgate.ErrorCode(err) != flashgate.CodeUnavailable || app.KnownAway(err) != (i == 1) {
			t.Errorf("call %d: %v", i+1, err)
		}
	}
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		err := put()
		if err == nil {
			break
		}
		if !app.KnownAway(err) || time.Now().After(deadline) {
			t.Fatalf("while it comes back: %v", err)
		}
	}
}

// A configuration is checked without a server, and its mistakes are named without its
// secrets.
func TestBadServers(t *testing.T) {
	for url, want := range map[string]string{
		"":                             "redis is empty: leave the line out",
		"{env.FLASHGATE_NOBODY}":       "redis is empty: leave the line out",
		"host:6379":                    "redis is not a URL such as redis://user:password@host:6379/0",
		"redis://u:hunter2@a,b":        "names several hosts",
		"redis://u:hunter2@a?bad=x":    "is not a parameter of a Redis URL",
		"redis://u:hunter2@a?tls_ca=x": "needs TLS",
	} {
		_, err := provision(t, stateOn(t.TempDir(), url))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(fmt.Sprint(err), "hunter2") {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
}
