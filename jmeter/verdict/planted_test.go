package main_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"flashgate"
	"flashgate/jmeter/realsite"
	"flashgate/orderworker/worker"

	amqp "github.com/rabbitmq/amqp091-go"
	goredis "github.com/redis/go-redis/v9"
)

// skipper is a fault: it takes every nth message from the real queue before a real worker
// gets it, acks it, and keeps on taking it when it is published again.
type skipper struct {
	flashgate.Consumer
	nth int

	mu      sync.Mutex
	seen    map[string]bool // by order: whether it is swallowed
	skipped int
}

func skipping(nth int, c flashgate.Consumer) *skipper {
	return &skipper{Consumer: c, nth: nth, seen: map[string]bool{}}
}

func (s *skipper) Receive(ctx context.Context, max int) ([]flashgate.Delivery, error) {
	ds, err := s.Consumer.Receive(ctx, max)
	if err != nil {
		return nil, err
	}
	var kept, taken []flashgate.Delivery
	for _, d := range ds {
		if s.takes(d) {
			taken = append(taken, d)
		} else {
			kept = append(kept, d)
		}
	}
	if len(taken) > 0 {
		err = s.Ack(ctx, taken)
	}
	return kept, err
}

func (s *skipper) takes(d flashgate.Delivery) bool {
	m, err := flashgate.DecodeMessage(d.Body)
	if err != nil || len(m.Reservations) == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id := string(m.Reservations[0].Order)
	if _, known := s.seen[id]; !known {
		s.seen[id] = (len(s.seen)+1)%s.nth == 0
		if s.seen[id] {
			s.skipped++
		}
	}
	return s.seen[id]
}

// ran is a run on the real servers, whose results file says what the buyers were told.
type ran struct {
	*realsite.Site
	scene
	sale flashgate.SaleID
}

// opened makes a sale for n buyers and waits for its gate.
func opened(t *testing.T, site *realsite.Site, name flashgate.SaleID, n int, units int64) *ran {
	t.Helper()
	r := &ran{Site: site, sale: name}
	must(t, site.Database.CreateSale(t.Context(), flashgate.Sale{ID: name, Goods: "1", FlashPrice: 900, PerUser: 1, Seeded: units,
		Starts: time.Now().Add(-time.Hour), Ends: time.Now().Add(time.Hour)}))
	var users []flashgate.User
	for i := range n {
		id := flashgate.UserID(fmt.Sprintf("%s-%d", name, i))
		users = append(users, flashgate.User{ID: id, Mobile: fmt.Sprintf("9%s%d", name, i), Name: "Buyer", PasswordHash: "x", Role: flashgate.RoleCustomer, Created: time.Now()})
		r.users = append(r.users, id)
	}
	must(t, site.Database.CreateUsers(t.Context(), users))
	realsite.Wait(t, "the gate opens", func() bool {
		v, err := site.Gate.View(t.Context(), name)
		return err == nil && v.Open
	})
	return r
}

// press lets a buyer buy, and notes the answer.
func (r *ran) press(t *testing.T, user flashgate.UserID) {
	t.Helper()
	order, ok := r.Buy(t, r.sale, user)
	l := line{label: "buy", code: "202", outcome: "accepted", order: string(order), user: string(user), sale: string(r.sale)}
	if !ok {
		l.code, l.outcome = "409", "sold_out"
	}
	r.lines = append(r.lines, l)
}

func (r *ran) verdict(t *testing.T, wait string) answer {
	t.Helper()
	plan := fmt.Sprintf(`{"units": %d, "honest_success": 1, "labels": {"buy": {"codes": ["202", "409"], "at_least": 1}}}`, len(r.users))
	return commandWith(t.Context(), t, r.Env(), "--plan", planFile(t, plan), "--results", r.results(t), "--sale", string(r.sale), "--wait", wait, "--env")
}

// want judges and fails the test unless these checks are red, and those alone.
func (r *ran) want(t *testing.T, wait, red string, says ...string) {
	t.Helper()
	a := r.verdict(t, wait)
	if a.red() != red || (a.exit == 0) != (red == "") || a.exit > 1 {
		t.Errorf("sale %s: exit %d, red %q; want %q\n%s%s", r.sale, a.exit, a.red(), red, a.out, a.errors)
	}
	for _, text := range says {
		if !strings.Contains(a.out, text) {
			t.Errorf("sale %s: %q is not in\n%s", r.sale, text, a.out)
		}
	}
}

// A worker that skips messages, and a gate that sells a unit twice, are red; the same run
// without the fault is green. Then what is at rest is spoilt, one thing after the other.
func TestPlantedOnTheRealServers(t *testing.T) {
	t.Parallel()
	site := realsite.Start(t)
	stop := site.Work(t, nil)

	good := opened(t, site, "good", 33, 30)
	for _, user := range good.users {
		good.press(t, user)
	}
	good.want(t, "20s", "", "they are 30 × pending", "refusals of buy: 3 × sold_out", "the gate is at rest", "nothing is left behind in 10 queues")

	twice := opened(t, site, "twice", 6, 5)
	for _, user := range twice.users[:5] {
		twice.press(t, user)
	}
	twice.want(t, "20s", "")
	raw := rawRedis(t, site)
	must(t, raw.HIncrBy(t.Context(), "flashgate:{twice}:head", "free", 1).Err())
	twice.press(t, twice.users[5])
	realsite.Wait(t, "the sixth order is rejected", func() bool {
		o, err := site.Database.Order(t.Context(), flashgate.OrderID(twice.lines[5].order))
		return err == nil && o.Status == flashgate.StatusRejected
	})
	twice.want(t, "2s", "P2 redis", "1 orders were rejected after a 202: 1 sold_out", "they are 5 × pending, 1 × rejected")
	stop()

	var fault *skipper
	stop = site.Work(t, func(c flashgate.Consumer) flashgate.Consumer {
		fault = skipping(10, c)
		return fault
	})
	skipped := opened(t, site, "skipped", 30, 30)
	for _, user := range skipped.users {
		skipped.press(t, user)
	}
	realsite.Wait(t, "all but three are decided", func() bool {
		s, err := site.Database.Sale(t.Context(), "skipped")
		return err == nil && s.StockLeft == 3
	})
	skipped.want(t, "5s", "P2 redis", "27 × pending", "3 × missing", "was answered 202 and is not in the database", "is held and has no dead letter")
	stop()
	if fault.skipped != 3 {
		t.Errorf("%d were skipped", fault.skipped)
	}
	good.want(t, "0s", "")
	spoilGate(t, good, raw)
	spoilQueues(t, good)
}

func rawRedis(t *testing.T, site *realsite.Site) *goredis.Client {
	t.Helper()
	opts, err := goredis.ParseURL(site.RedisURL)
	must(t, err)
	c := goredis.NewClient(opts)
	t.Cleanup(func() { c.Close() })
	return c
}

// spoilGate breaks one sum of the gate after the other, and mends it.
func spoilGate(t *testing.T, r *ran, raw *goredis.Client) {
	t.Helper()
	key := func(part string) string { return "flashgate:{" + string(r.sale) + "}:" + part }
	buyer, order := string(r.users[0]), r.lines[0].order
	share, err := raw.HGet(t.Context(), key("buyers"), "u:"+buyer).Result()
	must(t, err)
	known, err := raw.HGet(t.Context(), key("buyers"), "o:"+order).Result()
	must(t, err)
	for _, c := range []struct {
		breaks, mends []any
		says          string
	}{
		{[]any{"HINCRBY", key("head"), "free", 1}, []any{"HINCRBY", key("head"), "free", -1}, "1 free and 0 held are not the 0 that are left"},
		{[]any{"HINCRBY", key("head"), "held", 1}, []any{"HINCRBY", key("head"), "held", -1}, "the head says 1 held, the reservations have 0"},
		{[]any{"HINCRBY", key("head"), "applied", -1}, []any{"HINCRBY", key("head"), "applied", 1}, "the database at"},
		{[]any{"HINCRBY", key("head"), "epoch", 1}, []any{"HINCRBY", key("head"), "epoch", -1}, "the gate is at epoch 3"},
		{[]any{"HSET", key("head"), "free", "x"}, []any{"HSET", key("head"), "free", "0"}, `the gate's free is "x"`},
		{[]any{"HSET", key("held"), "good.x", "1 1 1 " + buyer}, []any{"HDEL", key("held"), "good.x"}, "order good.x is held and has no dead letter"},
		{[]any{"ZADD", key("outbox"), 1, "good.x"}, []any{"DEL", key("outbox")}, "1 orders are not known to be in the queue"},
		{[]any{"ZADD", key("leased"), 1, "good.x"}, []any{"DEL", key("leased")}, "1 orders are not known to be in the queue"},
		{[]any{"HSET", key("buyers"), "u:" + buyer, "2 " + order}, []any{"HSET", key("buyers"), "u:" + buyer, share}, "has 2 units at the gate, 1 by the orders"},
		{[]any{"HDEL", key("buyers"), "u:" + buyer}, []any{"HSET", key("buyers"), "u:" + buyer, share}, "has live orders and is unknown at the gate"},
		{[]any{"HDEL", key("buyers"), "o:" + order}, []any{"HSET", key("buyers"), "o:" + order, known}, "the gate remembers order " + order + ` as ""`},
		{[]any{"RENAME", key("head"), "elsewhere"}, []any{"RENAME", "elsewhere", key("head")}, "the gate does not have this sale"},
	} {
		must(t, raw.Do(t.Context(), c.breaks...).Err())
		r.want(t, "0s", "redis", c.says)
		must(t, raw.Do(t.Context(), c.mends...).Err())
	}
	r.want(t, "0s", "")
}

// spoilQueues leaves a message behind in a work queue and in the dead one.
func spoilQueues(t *testing.T, r *ran) {
	t.Helper()
	conn, err := amqp.Dial(r.AMQPURL)
	must(t, err)
	defer conn.Close()
	for _, queue := range []string{"flashgate.dead", "flashgate.orders.7"} {
		ch, err := conn.Channel()
		must(t, err)
		must(t, ch.Confirm(false))
		sent, err := ch.PublishWithDeferredConfirm("", queue, true, false, amqp.Publishing{Body: []byte("{}")})
		must(t, err)
		if !sent.Wait() {
			t.Fatal("the broker refuses the message")
		}
		r.want(t, "0s", "queue", "queue "+queue+" has 1 messages")
		if _, err := ch.QueuePurge(queue, false); err != nil {
			t.Fatal(err)
		}
	}
	r.want(t, "0s", "")
}

// On the embedded backend nothing publishes a message again: what the worker skips is
// held for ever.
func TestPlantedOnTheEmbeddedOne(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		nth, more int // which messages are skipped, 0: none; units that the gate sells twice
		red       string
		says      string
	}{
		{"no fault", 0, 0, "", "they are 20 × pending"},
		{"a worker that skips every tenth message", 10, 0, "P2 P4", "2 × missing"},
		{"a gate that sells one unit twice", 0, 1, "P2 P4", "1 × rejected"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := goodRun(t, embedded(t)) // its sale is over; this one is another
			s.lines = nil
			const sale = "planted"
			must(t, s.CreateSale(t.Context(), flashgate.Sale{ID: sale, Goods: "1", FlashPrice: 900, PerUser: 1, Seeded: 20,
				Starts: time.Now().Add(-time.Hour), Ends: time.Now().Add(time.Hour)}))
			if c.more > 0 {
				s.exec(t, "UPDATE gate SET free = free + ? WHERE sale = ?", c.more, sale)
			}
			var consumer flashgate.Consumer = s.Store
			if c.nth > 0 {
				consumer = skipping(c.nth, s.Store)
			}
			w, err := worker.New(worker.Config{Ledger: s.Store, Consumer: consumer})
			must(t, err)
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- w.Run(ctx) }()
			defer func() { cancel(); must(t, <-done) }()
			for i := range 20 + c.more {
				user := flashgate.UserID(fmt.Sprint("planted-", i))
				must(t, s.CreateUsers(t.Context(), []flashgate.User{{ID: user, Mobile: fmt.Sprint("8000", i), Name: "B", PasswordHash: "x", Role: flashgate.RoleCustomer, Created: time.Now()}}))
				_, order := s.keys.Mint(flashgate.Claim{Sale: sale, User: string(user)}, time.Now())
				out, err := s.Reserve(t.Context(), sale, []flashgate.Reservation{{Order: order, User: user, Units: 1}})
				must(t, err)
				if out[0].Outcome != flashgate.OutcomeAccepted {
					t.Fatalf("buyer %d: %+v", i, out[0])
				}
				s.lines = append(s.lines, line{label: "buy", code: "202", outcome: "accepted", order: string(order), user: string(user), sale: sale})
			}
			wait := "20s"
			if c.red != "" {
				wait = "3s" // nothing mends it
			}
			a := command(t.Context(), t, append([]string{"--results", s.results(t), "--sale", sale, "--wait", wait}, s.args...)...)
			if a.red() != c.red || (a.exit == 0) != (c.red == "") || !strings.Contains(a.out, c.says) {
				t.Errorf("exit %d, red %q; want %q and %q\n%s%s", a.exit, a.red(), c.red, c.says, a.out, a.errors)
			}
		})
	}
}
