package main_test

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"

	goredis "github.com/redis/go-redis/v9"
)

// redisFaults are the ways in which Redis loses writes.
func (c *campaign) redisFaults() []misfortune {
	return []misfortune{
		{"Redis emptied", 1, c.emptied},
		{"Redis flushed", 1, c.flushed},
		{"Redis set back", 1, c.setBack},
		{"Redis failed over and back", 1, c.failedOver},
		{"Redis emptied, two reconcilers", 1, c.twoReconcilers},
	}
}

// emptied: Redis comes back without its files.
func (c *campaign) emptied(t *testing.T) {
	must(t, c.redis.Kill())
	c.count.killed(toRedis)
	c.count.lost()
	must(t, c.redis.Wipe())
	must(t, c.redis.Start())
}

// flushed: somebody types FLUSHALL. The server stays who it is.
func (c *campaign) flushed(t *testing.T) {
	rdb := c.redis.Client()
	defer rdb.Close()
	c.count.lost()
	must(t, rdb.FlushAll(t.Context()).Err())
}

// setBack: Redis comes back from files that are some seconds old, with the epoch intact.
func (c *campaign) setBack(t *testing.T) {
	if c.older == "" {
		c.older = copyOf(t, c.redis)
		pause(t.Context(), time.Second)
	}
	c.count.lost()
	putBack(t, c.redis, c.older)
	c.count.killed(toRedis)
}

// failedOver: a replica takes over, and later the first server again. Each time the
// last writes are lost, and the first server never was another process: its run id is
// the same as before.
func (c *campaign) failedOver(t *testing.T) {
	if c.replica == nil {
		c.replica = serverstest.OwnRedis(t, servers.RedisConfig{})
	}
	c.follow(t, c.replica, c.redis)
	c.count.lost()
	c.promote(t, c.replica)
	c.wait(t, 3*time.Second)
	c.follow(t, c.redis, c.replica)
	c.count.lost()
	c.promote(t, c.redis)
}

// follow makes one server the replica of another and waits until it has everything.
func (c *campaign) follow(t *testing.T, replica, of *servers.Redis) {
	t.Helper()
	rdb, primary := replica.Client(), of.Client()
	defer rdb.Close()
	defer primary.Close()
	must(t, rdb.ReplicaOf(t.Context(), "127.0.0.1", strconv.Itoa(of.Port())).Err())
	eventually(t, "the replica has what its primary has", func() bool {
		mine, err := info(t, rdb)
		return err == nil && mine["master_link_status"] == "up" && mine["master_sync_in_progress"] == "0"
	})
}

func info(t *testing.T, rdb *goredis.Client) (map[string]string, error) {
	text, err := rdb.Info(t.Context(), "replication").Result()
	out := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			out[name] = value
		}
	}
	return out, err
}

// promote makes a replica the primary and sends everybody there a moment later: what is
// written to the other one in between is lost.
func (c *campaign) promote(t *testing.T, r *servers.Redis) {
	t.Helper()
	rdb := r.Client()
	defer rdb.Close()
	must(t, rdb.ReplicaOf(t.Context(), "no", "one").Err())
	c.wait(t, 300*time.Millisecond)
	must(t, c.links.turn(toRedis, r.Addr()))
}

// twoReconcilers: Redis is emptied, and beside the workers an operator has two commands
// reconcile the same sale.
func (c *campaign) twoReconcilers(t *testing.T) {
	c.emptied(t)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			// Whoever is late says so, or finds an open gate.
			if out, err := c.orderworker(t, "reconcile", string(c.plenty)); err != nil && strings.Contains(out, "panic") {
				t.Errorf("reconcile: %v\n%s", err, out)
			}
		})
	}
	wg.Wait()
}

// orderworker runs an operator's command beside the site.
func (c *campaign) orderworker(t *testing.T, args ...string) (string, error) {
	t.Helper()
	w := c.Workers[0]
	cmd := exec.CommandContext(t.Context(), w.Program, args...)
	cmd.Dir = w.Dir
	for _, e := range w.Env {
		if !strings.HasPrefix(e, "FLASHGATE_FAILPOINTS=") { // the command is nobody's victim
			cmd.Env = append(cmd.Env, e)
		}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("orderworker %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), err
}
