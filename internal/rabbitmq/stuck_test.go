package rabbitmq_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/rabbitmq"
	"flashgate/internal/servers/serverstest"
)

// A quorum queue without a majority answers nothing. The other queues' sales do not
// feel it; its own get an answer at once, and go on when it does.
func TestQueueStuck(t *testing.T) {
	t.Parallel()
	broker := serverstest.RabbitMQ(t)
	cfg := config(t)
	p := openPublisher(t, cfg)
	stuck, other := newSale(), newSale()
	for rabbitmq.OrderQueue(p, other) == rabbitmq.OrderQueue(p, stuck) {
		other = newSale()
	}
	publish(t, p, message(stuck), message(other))
	set := func(verb string) {
		t.Helper()
		if _, err := broker.Ctl("eval", fmt.Sprintf("sys:%s('%%2F_%s').", verb, rabbitmq.OrderQueue(p, stuck))); err != nil {
			t.Fatal(err)
		}
	}
	set("suspend")
	resumed := false
	defer func() {
		if !resumed {
			set("resume")
		}
	}()
	o := p.Outlet()
	late := message(stuck)
	wantCode(t, timed(t, func() error { return p.Publish(t.Context(), late) }), flashgate.CodeUnknownOutcome, "the first publish")
	eventually(t, "the next one fails at once", func() bool {
		begin := time.Now()
		err := timed(t, func() error { return p.Publish(t.Context(), message(stuck)) })
		return flashgate.ErrorCode(err) == flashgate.CodeUnavailable && time.Since(begin) < 100*time.Millisecond
	})
	c := openConsumer(t, cfg)
	ack(t, c, receive(t, c, 1)...)
	for range 20 {
		m := message(other)
		publish(t, p, m)
		ds := receive(t, c, 1)
		wantOrders(t, ds, []flashgate.Message{m}, "the other queue")
		ack(t, c, ds...)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := c.Check(ctx); err == nil || !strings.Contains(err.Error(), rabbitmq.OrderQueue(p, stuck)) {
		t.Errorf("Check says %v, want the queue's name", err)
	}
	// The publisher tries again, on another channel, though nothing was confirmed.
	eventually(t, "another publish is tried", func() bool {
		return flashgate.ErrorCode(p.Publish(t.Context(), message(stuck))) == flashgate.CodeUnknownOutcome
	})
	if o != p.Outlet() {
		t.Error("one queue that is stuck ended the connection")
	}
	set("resume")
	resumed = true
	m := message(stuck)
	eventually(t, "publishing again", func() bool { return p.Publish(t.Context(), m) == nil })
	found := map[flashgate.OrderID]bool{}
	for !found[m.Reservations[0].Order] {
		ds := receive(t, c, 1)
		found[order(t, ds[0])] = true
		ack(t, c, ds...)
	}
	if err := c.Check(t.Context()); err != nil {
		t.Error(err)
	}
}
