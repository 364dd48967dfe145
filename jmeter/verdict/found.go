package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"
	goredis "github.com/redis/go-redis/v9"
)

// found is what there is after a run, as far as the command line says where; nil is not
// looked at.
type found struct {
	books  *books
	gate   *gate
	queues queues
}

// lookout reads it.
type lookout struct {
	db    *database
	redis *goredis.Client
	amqp  *amqp.Connection
}

func open(o options) (l *lookout, err error) {
	l = &lookout{}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	if o.sale == "" {
		return l, nil
	}
	if l.db, err = openDatabase(o); err != nil {
		return l, err
	}
	if o.redis != "" {
		opts, err := goredis.ParseURL(o.redis)
		if err != nil {
			return l, fmt.Errorf("--redis: %w", err)
		}
		l.redis = goredis.NewClient(opts)
	}
	if o.amqp != "" {
		if l.amqp, err = amqp.Dial(o.amqp); err != nil {
			return l, fmt.Errorf("--amqp: RabbitMQ does not answer: %w", err)
		}
	}
	return l, nil
}

func (l *lookout) close() {
	if l.db != nil {
		_ = l.db.Close()
	}
	if l.redis != nil {
		_ = l.redis.Close()
	}
	if l.amqp != nil {
		_ = l.amqp.Close()
	}
}

func (l *lookout) read(ctx context.Context, sale string) (f found, err error) {
	if l.db != nil {
		if f.books, err = l.db.read(ctx, sale); err != nil {
			return f, err
		}
	}
	if l.redis != nil {
		if f.gate, err = readGate(ctx, l.redis, sale); err != nil {
			return f, fmt.Errorf("--redis: %w", err)
		}
	}
	if l.amqp != nil {
		if f.queues, err = readQueues(l.amqp); err != nil {
			return f, fmt.Errorf("--amqp: %w", err)
		}
	}
	return f, nil
}

// gate is what Redis has of a sale; internal/redis/lua/README.md says what the keys hold.
type gate struct {
	open       bool
	free, held int64
	undecided  int64 // records of what is held
	outbox     int64 // orders that are not known to be published
	taken      map[string]int64
}

func readGate(ctx context.Context, c *goredis.Client, sale string) (*gate, error) {
	key := func(part string) string { return "flashgate:{" + sale + "}:" + part }
	g := &gate{taken: map[string]int64{}}
	head, err := c.HGetAll(ctx, key("head")).Result()
	if err != nil {
		return nil, err
	}
	if g.open = len(head) > 0; !g.open {
		return g, nil
	}
	var outbox, leased int64
	for _, n := range []struct {
		to   *int64
		read func() (int64, error)
	}{
		{&g.free, func() (int64, error) { return strconv.ParseInt(head["free"], 10, 64) }},
		{&g.held, func() (int64, error) { return strconv.ParseInt(head["held"], 10, 64) }},
		{&g.undecided, c.HLen(ctx, key("held")).Result},
		{&outbox, c.ZCard(ctx, key("outbox")).Result},
		{&leased, c.ZCard(ctx, key("leased")).Result},
	} {
		if *n.to, err = n.read(); err != nil {
			return nil, fmt.Errorf("sale %s: %w", sale, err)
		}
	}
	g.outbox = outbox + leased
	buyers, err := c.HGetAll(ctx, key("buyers")).Result()
	if err != nil {
		return nil, err
	}
	for field, value := range buyers {
		user, ok := strings.CutPrefix(field, "u:")
		if !ok {
			continue
		}
		units, _, _ := strings.Cut(value, " ")
		if g.taken[user], err = strconv.ParseInt(units, 10, 64); err != nil {
			return nil, fmt.Errorf("sale %s, user %s: %w", sale, user, err)
		}
	}
	return g, nil
}

// check compares the gate with the database, both at rest. What a dead letter is of stays
// held.
func (g *gate) check(b *books) check {
	c := check{name: "gate", text: fmt.Sprintf("Redis agrees: %d free, %d held, %d to be published, %d users with units", g.free, g.held, g.outbox, len(g.taken))}
	if !g.open {
		c.fault("Redis does not have the sale")
		return c
	}
	if g.free+g.held != b.stockLeft {
		c.fault("free %d and held %d are not the %d units left in the database", g.free, g.held, b.stockLeft)
	}
	if n := int64(len(b.letters)); g.undecided != n {
		c.fault("%d orders are held, %d of them in dead letters", g.undecided, n)
	}
	if g.outbox > 0 {
		c.fault("%d orders are not known to be published", g.outbox)
	}
	if len(b.letters) > 0 {
		return c // their units are in the users' shares, and their users in no row
	}
	live := map[string]int64{}
	for _, r := range b.rows {
		if r.live() {
			live[r.user] += r.units
		}
	}
	for _, user := range sorted(g.taken) {
		if g.taken[user] != live[user] {
			c.fault("user %s has %d units by Redis, %d by the orders", user, g.taken[user], live[user])
		}
		delete(live, user)
	}
	for _, user := range sorted(live) {
		c.fault("user %s has %d units and none by Redis", user, live[user])
	}
	return c
}

// queues are the messages that wait, by queue.
type queues map[string]int

// readQueues asks for the order queues, which are numbered, and the one of dead letters.
func readQueues(c *amqp.Connection) (queues, error) {
	q := queues{}
	for i := 0; ; i++ {
		name := fmt.Sprint("flashgate.orders.", i)
		n, err := waiting(c, name)
		if e, ok := errors.AsType[*amqp.Error](err); ok && e.Code == amqp.NotFound {
			break
		}
		if err != nil {
			return nil, err
		}
		q[name] = n
	}
	if len(q) == 0 {
		return nil, errors.New("there is no queue flashgate.orders.0: is this the broker of the site?")
	}
	var err error
	q["flashgate.dead"], err = waiting(c, "flashgate.dead")
	return q, err
}

// waiting asks on a channel of its own: one that names a missing queue is closed.
func waiting(c *amqp.Connection, queue string) (int, error) {
	ch, err := c.Channel()
	if err != nil {
		return 0, err
	}
	defer ch.Close()
	got, err := ch.QueueDeclarePassive(queue, false, false, false, false, nil)
	return got.Messages, err
}

func (q queues) check() check {
	c := check{name: "queues", text: fmt.Sprintf("nothing waits in %d queues", len(q))}
	for _, name := range sorted(q) {
		if q[name] > 0 {
			c.fault("%d messages wait in %s", q[name], name)
		}
	}
	return c
}
