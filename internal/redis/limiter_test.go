package redis_test

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"flashgate"
	"flashgate/internal/ratelimit"
	"flashgate/internal/servers/serverstest"
)

// chargeScript is the script on a clock of the test's: its last two arguments.
func chargeScript(t *testing.T) *goredis.Script {
	t.Helper()
	file, err := os.ReadFile("lua/limit_charge.lua")
	if err != nil {
		t.Fatal(err)
	}
	source := string(file)
	for from, to := range map[string]string{"redis.call('TIME')": "{ARGV[#ARGV-1], ARGV[#ARGV]}", "at <= #ARGV do": "at <= #ARGV - 2 do"} {
		if strings.Count(source, from) != 1 {
			t.Fatalf("the script has %q not exactly once", from)
		}
		source = strings.Replace(source, from, to, 1)
	}
	return goredis.NewScript(source)
}

// TestTheLimiterAnswersAsInMemory compares each answer of the script with package
// ratelimit.
func TestTheLimiterAnswersAsInMemory(t *testing.T) {
	t.Parallel()
	script := chargeScript(t)
	c := serverstest.Redis(t).Client()
	defer c.Close()
	r := rand.New(rand.NewPCG(5, 6))
	algorithms := []flashgate.Algorithm{flashgate.SlidingWindow, flashgate.FixedWindow, flashgate.TokenBucket}
	refused := map[flashgate.Algorithm]int{}
	for i, algorithm := range algorithms {
		number := i + 1
		for range 60 {
			key, s := "test:"+unique(), ratelimit.State{}
			rate := flashgate.Rate{Limit: 1 + r.IntN(20), Window: time.Duration(10_000+r.IntN(60_000)) * time.Millisecond, Algorithm: algorithm}
			if algorithm == flashgate.TokenBucket && r.IntN(2) == 0 {
				rate.Burst = 1 + r.IntN(30)
			}
			now := time.Now().Truncate(time.Microsecond)
			for range 60 {
				units := 1 + r.IntN(3)
				var want flashgate.Verdict
				s, want = s.Take(rate, units, now.UnixNano())
				reply, err := script.Run(t.Context(), c, []string{key}, 1, 1, number, rate.Limit, rate.Window.Microseconds(), rate.AtOnce(), units, 0, 0,
					now.Unix(), now.Nanosecond()/1000).Int64Slice()
				if err != nil {
					t.Fatal(err)
				}
				got := flashgate.Verdict{Allowed: reply[0] == 1, Remaining: int(reply[1]),
					RetryAfter: time.Duration(reply[2]) * time.Microsecond, Reset: time.Duration(reply[3]) * time.Microsecond}
				// One millisecond for the rounding of a fraction that is one on the dot.
				if got.Allowed != want.Allowed || got.Remaining != want.Remaining ||
					(got.RetryAfter-want.RetryAfter).Abs() > time.Millisecond || (got.Reset-want.Reset).Abs() > time.Millisecond {
					t.Fatalf("%+v, %d units: %+v, want %+v", rate, units, got, want)
				}
				if !want.Allowed {
					refused[algorithm]++
				}
				now = now.Add(time.Duration(r.Int64N(int64(rate.Window)/4 + 1))).Truncate(time.Microsecond)
				if r.IntN(20) == 0 {
					now = now.Add(rate.Window)
				}
				if r.IntN(20) == 0 {
					now = now.Add(-time.Duration(1+r.IntN(5)) * time.Second) // a clock that is set back
				}
			}
		}
		if refused[algorithm] == 0 {
			t.Errorf("%s refused nothing", algorithm)
		}
	}
}

// What is no counter counts nothing, and harms nobody who is asked about in the same call.
func TestWhatIsNoCounter(t *testing.T) {
	t.Parallel()
	script := chargeScript(t)
	c := serverstest.Redis(t).Client()
	defer c.Close()
	now := time.Now()
	for _, value := range []string{"", "x", "1 2 3 4 -4", "1.5 2 3 4 5", "1 2 3 4 5 6"} {
		keys := []string{"test:" + unique(), "test:" + unique()}
		if err := c.Set(t.Context(), keys[0], value, time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
		charge := func(key int) []any { return []any{1, key, 1, 5, time.Minute.Microseconds(), 5, 2, 0, 0} }
		args := append(append(charge(1), charge(2)...), now.Unix(), now.Nanosecond()/1000)
		got, err := script.Run(t.Context(), c, keys, args...).Int64Slice()
		if err != nil || len(got) != 10 || got[0] != 1 || got[1] != 3 || got[5] != 1 || got[6] != 3 {
			t.Errorf("%q: %v, %v", value, got, err)
		}
	}
}
