package rabbitmq_test

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/rabbitmq"
	"flashgate/internal/servers/serverstest"

	amqp "github.com/rabbitmq/amqp091-go"
)

func TestMain(m *testing.M) { serverstest.Main(m) }

// patience is long enough for a busy machine; nothing waits for it when all is well.
const patience = 60 * time.Second

// config has names of its own on the shared broker. What it names is deleted at the
// test's end.
func config(t testing.TB) rabbitmq.Config {
	t.Helper()
	return own(t, serverstest.RabbitMQ(t).URL())
}

// own is a config with names of its own on a broker.
func own(t testing.TB, url string) rabbitmq.Config {
	t.Helper()
	cfg := rabbitmq.Config{URL: url, Prefix: "test-" + strings.ToLower(rand.Text()), Queues: 2}
	t.Cleanup(func() {
		c, err := amqp.Dial(url)
		if err != nil {
			return // the test's own broker has ended
		}
		defer c.Close()
		ch, err := c.Channel()
		if err != nil {
			t.Error(err)
			return
		}
		for _, q := range []string{".orders.0", ".orders.1", ".dead", ".partitions"} {
			if _, err := ch.QueueDelete(cfg.Prefix+q, false, false, false); err != nil {
				t.Error(err)
			}
		}
		for _, e := range []string{".orders", ".dead", ".events"} {
			if err := ch.ExchangeDelete(cfg.Prefix+e, false, false); err != nil {
				t.Error(err)
			}
		}
	})
	return cfg
}

func openPublisher(t testing.TB, cfg rabbitmq.Config) *rabbitmq.Publisher {
	t.Helper()
	p, err := rabbitmq.OpenPublisher(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, p) })
	return p
}

func openConsumer(t testing.TB, cfg rabbitmq.Config) *rabbitmq.Consumer {
	t.Helper()
	c, err := rabbitmq.OpenConsumer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, c) })
	return c
}

func closed(t testing.TB, c interface{ Close() error }) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// channel is a plain AMQP channel, to look at the broker from beside.
func channel(t testing.TB, url string) *amqp.Channel {
	t.Helper()
	c, err := amqp.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	ch, err := c.Channel()
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

var keys = func() *flashgate.Keyring {
	k, err := flashgate.ParseKeyring(flashgate.NewKey())
	if err != nil {
		panic(err)
	}
	return k
}()

func newSale() flashgate.SaleID {
	return flashgate.SaleID("s" + strings.ToLower(rand.Text()))
}

// message has one reservation of a new order.
func message(sale flashgate.SaleID) flashgate.Message {
	user := "u" + rand.Text()
	_, id := keys.Mint(flashgate.Claim{Sale: string(sale), User: user}, time.Now().Add(time.Hour))
	return flashgate.NewMessage(sale, 1, flashgate.Reservation{
		Order: id, User: flashgate.UserID(user), Units: 1, At: time.Now().UnixMilli(),
	})
}

// publish sends messages. Unavailable means that nothing was written, as when a busy
// machine needs longer than a publish has to connect: then it is tried again.
func publish(t testing.TB, p *rabbitmq.Publisher, ms ...flashgate.Message) {
	t.Helper()
	for _, m := range ms {
		eventually(t, "Publish", func() bool {
			err := p.Publish(t.Context(), m)
			if err != nil && flashgate.ErrorCode(err) != flashgate.CodeUnavailable {
				t.Fatalf("Publish: %v", err)
			}
			return err == nil
		})
	}
}

// receive takes exactly n deliveries.
func receive(t testing.TB, c *rabbitmq.Consumer, n int) []flashgate.Delivery {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var out []flashgate.Delivery
	for len(out) < n {
		ds, err := c.Receive(ctx, n-len(out))
		if err != nil {
			t.Fatalf("Receive: %v, after %d of %d", err, len(out), n)
		}
		out = append(out, ds...)
	}
	return out
}

func ack(t testing.TB, c *rabbitmq.Consumer, ds ...flashgate.Delivery) {
	t.Helper()
	if err := c.Ack(t.Context(), ds); err != nil {
		t.Fatalf("Ack: %v", err)
	}
}

// wantNothing fails the test when something comes within a quarter of a second.
func wantNothing(t testing.TB, c *rabbitmq.Consumer, when string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond)
	defer cancel()
	if ds, err := c.Receive(ctx, 100); err == nil {
		t.Errorf("%s: %d deliveries came", when, len(ds))
	}
}

// wantOrders compares deliveries with one-reservation messages, in order.
func wantOrders(t testing.TB, ds []flashgate.Delivery, ms []flashgate.Message, what string) {
	t.Helper()
	var got, want []flashgate.OrderID
	for _, d := range ds {
		got = append(got, order(t, d))
	}
	for _, m := range ms {
		want = append(want, m.Reservations[0].Order)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v\nwant %v", what, got, want)
	}
}

func order(t testing.TB, d flashgate.Delivery) flashgate.OrderID {
	t.Helper()
	m, err := flashgate.DecodeMessage(d.Body)
	if err != nil {
		t.Fatal(err)
	}
	return m.Reservations[0].Order
}

func wantCode(t testing.TB, err error, code flashgate.Code, what string) {
	t.Helper()
	if err == nil || flashgate.ErrorCode(err) != code {
		t.Errorf("%s: got %v, want code %s", what, err, code)
	}
}

// eventually polls until the condition holds.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !condition(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
