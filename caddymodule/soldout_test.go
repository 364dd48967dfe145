package caddymodule_test

import (
	"net/http"
	"regexp"
	"strconv"
	"testing"
	"time"

	"flashgate"
	"flashgate/caddymodule/app"
	"flashgate/caddymodule/gatewaytest"
	"flashgate/internal/redis"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"
)

// soldOutSite is the gate alone, with a probe so seldom that no test sees one: what is
// known was told.
const soldOutSite = `
{
	admin off
	persist_config off
	grace_period 2s
	log {
		output discard
	}
	flashgate {
		redis {env.FLASHGATE_TEST_REDIS}
		rabbitmq {env.FLASHGATE_TEST_AMQP}
		keys {env.FLASHGATE_TEST_KEYS}
	}
}
SITE {
	stock_gate POST /buy/{sale} {
		user {http.request.header.X-User}
		sold_out_probe 1m
	}
	route /metrics {
		metrics
	}
}
`

// atOnce is within what news may take on a busy machine, and far within a probe.
const atOnce = 10 * time.Second

// soldOutRig is two gateways, of which the first is in this process, and the sale "1".
type soldOutRig struct {
	*realSite
	server   *servers.Redis
	gateways [2]*gatewaytest.Client
	seq      uint64
	users    int
}

// runSoldOut starts them; the first reaches Redis at the URL given, if any.
func runSoldOut(t *testing.T, through func(*servers.Redis) string) *soldOutRig {
	t.Helper()
	r := serverstest.OwnRedis(t, servers.RedisConfig{})
	t.Setenv("FLASHGATE_TEST_REDIS", r.URL())
	t.Setenv("FLASHGATE_TEST_AMQP", serverstest.RabbitMQ(t).URL())
	t.Setenv("FLASHGATE_TEST_KEYS", flashgate.NewKey())
	other := secondOf(t, soldOutSite)
	if through != nil {
		t.Setenv("FLASHGATE_TEST_REDIS", through(r))
	}
	store, err := redis.Open(redis.Config{URL: r.URL(), SessionCache: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	rig := &soldOutRig{realSite: &realSite{Gateway: gatewaytest.Run(t, soldOutSite), store: store}, server: r}
	rig.gateways = [2]*gatewaytest.Client{rig.Client(t), other.Client(t)}
	rig.open(t, "1", 2, 1)
	return rig
}

// buy is a request of a user who has not bought before.
func (r *soldOutRig) buy(gateway int) gatewaytest.Answer {
	r.users++
	return r.gateways[gateway].Do("POST", "/buy/1", "X-User", "u"+strconv.Itoa(r.users))
}

func (r *soldOutRig) want(t *testing.T, gateway, status int, code flashgate.Code, when string) gatewaytest.Answer {
	t.Helper()
	a := r.buy(gateway)
	if a.Status != status || a.Code() != code {
		t.Fatalf("gateway %d, %s: %+v, want %d %s", gateway, when, a, status, code)
	}
	return a
}

// soldOut goes on until both gateways answer without Redis.
func (r *soldOutRig) soldOut(t *testing.T) {
	t.Helper()
	for i := range r.gateways {
		eventually(t, "sold out without Redis", func() bool {
			before := r.scripts(t)
			r.want(t, i, http.StatusConflict, flashgate.CodeSoldOut, "sold out")
			return r.scripts(t) == before
		})
	}
}

// scripts is how many scripts Redis has run.
func (r *soldOutRig) scripts(t *testing.T) (n int) {
	t.Helper()
	c := r.server.Client()
	defer c.Close()
	text, err := c.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`cmdstat_eval(?:sha)?:calls=(\d+)`).FindAllStringSubmatch(text, -1) {
		calls, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		n += calls
	}
	return n
}

// apply is what the order worker does after the database has changed.
func (r *soldOutRig) apply(t *testing.T, cs ...flashgate.Change) {
	t.Helper()
	r.seq++
	applied, err := r.store.Apply(t.Context(), "1", []flashgate.LogEntry{{Sale: "1", Epoch: 2, Seq: r.seq, Changes: cs}})
	if err != nil || applied != r.seq {
		t.Fatalf("applied %d, %v; want %d", applied, err, r.seq)
	}
}

// again waits until a gateway sells again, and fails if that takes long.
func (r *soldOutRig) again(t *testing.T, gateway int, when string) (order string, user flashgate.UserID) {
	t.Helper()
	for begun := time.Now(); ; {
		a := r.buy(gateway)
		switch {
		case a.Status == http.StatusAccepted:
			return a.Member("order"), flashgate.UserID("u" + strconv.Itoa(r.users))
		case a.Code() != flashgate.CodeSoldOut, time.Since(begun) > atOnce:
			t.Fatalf("gateway %d, %s after %s: %+v", gateway, when, time.Since(begun), a)
		}
	}
}

// One question to Redis, and no more until units come free; then both gateways sell
// again without any.
func TestSoldOutAtTwoGateways(t *testing.T) {
	r := runSoldOut(t, nil)
	first, user := r.again(t, 0, "the only unit")
	r.soldOut(t)
	before, counted := r.scripts(t), app.Decisions()["stock_gate"]
	for range 50 {
		for i := range r.gateways {
			r.want(t, i, http.StatusConflict, flashgate.CodeSoldOut, "sold out")
		}
	}
	if n := r.scripts(t) - before; n != 0 {
		t.Errorf("Redis was asked %d times", n)
	}
	now := app.Decisions()["stock_gate"] // the second gateway counts in its own process
	if n := now["sold_out_flag"] - counted["sold_out_flag"]; n != 50 || now["sold_out"] != counted["sold_out"] {
		t.Errorf("counted %d answers from the flag, want 50: %v, before %v", n, now, counted)
	}

	taken := flashgate.Change{Order: flashgate.OrderID(first), User: user, Units: 1}
	kind := func(k flashgate.ChangeKind) flashgate.Change {
		c := taken
		c.Kind = k
		return c
	}
	sellsOut := func(i int, when string) {
		t.Helper()
		order, user := r.again(t, i, when)
		taken.Order, taken.User = flashgate.OrderID(order), user
		if when == "after settling" { // with the next change it is certain again
			r.apply(t, kind(flashgate.ChangePlaced))
		}
		r.soldOut(t)
	}
	for i := range r.gateways {
		r.apply(t, flashgate.Change{Kind: flashgate.ChangeRestock, Units: 1})
		sellsOut(i, "after a restock")
		r.apply(t, kind(flashgate.ChangePlaced))
		r.apply(t, kind(flashgate.ChangeCancelled)) // an expiry is one too
		sellsOut(1-i, "after a cancel")
		r.apply(t, kind(flashgate.ChangeRejected))
		sellsOut(i, "after a rejection")
		if err := r.store.Settle(t.Context(), "1", r.seq, []flashgate.OrderID{taken.Order}); err != nil {
			t.Fatal(err)
		}
		sellsOut(1-i, "after settling")
		r.apply(t, flashgate.Change{Kind: flashgate.ChangeRestock, Units: 2})
		r.again(t, 0, "a restock of two")
		r.again(t, 1, "a restock of two")
		r.soldOut(t)
	}
}

// A sale that ends or is opened anew is not sold out.
func TestSoldOutAndOver(t *testing.T) {
	r := runSoldOut(t, nil)
	r.again(t, 0, "the only unit")
	r.soldOut(t)
	// As a fail-over to a replica that was up to date, and the reconciliation after it.
	c := r.server.Client()
	defer c.Close()
	if err := c.HSet(t.Context(), "flashgate:{1}:head", "incarnation", "another").Err(); err != nil {
		t.Fatal(err)
	}
	r.open(t, "1", 3, 3) // of which one is held
	r.again(t, 0, "opened again")
	r.again(t, 1, "opened again")
	r.soldOut(t)
	window := func(seq uint64, starts, ends time.Duration) {
		t.Helper()
		now := time.Now()
		_, err := r.store.Apply(t.Context(), "1", []flashgate.LogEntry{{
			Sale: "1", Epoch: 3, Seq: seq, Starts: now.Add(starts), Ends: now.Add(ends), Changes: []flashgate.Change{{Kind: flashgate.ChangeWindow}},
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	for seq, x := range []struct {
		starts, ends time.Duration
		status       int
		code         flashgate.Code
	}{
		{-time.Hour, -time.Minute, http.StatusGone, flashgate.CodeEnded},
		{time.Hour, 2 * time.Hour, http.StatusForbidden, flashgate.CodeNotStarted},
		{-time.Hour, time.Hour, http.StatusConflict, flashgate.CodeSoldOut},
	} {
		window(uint64(seq+1), x.starts, x.ends)
		for i := range r.gateways {
			eventually(t, "the gateway hears of the window", func() bool { return r.buy(i).Code() == x.code })
			before := r.scripts(t)
			for range 5 {
				r.want(t, i, x.status, x.code, "from then on")
			}
			if n := r.scripts(t) - before; n != 0 {
				t.Errorf("%s: Redis was asked %d times", x.code, n)
			}
		}
	}
}

// An answer "sold out" that was under way while units came free, and arrives after the
// news of them, is what one buyer is told and nobody else.
func TestADelayedSoldOut(t *testing.T) {
	var d *delay
	r := runSoldOut(t, func(server *servers.Redis) string {
		d = newDelay(t, server.Addr())
		return d.URL()
	})
	r.again(t, 1, "the only unit")
	stock, err := app.Live().Stock()
	if err != nil {
		t.Fatal(err)
	}
	watcher := stock.(flashgate.FreedWatcher)
	eventually(t, "the first gateway hears", func() bool { return watcher.Freed(t.Context(), "1").Term != 0 })

	for range 3 {
		held := d.Hold("delayed")
		answer := make(chan gatewaytest.Answer, 1)
		go func() {
			a, err := r.gateways[0].Try(t.Context(), "POST", "/buy/1", "X-User", "delayed")
			if err != nil {
				t.Error(err)
			}
			answer <- a
		}()
		<-held.there
		r.apply(t, flashgate.Change{Kind: flashgate.ChangeRestock, Units: 1})
		eventually(t, "the first gateway has heard of the restock", func() bool {
			return watcher.Freed(t.Context(), "1").Since.Applied == r.seq
		})
		close(held.released)
		if a := <-answer; a.Code() != flashgate.CodeSoldOut {
			t.Fatalf("the delayed answer: %+v", a)
		}
		r.want(t, 0, http.StatusAccepted, "", "after the delayed answer")
	}
	r.soldOut(t)
}

// Without its connection a gateway believes nothing that it has been told before.
func TestSoldOutWithoutNews(t *testing.T) {
	r := runSoldOut(t, nil)
	r.again(t, 0, "the only unit")
	r.soldOut(t)
	c := r.server.Client()
	defer c.Close()
	if n, err := c.Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub").Int(); err != nil || n != len(r.gateways) {
		t.Fatalf("%d connections were ended, %v; want %d", n, err, len(r.gateways))
	}
	// Nobody is told of these.
	r.apply(t, flashgate.Change{Kind: flashgate.ChangeRestock, Units: 2})
	stock, err := app.Live().Stock()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "both listen again", func() bool {
		n, err := c.PubSubNumSub(t.Context(), "flashgate:freed:0").Result()
		return err == nil && n["flashgate:freed:0"] == 2 && stock.(flashgate.FreedWatcher).Freed(t.Context(), "1").Term != 0
	})
	r.again(t, 0, "restocked unheard")
	r.again(t, 1, "restocked unheard")
	r.soldOut(t)
}

// Redis does not answer, and sold out is still what buyers are told, at once; then it
// is not believed any more.
func TestSoldOutWhileRedisIsPaused(t *testing.T) {
	r := runSoldOut(t, nil)
	r.again(t, 0, "the only unit")
	r.soldOut(t)
	if err := r.server.Pause(); err != nil {
		t.Fatal(err)
	}
	r.want(t, 0, http.StatusConflict, flashgate.CodeSoldOut, "paused")
	r.want(t, 1, http.StatusConflict, flashgate.CodeSoldOut, "paused")
	for i := range r.gateways {
		eventually(t, "it is noticed", func() bool { return r.buy(i).Status >= 500 })
	}
	if err := r.server.Resume(); err != nil {
		t.Fatal(err)
	}
	r.soldOut(t)
}
