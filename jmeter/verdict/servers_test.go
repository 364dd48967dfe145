package main_test

import (
	"strings"
	"testing"

	"flashgate"
	"flashgate/internal/rabbitmq"
	"flashgate/internal/redis"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"
)

// atRedis opens the good run's sale in a Redis, as a reconciliation would.
func (s *scene) atRedis(t *testing.T, r *servers.Redis) {
	t.Helper()
	store, err := redis.Open(redis.Config{URL: r.URL()})
	must(t, err)
	t.Cleanup(func() { store.Close() })
	sale, err := s.Sale(t.Context(), saleID)
	must(t, err)
	snapshot := flashgate.Snapshot{Sale: sale, Bound: units}
	snapshot.Sale.Epoch = max(sale.Epoch, 1)
	for i := range units {
		snapshot.Orders = append(snapshot.Orders, flashgate.SnapshotOrder{Order: s.orders[i], User: s.users[i], Units: 1, Live: true})
	}
	incarnation, err := store.Incarnation(t.Context(), saleID)
	must(t, err)
	_, err = store.Open(t.Context(), incarnation, snapshot)
	must(t, err)
}

// Each is a difference between Redis and the database.
func TestTheGateInRedis(t *testing.T) {
	t.Parallel()
	m := serverstest.OwnMariaDB(t)
	for _, c := range []struct {
		name    string
		command string // of Redis; {} is the sale's part of a key
		says    string // empty: green
	}{
		{"they agree", "", ""},
		{"a unit is free", "HINCRBY {}head free 1", "1 free and 0 held are not the 0 that are left in the database"},
		{"an order is held", "HSET {}held order|1 1 1 u", "order order is held and has no dead letter"},
		{"one is to be published", "ZADD {}outbox 1 order", "1 orders are not known to be in the queue"},
		{"one is leased", "ZADD {}leased 1 order", "1 orders are not known to be in the queue"},
		{"a share too large", "HSET {}buyers u:buyer-1|2 order", "user buyer-1 has 2 units at the gate, 1 by the orders"},
		{"a share is missing", "HDEL {}buyers u:buyer-1", "user buyer-1 has live orders and is unknown at the gate"},
		{"somebody's share", "HSET {}buyers u:nobody|1 order", "user nobody has 1 units at the gate, 0 by the orders"},
		{"the sale is gone", "DEL {}head", "the gate does not have this sale"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := serverstest.OwnRedis(t, servers.RedisConfig{})
			s := goodRun(t, embedded(t))
			s.copied(t, m)
			s.atRedis(t, r)
			if c.command != "" {
				// Spaces part the words, but for those of a record behind a bar.
				command, record, _ := strings.Cut(c.command, "|")
				words := strings.Fields(strings.ReplaceAll(command, "{}", "flashgate:{"+saleID+"}:"))
				if record != "" {
					words = append(words, record)
				}
				args := make([]any, len(words))
				for i := range words {
					args[i] = words[i]
				}
				client := r.Client()
				defer client.Close()
				must(t, client.Do(t.Context(), args...).Err())
			}
			a := s.judge(t, s.results(t), "--redis", r.URL())
			exit, red := 0, ""
			if c.says != "" {
				exit, red = 1, "redis"
			}
			if a.exit != exit || a.red() != red || !strings.Contains(a.out, c.says) {
				t.Errorf("exit %d, red %q; want %d, %q and %q in\n%s%s", a.exit, a.red(), exit, red, c.says, a.out, a.errors)
			}
		})
	}
}

// What waits in a queue was not decided.
func TestTheQueues(t *testing.T) {
	t.Parallel()
	broker := serverstest.OwnRabbitMQ(t)
	s := goodRun(t, embedded(t))
	s.copied(t, serverstest.OwnMariaDB(t))
	results := s.results(t)
	if a := s.judge(t, results, "--amqp", broker.URL()); a.exit != 2 || !strings.Contains(a.errors, "queue flashgate.dead") {
		t.Errorf("without queues: exit %d\n%s%s", a.exit, a.out, a.errors)
	}
	p, err := rabbitmq.OpenPublisher(rabbitmq.Config{URL: broker.URL()})
	must(t, err)
	defer p.Close()
	must(t, p.Check(t.Context()))
	if a := s.judge(t, results, "--amqp", broker.URL()); a.exit != 0 || !strings.Contains(a.out, "nothing is left behind in ") {
		t.Errorf("with empty queues: exit %d\n%s%s", a.exit, a.out, a.errors)
	}
	must(t, p.Publish(t.Context(), flashgate.NewMessage(saleID, 1, flashgate.Reservation{Order: s.orders[0], User: s.users[0], Units: 1, At: 1})))
	if a := s.judge(t, results, "--amqp", broker.URL(), "--wait", "5s"); a.exit != 1 || a.red() != "queue" || !strings.Contains(a.out, "queue flashgate.orders.") {
		t.Errorf("with a message: exit %d\n%s%s", a.exit, a.out, a.errors)
	}
}

func TestServersThatAreAway(t *testing.T) {
	t.Parallel()
	s := goodRun(t, embedded(t))
	s.copied(t, serverstest.OwnMariaDB(t))
	results := s.results(t)
	for flag, says := range map[string]string{
		"--redis=redis://127.0.0.1:1": "Redis does not answer", "--redis=127.0.0.1": "--redis is not a URL such as",
		"--amqp=amqp://127.0.0.1:1": "RabbitMQ does not answer",
	} {
		if a := s.judge(t, results, flag); a.exit != 2 || !strings.Contains(a.errors, says) {
			t.Errorf("%s: exit %d, want 2 and %q in %q", flag, a.exit, says, a.errors)
		}
	}
}
