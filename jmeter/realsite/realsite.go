// Package realsite is a site without its web pages for the tests of the load-test
// programs: Redis, RabbitMQ and MariaDB of the test's own, an order worker in this
// process, and a gate to buy at. It imports the adapters; no program links it.
package realsite

import (
	"context"
	"errors"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/mysql"
	"flashgate/internal/rabbitmq"
	"flashgate/internal/redis"
	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"
	"flashgate/orderworker/worker"

	"github.com/prometheus/client_golang/prometheus"
)

// Site is its stores, open until the test ends.
type Site struct {
	Database  *mysql.Store
	Gate      *redis.Store
	Publisher *rabbitmq.Publisher
	Keys      *flashgate.Keyring

	DSN, RedisURL, AMQPURL string
}

// Start starts the servers and fills the shop with one product. No worker runs yet.
func Start(t testing.TB) *Site {
	t.Helper()
	maria, cache, rabbit := serverstest.OwnMariaDB(t), serverstest.OwnRedis(t, servers.RedisConfig{}), serverstest.OwnRabbitMQ(t)
	if err := maria.CreateDatabase(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	s := &Site{DSN: maria.DSN("shop"), RedisURL: cache.URL(), AMQPURL: rabbit.URL()}
	var err error
	if s.Keys, err = flashgate.ParseKeyring(flashgate.NewKey()); err != nil {
		t.Fatal(err)
	}
	if s.Database, err = mysql.Open(mysql.Config{DSN: s.DSN}); err != nil {
		t.Fatal(err)
	}
	closing(t, s.Database.Close)
	if s.Gate, err = redis.Open(redis.Config{URL: s.RedisURL}); err != nil {
		t.Fatal(err)
	}
	closing(t, s.Gate.Close)
	if s.Publisher, err = rabbitmq.OpenPublisher(rabbitmq.Config{URL: s.AMQPURL}); err != nil {
		t.Fatal(err)
	}
	closing(t, s.Publisher.Close)
	if err := s.Database.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Database.PutGoods(t.Context(), flashgate.Goods{ID: "1", Title: "Kettle", Price: 1000}); err != nil {
		t.Fatal(err)
	}
	return s
}

func closing(t testing.TB, end func() error) {
	t.Cleanup(func() {
		if err := end(); err != nil {
			t.Error(err)
		}
	})
}

// Env are the settings of a program that works on the site.
func (s *Site) Env() []string {
	return []string{"MYSQL_DSN=" + s.DSN, "REDIS_URL=" + s.RedisURL, "AMQP_URL=" + s.AMQPURL}
}

// Work runs an order worker until the test ends or stop is called; through, when it is
// not nil, stands between the worker and the queue.
func (s *Site) Work(t testing.TB, through func(flashgate.Consumer) flashgate.Consumer) (stop func()) {
	t.Helper()
	consumer, err := rabbitmq.OpenConsumer(rabbitmq.Config{URL: s.AMQPURL})
	if err != nil {
		t.Fatal(err)
	}
	cfg := worker.Config{
		Ledger: s.Database, Consumer: consumer, Registry: prometheus.NewRegistry(),
		Gate: &worker.GateConfig{
			Stock: s.Gate, Log: s.Database, Fences: s.Database, Sales: s.Database, Orders: s.Database, Reconciliation: s.Database,
			Publisher: s.Publisher, Events: s.Database,
		},
	}
	if through != nil {
		cfg.Consumer = through(consumer)
	}
	w, err := worker.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	ended := false
	stop = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		// Only then another worker is given what is in the queue.
		if err := errors.Join(<-done, consumer.Close()); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// Buy is what a gateway does: it reserves under a new order id, publishes and takes the
// order out of the outbox. ok: the buyer is told 202.
func (s *Site) Buy(t testing.TB, sale flashgate.SaleID, user flashgate.UserID) (order flashgate.OrderID, ok bool) {
	t.Helper()
	r := s.Reservation(sale, user)
	out, err := s.Gate.Reserve(t.Context(), sale, []flashgate.Reservation{r})
	if err != nil {
		t.Fatal(err)
	}
	switch out[0].Outcome {
	case flashgate.OutcomePublish:
		s.Publish(t, out[0].Epoch, r)
		if err := s.Gate.Published(t.Context(), sale, []flashgate.OrderID{r.Order}); err != nil {
			t.Fatal(err)
		}
		return r.Order, true
	case flashgate.OutcomeSoldOut, flashgate.OutcomeAlreadyBought:
		return r.Order, false
	}
	t.Fatalf("the gate answers %d", out[0].Outcome)
	return "", false
}

// Reservation asks for a unit under a new order id.
func (s *Site) Reservation(sale flashgate.SaleID, user flashgate.UserID) flashgate.Reservation {
	_, order := s.Keys.Mint(flashgate.Claim{Sale: string(sale), User: string(user)}, time.Now().Add(time.Hour))
	return flashgate.Reservation{Order: order, User: user, Units: 1, At: time.Now().UnixMilli()}
}

// Publish sends one reservation in a message of its own.
func (s *Site) Publish(t testing.TB, epoch uint64, r flashgate.Reservation) {
	t.Helper()
	if err := s.Publisher.Publish(t.Context(), flashgate.NewMessage(r.Order.Sale(), epoch, r)); err != nil {
		t.Fatal(err)
	}
}

// patience is how long the site may take for what must happen in the end.
const patience = 30 * time.Second

// Wait polls until ok.
func Wait(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
		<-tick.C
	}
}
