package redis_test

import (
	"slices"
	"testing"

	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"
)

const (
	pushA = "redis.call('RPUSH', KEYS[1], 'a') return 'A' .. redis.call('LLEN', KEYS[1])"
	pushB = "redis.call('RPUSH', KEYS[1], 'b') return 'B' .. redis.call('LLEN', KEYS[1])"
)

// TestRunAll: whichever of the scripts the server has forgotten, what runs last runs
// in order, and that is what is answered.
func TestRunAll(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		loaded []string
		calls  []string
		list   []string
		want   []string
	}{
		"none is known":     {nil, []string{pushA, pushB}, []string{"a", "b"}, []string{"A1", "B2"}},
		"all are known":     {[]string{pushA, pushB}, []string{pushA, pushB}, []string{"a", "b"}, []string{"A1", "B2"}},
		"the first is not":  {[]string{pushB}, []string{pushA, pushB}, []string{"b", "a", "b"}, []string{"A2", "B3"}},
		"the second is not": {[]string{pushA}, []string{pushA, pushB}, []string{"a", "b"}, []string{"A1", "B2"}},
		"the middle is not": {[]string{pushA}, []string{pushA, pushB, pushA}, []string{"a", "a", "b", "a"}, []string{"A1", "B3", "A4"}},
		"one alone":         {nil, []string{pushB}, []string{"b"}, []string{"B1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := serverstest.OwnRedis(t, servers.RedisConfig{Appendonly: "off"}).URL()
			s, raw := newStore(t, url), rawClient(t, url)
			for _, src := range c.loaded {
				if err := raw.ScriptLoad(t.Context(), src).Err(); err != nil {
					t.Fatal(err)
				}
			}
			var got []string
			for _, reply := range s.RunAll(t.Context(), "k", c.calls...) {
				text, err := reply.Text()
				if err != nil {
					t.Errorf("reply %d: %v", len(got), err)
				}
				got = append(got, text)
			}
			list := raw.LRange(t.Context(), "k", 0, -1).Val()
			if !slices.Equal(got, c.want) || !slices.Equal(list, c.list) {
				t.Errorf("replies %v, list %v; want %v, %v", got, list, c.want, c.list)
			}
		})
	}
}

// TestRunAllInACluster: sent whole to the node that has the slot.
func TestRunAllInACluster(t *testing.T) {
	t.Parallel()
	s := newStore(t, serverstest.Cluster(t).URL())
	one := "-- " + unique() + "\n" // known to no node
	for range 10 {
		replies := s.RunAll(t.Context(), "{"+unique()+"}", one+pushA, one+pushB)
		for i, want := range []string{"A1", "B2"} {
			if got, err := replies[i].Text(); err != nil || got != want {
				t.Errorf("reply %q, %v; want %q", got, err, want)
			}
		}
	}
}
