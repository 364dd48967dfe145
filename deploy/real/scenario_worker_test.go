package main_test

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"flashgate"
	"flashgate/deploy/chaos"
	"flashgate/internal/failpoint"

	goredis "github.com/redis/go-redis/v9"
)

// moreThanThereIs: orders for more units than there are come through the queue, and then
// two of one user. Whatever has let them through, the database judges.
func (sc *scene) moreThanThereIs() {
	for range 3 {
		sc.ordered(sc.customer())
	}
	b, err := sc.sums()
	must(sc.t, err)
	if b.Live > b.Seeded || b.Left < 0 {
		sc.t.Errorf("P1: of %d units %d are sold", b.Seeded, b.Live)
	}
	_, err = sc.database.ChangeSale(sc.t.Context(), sc.sale, flashgate.SaleChange{Restock: 5})
	must(sc.t, err)
	twice := sc.customer()
	sc.ordered(twice)
	twice.mint()
	sc.ordered(twice)
	sc.end()
}

// ordered puts a customer's order into the queue, past the gate, and waits for its row.
func (sc *scene) ordered(c *customer) {
	sc.t.Helper()
	sc.journal.Write(chaos.Line{Asks: true, Do: "buy", Sale: sc.sale, Order: c.minted.Order, User: c.member.User, At: time.Now()})
	sc.publishOrders(c.reservation())
	if sc.status(c, soon) == "" {
		sc.t.Fatal("P2: an order in the queue gets no row")
	}
}

// publishedTwice: what a gateway had published comes again in another message, with
// others, as the relay puts it together.
func (sc *scene) publishedTwice() {
	one, two := sc.customer(), sc.customer()
	sc.accepted(one, 0)
	sc.status(one, soon)
	sc.accepted(two, 1)
	sc.status(two, soon)
	sc.publishOrders(one.reservation(), two.reservation())
	last := sc.customer()
	sc.accepted(last, 0) // it is behind them in the queue
	sc.status(last, soon)
	sc.end()
}

// takeover: a worker has received an order, and stands still. The broker gives the order
// to the other worker; then the first one goes on with what it has in its hands.
func (sc *scene) takeover() {
	c := sc.customer()
	sc.arm(sc.t, failpoint.Received, pointStops, sc.Workers...)
	sc.accepted(c, 0)
	first := sc.standsAt(failpoint.Received, sc.Workers...)
	for _, l := range sc.links.of(first.Name, toRabbitMQ) {
		must(sc.t, l.cut())
	}
	if sc.status(c, 10*time.Second) == "" {
		sc.t.Fatal("P2: an order that a worker had received is not given to the other one")
	}
	if l := sc.order(c, "pay"); l.Status != http.StatusOK {
		sc.t.Errorf("pay: %d %s", l.Status, l.Code)
	}
	sc.thaw(first)
	last := sc.customer()
	sc.accepted(last, 1)
	sc.status(last, soon)
	sc.end()
}

// relayStandsLongerThanItsLease: a relay has leased an order, and stands still. Meanwhile
// Redis loses the order, and its sale is opened again. When the relay goes on, the unit
// is somebody else's.
func (sc *scene) relayStandsLongerThanItsLease() {
	first, late, other := sc.customer(), sc.customer(), sc.customer()
	sc.arm(sc.t, failpoint.Received, pointStops, sc.Workers...)
	sc.accepted(first, 0)
	consumer := sc.standsAt(failpoint.Received, sc.Workers...) // it has the sale's queue
	relay := sc.other(consumer)
	sc.arm(sc.t, failpoint.Leased, pointStops, relay)
	mend := sc.poison(sc.links.of("gateway 1", toRabbitMQ), "timeout", toServer, nil)
	if l := sc.press(late, 0); l.Code != flashgate.CodeUnknownOutcome {
		sc.t.Errorf("P2: a purchase that could not be published was answered %d %s, want unknown_outcome", l.Status, l.Code)
	}
	sc.standsAt(failpoint.Leased, relay)
	mend()
	sc.thaw(consumer)
	sc.empty()
	sc.reopened()
	must(sc.t, sc.remember(other))
	sc.freeze(consumer) // what comes is decided later, in the order in which it came
	sc.thaw(relay)
	pause(sc.t.Context(), 500*time.Millisecond) // what it still sends goes first
	sc.accepted(other, 1)
	sc.thaw(consumer)
	sc.end()
}

// commitWithRedisDown: the database has the order, the gate has not heard of it, and
// goes. What else is in the queue is decided all the same.
func (sc *scene) commitWithRedisDown() {
	cs := []*customer{sc.customer(), sc.customer(), sc.customer()}
	sc.arm(sc.t, failpoint.Committed, pointStops, sc.Workers...)
	sc.accepted(cs[0], 0)
	first := sc.standsAt(failpoint.Committed, sc.Workers...)
	sc.accepted(cs[1], 0)
	sc.accepted(cs[2], 1)
	must(sc.t, sc.redis.Kill())
	sc.thaw(first)
	for _, c := range cs {
		if sc.status(c, 15*time.Second) == "" {
			sc.t.Fatal("P2: with Redis down, an order that was answered 202 is not decided, though database and queue are there")
		}
	}
	must(sc.t, sc.redis.Start())
	sc.end()
}

// logAppliedTwice: both workers have read the same entry of the log and are on their way
// to the gate with it.
func (sc *scene) logAppliedTwice() {
	c := sc.customer()
	sc.accepted(c, 0)
	sc.status(c, soon)
	sc.applied()
	mend := sc.poison(sc.links.of("worker", toRedis), "latency", toServer, map[string]int{"latency": 400})
	if _, err := sc.database.Cancel(sc.t.Context(), c.minted.Order, c.member.User); err != nil {
		sc.t.Fatal(err)
	}
	sc.applied()
	pause(sc.t.Context(), time.Second) // the slower one is still on its way
	mend()
	sc.end()
}

// heldAfterDecision: an order is decided, and the gate, which has forgotten that, holds
// it again for a repeat. The repeat's message is a duplicate, and the unit is free.
func (sc *scene) heldAfterDecision() {
	c := sc.customer()
	sc.accepted(c, 0)
	sc.status(c, soon)
	sc.applied()
	sc.forget(c)
	sc.accepted(c, 1)
	sc.end()
}

// forget takes a decided id out of what the gate remembers.
func (sc *scene) forget(c *customer) {
	sc.t.Helper()
	buyers := "flashgate:{" + string(sc.sale) + "}:buyers"
	must(sc.t, sc.books.redis.HDel(sc.t.Context(), buyers, "o:"+string(c.minted.Order)).Err())
}

// duplicateAckedBeforeSettled: as before, but the gate is away when the duplicate is
// acked, and the worker dies before it has told the gate. Nobody remembers it.
func (sc *scene) duplicateAckedBeforeSettled() {
	c := sc.customer()
	sc.accepted(c, 0)
	sc.status(c, soon)
	sc.applied()
	sc.forget(c)
	sc.arm(sc.t, failpoint.DuplicateAcked, pointKills, sc.Workers...)
	mend := sc.poison(sc.links.of("worker", toRedis), "timeout", fromServer, nil)
	sc.accepted(c, 0)
	sc.diesAt(failpoint.DuplicateAcked, sc.Workers...)
	mend()
	sc.age(c)
	sc.end()
}

// age lets an order have been held for a minute: the relay looks only at what has been
// held for ten seconds.
func (sc *scene) age(c *customer) {
	sc.t.Helper()
	held := "flashgate:{" + string(sc.sale) + "}:held"
	record, err := sc.books.redis.HGet(sc.t.Context(), held, string(c.minted.Order)).Result()
	if errors.Is(err, goredis.Nil) {
		return // settled already
	}
	must(sc.t, err)
	var units, at, entered int64
	var user string
	if _, err := fmt.Sscan(record, &units, &at, &entered, &user); err != nil {
		sc.t.Fatalf("what is held is %q: %v", record, err)
	}
	older := fmt.Sprint(units, " ", at, " ", entered-time.Minute.Microseconds(), " ", user)
	must(sc.t, sc.books.redis.HSet(sc.t.Context(), held, string(c.minted.Order), older).Err())
}
