package main_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/failpoint"
	"flashgate/internal/fleet"
)

// struckWithin bounds the wait for a process to come to an armed failpoint, under load.
const struckWithin = 30 * time.Second

// at arms a failpoint and waits until a process has come to it. provoke, if not nil,
// brings about what the place is for. A process that dies there is counted and gone
// when at returns.
func (c *campaign) at(t *testing.T, point failpoint.Name, what string, ps []*fleet.Process, provoke func()) (struck []*fleet.Process) {
	t.Helper()
	c.recovered(t, "whatever was before") // something must be on its way to come there
	c.arm(t, point, what, ps...)
	if provoke != nil {
		provoke()
	}
	end := time.Now().Add(struckWithin)
	for c.struck(point, ps...) == nil && time.Now().Before(end) {
		pause(t.Context(), 5*time.Millisecond)
	}
	struck = c.disarm(t, point, ps...)
	for _, p := range struck {
		c.count.struck(point)
		if what == pointKills {
			<-p.Exited()
			c.count.killed(p.Name)
		}
	}
	return struck
}

// dieAt kills whoever comes to a place first, and starts it again.
func (c *campaign) dieAt(point failpoint.Name, ps []*fleet.Process, provoke func(*testing.T)) func(*testing.T) {
	return func(t *testing.T) {
		struck := c.at(t, point, pointKills, ps, func() {
			if provoke != nil {
				provoke(t)
			}
		})
		c.wait(t, time.Second)
		for _, p := range struck {
			must(t, p.Launch())
		}
	}
}

// standAt stops whoever comes to a place first, does something meanwhile, and lets it
// go on.
func (c *campaign) standAt(point failpoint.Name, ps []*fleet.Process, meanwhile func(*testing.T, *fleet.Process)) func(*testing.T) {
	return func(t *testing.T) {
		for _, p := range c.at(t, point, pointStops, ps, nil) {
			meanwhile(t, p)
			must(t, p.Signal(syscall.SIGCONT))
		}
	}
}

// pointFaults are deaths, and halts, at the places where they do the most harm.
func (c *campaign) pointFaults() []misfortune {
	loss := func(t *testing.T) { c.killServer(toRedis, c.redis)(t) }
	return []misfortune{
		{"gateway dies after the reserve", 1, c.dieAt(failpoint.Reserved, c.Gateways, nil)},
		{"gateway dies before the confirm", 1, c.dieAt(failpoint.Written, c.Gateways, nil)},
		{"gateway dies before its answer", 1, c.dieAt(failpoint.Confirmed, c.Gateways, nil)},
		{"gateway stands longer than D", 1, c.standAt(failpoint.Reserved, c.Gateways, func(t *testing.T, _ *fleet.Process) {
			pause(t.Context(), flashgate.PublishWindow+time.Second)
		})},
		{"worker dies before it decides", 1, c.dieAt(failpoint.Received, c.Workers, nil)},
		{"worker dies after its commit", 1, c.dieAt(failpoint.Committed, c.Workers, nil)},
		{"worker stands across a takeover", 1, c.standAt(failpoint.Received, c.Workers, c.takenOver)},
		{"commit with Redis down", 1, c.commitWithoutRedis},
		{"worker dies after a duplicate's ack", 1, c.dieAt(failpoint.DuplicateAcked, c.Workers, c.duplicateWithoutRedis)},
		{"relay dies before it publishes", 1, c.dieAt(failpoint.Leased, c.Workers, c.silentBroker)},
		{"relay dies after it published", 1, c.dieAt(failpoint.Relayed, c.Workers, c.silentBroker)},
		{"reconciler dies after the fence", 1, c.dieAt(failpoint.Fenced, c.Workers, loss)},
		{"reconciler dies after the snapshot", 1, c.dieAt(failpoint.Snapshot, c.Workers, loss)},
	}
}

// takenOver gives the queues of a worker that stands still to the other one: the broker
// sees its connections closed.
func (c *campaign) takenOver(t *testing.T, p *fleet.Process) {
	for _, l := range c.links.of(p.Name, toRabbitMQ) {
		must(t, l.cut())
	}
	pause(t.Context(), 2*time.Second)
}

// commitWithoutRedis: the database has committed, and then Redis goes, and the worker
// too.
func (c *campaign) commitWithoutRedis(t *testing.T) {
	struck := c.at(t, failpoint.Committed, pointStops, c.Workers, nil)
	must(t, c.redis.Kill())
	c.count.killed(toRedis)
	for _, p := range struck {
		must(t, p.Kill())
		c.count.killed(p.Name)
	}
	c.wait(t, time.Second)
	must(t, c.redis.Start())
	for _, p := range struck {
		must(t, p.Launch())
	}
}

// silentBroker: nothing that the gateways publish arrives, until what they have
// reserved is the relay's.
func (c *campaign) silentBroker(t *testing.T) {
	mend := c.poisonAll(t, c.links.of("gateway", toRabbitMQ), "timeout", toServer, nil)
	defer mend()
	pause(t.Context(), 2*flashgate.PublishWindow)
}

// duplicateWithoutRedis has the broker deliver a decided order once more, as any broker
// may, while the workers do not reach Redis: they ack it and remember to settle it.
func (c *campaign) duplicateWithoutRedis(t *testing.T) {
	b := c.stranger(t)
	ctx, cancel := context.WithTimeout(t.Context(), struckWithin)
	defer cancel()
	if !b.buyOnly(ctx) {
		return
	}
	if word, err := b.decided(ctx, b.try); err != nil || word != "pending" {
		return
	}
	mend := c.poisonAll(t, c.links.of("worker", toRedis), "timeout", fromServer, nil)
	defer mend()
	again := flashgate.NewMessage(b.sale, 1, flashgate.Reservation{Order: b.minted.Order, User: b.member.User, Units: 1, At: time.Now().UnixMilli()})
	for c.publisher.Publish(ctx, again) != nil && ctx.Err() == nil {
		pause(ctx, 100*time.Millisecond)
	}
	for c.struck(failpoint.DuplicateAcked, c.Workers...) == nil && ctx.Err() == nil {
		pause(ctx, 5*time.Millisecond)
	}
}
