package servers_test

import (
	"path/filepath"
	"strings"
	"testing"

	"flashgate/internal/servers"
	"flashgate/internal/servers/serverstest"

	amqp "github.com/rabbitmq/amqp091-go"
)

const queueName = "orders"

func amqpChannel(t *testing.T, r *servers.RabbitMQ) *amqp.Channel {
	t.Helper()
	conn, err := amqp.Dial(r.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

func declare(t *testing.T, ch *amqp.Channel) int {
	t.Helper()
	q, err := ch.QueueDeclare(queueName, true, false, false, false, amqp.Table{"x-queue-type": "quorum"})
	if err != nil {
		t.Fatal(err)
	}
	return q.Messages
}

func publish(t *testing.T, r *servers.RabbitMQ) {
	t.Helper()
	ch := amqpChannel(t, r)
	declare(t, ch)
	if err := ch.Confirm(false); err != nil {
		t.Fatal(err)
	}
	c, err := ch.PublishWithDeferredConfirmWithContext(t.Context(), "", queueName, true, false, amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte("x")})
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := c.WaitContext(t.Context()); !ok || err != nil {
		t.Fatal(ok, err)
	}
}

func TestRabbitMQComesBackWithItsData(t *testing.T) {
	t.Parallel()
	r := serverstest.OwnRabbitMQ(t)
	// Stop comes first: RabbitMQ 3.10 syncs its list of quorum queues about a second
	// late, and one that was declared just before a kill comes back without a leader.
	for i, end := range []func() error{r.Stop, r.Kill} {
		publish(t, r)
		ids := r.Processes()
		if len(ids) != 2 {
			t.Errorf("processes %v", ids)
		}
		if err := end(); err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			if id.Alive() {
				t.Errorf("%s runs", id.Name)
			}
		}
		if err := r.Start(); err != nil {
			t.Fatal(err)
		}
		ch := amqpChannel(t, r)
		for n := range i + 1 {
			if _, ok, err := ch.Get(queueName, false); err != nil || !ok {
				t.Errorf("message %d: %v, %v", n+1, ok, err)
			}
		}
	}
	checkClosed(t, r)
}

// The shared node and one of its own run at the same time; rabbitmqctl speaks with
// the right one.
func TestTwoRabbitMQAtTheSameTime(t *testing.T) {
	t.Parallel()
	a, b := serverstest.RabbitMQ(t), serverstest.OwnRabbitMQ(t)
	if a.URL() == b.URL() {
		t.Fatal(a.URL())
	}
	declare(t, amqpChannel(t, b))
	for r, want := range map[*servers.RabbitMQ]bool{a: false, b: true} {
		out, err := r.Ctl("list_queues", "name", "type")
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(out, queueName+"\tquorum"); got != want {
			t.Errorf("%s: %v, %q", r.URL(), got, out)
		}
	}
	if _, err := b.Ctl("no_such_command"); err == nil {
		t.Error("an unknown command succeeded")
	}
	if err := b.Pause(); err != nil {
		t.Error(err)
	}
	if err := b.Resume(); err != nil {
		t.Error(err)
	}
	if n := declare(t, amqpChannel(t, b)); n != 0 {
		t.Errorf("%d messages", n)
	}
}

func TestRabbitMQRefusesAPathThatItCannotLiveIn(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "it's here")
	r, err := servers.StartRabbitMQ(servers.RabbitMQConfig{Dir: dir})
	if err == nil {
		_ = r.Close()
		t.Fatal("started")
	}
	if !strings.Contains(err.Error(), dir) {
		t.Error(err)
	}
}
