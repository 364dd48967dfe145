package redis_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/redis"
)

// After a load with everything that writes — the three algorithms, costs, leases, requests
// with several limits of which one refuses (in a Cluster the others get back what they
// gave), dry runs, rates that change, resets, bans that are set, set anew and taken back —
// no key of the limiter is without an end.
func TestEveryCounterEnds(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, url string) {
		prefix := unique()
		gateways := []*redis.Store{openStore(t, redis.Config{URL: url, Prefix: prefix}), openStore(t, redis.Config{URL: url, Prefix: prefix})}
		rates := []flashgate.Rate{
			{Limit: 3, Window: time.Hour, Algorithm: flashgate.SlidingWindow}, {Limit: 3, Window: time.Hour, Algorithm: flashgate.FixedWindow},
			{Limit: 3, Window: time.Hour, Algorithm: flashgate.TokenBucket}, {Limit: 9, Window: time.Hour, Algorithm: flashgate.TokenBucket, Burst: 4},
			{Limit: 3, Window: 2 * time.Hour},
		}
		var wg sync.WaitGroup
		for worker := range 8 {
			wg.Go(func() {
				g := gateways[worker%2]
				for i := range 40 {
					rate := rates[(worker+i)%len(rates)]
					cs := []flashgate.Charge{
						{Key: fmt.Sprint("each ", worker, " ", i), Rate: rate, Cost: 1 + i%2}, // has room
						{Key: fmt.Sprint("shared ", i%5), Rate: rate},                         // soon has none
						{Key: fmt.Sprint("tried ", i%5), Rate: rate, Advisory: true},
					}
					if i%4 == 0 {
						cs = []flashgate.Charge{{Key: fmt.Sprint("leased ", i%8), Rate: flashgate.Rate{Limit: 100, Window: time.Hour, Algorithm: rate.Algorithm}, Lease: 10}}
					}
					if err := g.Charge(t.Context(), cs); err != nil {
						t.Error(err)
						return
					}
					mark := flashgate.Mark{Key: fmt.Sprint("mark ", i%6), Ban: i%2 == 0, Until: time.Now().Add(time.Duration(1+i%3) * time.Hour)}
					var err error
					switch i % 10 {
					case 3, 7, 8:
						err = g.SetMark(t.Context(), mark)
					case 5:
						err = g.DeleteMark(t.Context(), mark.Key)
					case 9:
						err = g.Reset(t.Context(), cs[0].Key)
					}
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		kinds := map[string]int{}
		for name, ttl := range keysOf(t, url, prefix) {
			if ttl <= 0 || ttl > 3*time.Hour+2*time.Second {
				t.Errorf("%q ends in %v", name, ttl)
			}
			for _, kind := range []string{"each", "shared", "tried", "leased", "marks"} {
				if strings.Contains(name, kind) {
					kinds[kind]++
				}
			}
		}
		// In a Cluster who was refused has a counter that was given everything back, elsewhere none.
		if kinds["each"] == 0 || kinds["shared"] != 5 || kinds["tried"] != 5 || kinds["leased"] != 2 || kinds["marks"] != 1 {
			t.Errorf("the keys are %v", kinds)
		}
	})
}
