package main_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"flashgate/deploy/chaos"
	"flashgate/internal/failpoint"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"
)

// reopened waits until the sale is open in a later epoch than it has been.
func (sc *scene) reopened() {
	sc.t.Helper()
	sc.until(soon, sc.open, "P2: the sale does not open again")
}

func (sc *scene) open() bool {
	v, err := sc.gate.View(sc.t.Context(), sc.sale)
	return err == nil && v.Open
}

// redisOlder: Redis comes back from files that are older than two purchases, with the
// epoch intact. The orders are in the queue and not decided.
func (sc *scene) redisOlder() {
	before, after := []*customer{sc.customer(), sc.customer()}, []*customer{sc.customer(), sc.customer()}
	older := copyOf(sc.t, sc.redis)
	sc.freeze(sc.Workers...)
	for i, c := range before {
		sc.accepted(c, i)
	}
	sc.losses = append(sc.losses, time.Now())
	putBack(sc.t, sc.redis, older)
	answers := map[*customer]chaos.Line{}
	for i, c := range after {
		answers[c] = sc.insist(c, 500*time.Millisecond<<i)
	}
	sc.thaw(sc.Workers...)
	for _, c := range after {
		if !clear(answers[c]) {
			sc.inTheEnd(c)
		}
	}
	sc.end()
}

// redisThereAndBack: a replica takes over, and later the first server again, which has
// not heard of what happened meanwhile. It is the same process as ever.
func (sc *scene) redisThereAndBack() {
	replica := serverstest.OwnRedis(sc.t, servers.RedisConfig{})
	sc.t.Cleanup(func() { must(sc.t, sc.links.turn(toRedis, sc.redis.Addr())) })
	there, here := replica.Client(), sc.redis.Client()
	defer there.Close()
	defer here.Close()
	ctx := context.Background()
	must(sc.t, there.ReplicaOf(ctx, "127.0.0.1", strconv.Itoa(sc.redis.Port())).Err())
	sc.until(soon, func() bool {
		mine, err := info(sc.t, there)
		return err == nil && mine["master_link_status"] == "up" && mine["master_sync_in_progress"] == "0"
	}, "the replica does not get what its primary has")
	// The first replica gives a primary another replication id, which closes the sales
	// that were open before.
	sc.sale = sc.saleOf(sc.t, string(sc.sale)+"-2", 2, 1)

	first, second, third := sc.customer(), sc.customer(), sc.customer()
	sc.accepted(first, 0)
	sc.status(first, soon)
	sc.applied()
	sc.until(soon, func() bool { // as far as the customers' sessions
		n, err := here.Wait(ctx, 1, time.Second).Result()
		return err == nil && n == 1
	}, "the replica stays behind")
	must(sc.t, there.ReplicaOf(ctx, "no", "one").Err())
	must(sc.t, sc.links.turn(toRedis, replica.Addr()))
	sc.reopened()
	sc.inTheEnd(second)
	sc.status(second, soon)
	sc.applied()

	// Back, before the first server has heard anything of its new primary.
	must(sc.t, here.ReplicaOf(ctx, "127.0.0.1", "1").Err())
	must(sc.t, here.ReplicaOf(ctx, "no", "one").Err())
	sc.freeze(sc.Workers...)
	sc.losses = append(sc.losses, time.Now())
	must(sc.t, sc.links.turn(toRedis, sc.redis.Addr()))
	l := sc.insist(third, time.Second)
	sc.thaw(sc.Workers...)
	if !clear(l) {
		sc.inTheEnd(third)
	}
	sc.end()
}

// redisLostWithFullQueue: Redis is lost while a worker stands over an order that is in
// the queue. The sale must stay closed until that one is decided.
func (sc *scene) redisLostWithFullQueue() {
	before, after := sc.customer(), sc.customer()
	sc.arm(sc.t, failpoint.Received, pointStops, sc.Workers...)
	sc.accepted(before, 0)
	first := sc.standsAt(failpoint.Received, sc.Workers...)
	sc.empty()
	l := sc.insist(after, 5*time.Second) // longer than D and half of it, after which a fence is sent
	sc.thaw(first)
	if !clear(l) {
		sc.inTheEnd(after)
	}
	sc.status(before, soon)
	sc.end()
}

// fenceOvertakes: the database refuses an order, which goes back to the queue and comes
// again behind the fence.
func (sc *scene) fenceOvertakes() {
	before, after := sc.customer(), sc.customer()
	sc.refuse(before)
	sc.accepted(before, 0)
	sc.empty()
	l := sc.insist(after, 5*time.Second)
	sc.refuseNobody()
	if !clear(l) {
		sc.inTheEnd(after)
	}
	sc.status(before, soon)
	sc.end()
}

// twoReconcilersAtOnce: of two operators who reconcile the same sale one stands still
// with his snapshot in hand; the other one opens the sale, and all is sold when the
// first goes on.
func (sc *scene) twoReconcilersAtOnce() {
	c, next := sc.customer(), sc.customer()
	points := sc.t.TempDir()
	at := filepath.Join(points, string(failpoint.Snapshot))
	must(sc.t, os.WriteFile(at, []byte(pointStops), 0o600))
	sc.freeze(sc.Workers...) // they leave a reconciliation to who has begun it
	sc.empty()
	slow, quick := sc.command(points, "reconcile", string(sc.sale)), sc.command("", "reconcile", string(sc.sale))
	must(sc.t, slow.Start())
	sc.t.Cleanup(func() {
		_ = slow.Process.Kill() // it has ended, if all went well
		_ = slow.Wait()
	})
	var epoch int
	sc.until(soon, func() bool {
		err := sc.books.db.QueryRowContext(sc.t.Context(), "SELECT epoch FROM sale WHERE id = ?", sc.sale).Scan(&epoch)
		return err == nil && epoch == 3
	}, "the reconciliation does not begin")
	sc.thaw(sc.Workers...)
	if out, err := quick.CombinedOutput(); err != nil {
		sc.t.Fatalf("reconcile: %v\n%s", err, out)
	}
	sc.until(soon, func() bool { _, err := os.Stat(at + ".hit"); return err == nil }, "the slow one has read no snapshot")
	sc.reopened()
	must(sc.t, sc.remember(c))
	sc.accepted(c, 0)
	sc.status(c, soon)
	sc.applied()
	must(sc.t, sc.remember(next))
	sc.freeze(sc.Workers...) // they would soon bring a gate that fell back up to the log again
	must(sc.t, slow.Process.Signal(syscall.SIGCONT))
	if err := slow.Wait(); err != nil {
		sc.t.Errorf("the slow one: %v", err)
	}
	sc.soldOut(next, 1, "the only unit is sold")
	sc.thaw(sc.Workers...)
	sc.status(next, time.Second)
	sc.end()
}
