package rabbitmq_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/rabbitmq"
	"flashgate/internal/servers/serverstest"
)

// depth is what a consumer says of a queue: ready, unacked.
func depth(t *testing.T, c *rabbitmq.Consumer, queue string) (d [2]int) {
	t.Helper()
	all, err := c.Depths(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(d flashgate.QueueDepth) bool { return d.Queue == queue })
	if len(all) != 3 || i < 0 {
		t.Fatalf("the queues are %+v", all)
	}
	return [2]int{all[i].Ready, all[i].Unacked}
}

// The consumer that a queue serves has some in hand, the rest is ready, and another
// consumer sees only what is ready.
func TestDepths(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	cfg.Prefetch = 4
	p, first, second := openPublisher(t, cfg), openConsumer(t, cfg), openConsumer(t, cfg)
	if _, err := first.Depths(t.Context()); flashgate.ErrorCode(err) != flashgate.CodeUnavailable {
		t.Errorf("without a connection: %v", err)
	}
	for _, c := range []*rabbitmq.Consumer{first, second} { // in this order: the first is served
		eventually(t, "subscribed", func() bool { return c.Check(t.Context()) == nil })
	}
	sale := newSale()
	queue := []string{"orders.0", "orders.1"}[rabbitmq.Partition(cfg.Queues, sale)]
	if got := depth(t, first, queue); got != [2]int{} {
		t.Errorf("an empty queue has %v", got)
	}
	for range 10 {
		publish(t, p, message(sale))
	}
	wants := func(c *rabbitmq.Consumer, want [2]int, what string) {
		t.Helper()
		var got [2]int
		defer func() {
			if got != want {
				t.Logf("%s: %v", what, got)
			}
		}()
		eventually(t, what, func() bool { got = depth(t, c, queue); return got == want })
	}
	wants(first, [2]int{6, 4}, "4 of 10 prefetched")
	wants(second, [2]int{6, 0}, "the other consumer has none")
	ack(t, first, receive(t, first, 2)...)
	wants(first, [2]int{4, 4}, "2 acked")
	for range 2 {
		ack(t, first, receive(t, first, 4)...)
	}
	wants(first, [2]int{0, 0}, "all acked")
	if got := depth(t, first, "dead"); got != [2]int{} {
		t.Errorf("the dead queue has %v", got)
	}
}

// A broker that does not answer costs no more than the caller's patience.
func TestDepthsFail(t *testing.T) {
	t.Parallel()
	broker := serverstest.OwnRabbitMQ(t)
	c := openConsumer(t, own(t, broker.URL()))
	eventually(t, "subscribed", func() bool { return c.Check(t.Context()) == nil })
	if err := broker.Pause(); err != nil {
		t.Fatal(err)
	}
	for range 3 { // the second waits for its turn
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		begin := time.Now()
		_, err := c.Depths(ctx)
		cancel()
		if took := time.Since(begin); flashgate.ErrorCode(err) != flashgate.CodeUnavailable || took > 2*time.Second {
			t.Errorf("of a frozen broker: %v after %v", err, took)
		}
	}
	if err := broker.Resume(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all queues answer", func() bool {
		all, err := c.Depths(t.Context())
		return err == nil && len(all) == 3
	})
}
