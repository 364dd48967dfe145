package redis_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/redis"
	"flashgate/internal/servers/serverstest"

	goredis "github.com/redis/go-redis/v9"
)

// In a Cluster a request takes from one limit while another one refuses it, and gives that
// back. Who came in between was refused, on another gateway: that must not be remembered
// until the window is over.
func TestARefundIsHeardOf(t *testing.T) {
	t.Parallel()
	url := serverstest.Cluster(t).URL()
	prefix := unique()
	here, there := openStore(t, redis.Config{URL: url, Prefix: prefix}), openStore(t, redis.Config{URL: url, Prefix: prefix})
	day := flashgate.Rate{Limit: 1, Window: 24 * time.Hour}
	passes := func(s *redis.Store, keys ...string) bool {
		t.Helper()
		var cs []flashgate.Charge
		for _, key := range keys {
			cs = append(cs, flashgate.Charge{Key: key, Rate: day})
		}
		if err := s.Charge(t.Context(), cs); err != nil {
			t.Fatal(err)
		}
		return flashgate.Passed(cs)
	}
	// Who begins to listen forgets what it knows, once: see TestRefusalsAreRemembered.
	for range 2 {
		passes(there, "warm")
		eventually(t, "it listens", func() bool { return here.Reset(t.Context(), "warm") == nil && passes(there, "warm") })
	}
	if !passes(there, "full") || !passes(here, "k") || passes(there, "k") {
		t.Fatal("the limits do not hold")
	}
	opts, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c := goredis.NewUniversalClient(opts)
	defer c.Close()
	if n, err := c.Del(t.Context(), prefix+":limit:{k}").Result(); n != 1 || err != nil { // there is room again, and nobody knows
		t.Fatal(n, err)
	}
	if passes(there, "k") {
		t.Fatal("the refusal is not remembered")
	}
	if passes(here, "k", "full") {
		t.Fatal("the full limit does not hold")
	}
	eventually(t, "the refund is heard of", func() bool { return passes(there, "k") })
}

// A refund that comes when the next fixed window has begun gives nothing back: that window
// has not counted the charge, and would let one more pass.
func TestARefundIsOfItsWindow(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("lua/limit_refund.lua")
	if err != nil {
		t.Fatal(err)
	}
	script := goredis.NewScript(string(source))
	c := serverstest.Redis(t).Client()
	defer c.Close()
	window := time.Hour.Microseconds()
	for name, x := range map[string]struct {
		age, reset time.Duration // of the window; of the charge
		back       bool
	}{
		"the same window": {50 * time.Minute, 10*time.Minute + time.Second, true},
		"the next window": {time.Second, 5 * time.Millisecond, false},
	} {
		key := "test:" + unique()
		start := time.Now().Add(-x.age).UnixMicro()
		state := func(used int) string { return fmt.Sprintf("%d %d %d %d 0", window*4+2, start, start, used) }
		if err := c.Set(t.Context(), key, state(3), time.Hour).Err(); err != nil {
			t.Fatal(err)
		}
		back, err := script.Run(t.Context(), c, []string{key}, 1, 2, 5, window, 5, 2, 0, 0, x.reset.Microseconds()).Int()
		want := map[bool]string{true: state(1), false: state(3)}[x.back]
		if got := c.Get(t.Context(), key).Val(); err != nil || (back == 1) != x.back || got != want {
			t.Errorf("%s: %d, %v, %q, want %q", name, back, err, got, want)
		}
	}
}
