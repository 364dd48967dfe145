package rabbitmq_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/rabbitmq"
	"flashgate/internal/servers/serverstest"
)

// publishLimit is the promise, with some room for a busy machine.
const publishLimit = flashgate.PublishWindow + 500*time.Millisecond

// timed fails the test if a publish takes longer than is promised.
func timed(t *testing.T, publish func() error) error {
	t.Helper()
	begin := time.Now()
	err := publish()
	if took := time.Since(begin); took > publishLimit {
		t.Errorf("Publish took %v, at most %v are allowed", took, publishLimit)
	}
	return err
}

// A broker that is there and does not answer: a publish ends in time as unknown, the
// next ones fail at once, and everything goes on when the broker does.
func TestBrokerFrozen(t *testing.T) {
	t.Parallel()
	broker := serverstest.OwnRabbitMQ(t)
	cfg := own(t, broker.URL())
	for _, c := range []struct {
		name string
		test func(*testing.T, *rabbitmq.Publisher)
	}{
		{"one message", func(t *testing.T, p *rabbitmq.Publisher) {
			wantCode(t, timed(t, func() error { return p.Publish(t.Context(), message(newSale())) }), flashgate.CodeUnknownOutcome, "Publish to a frozen broker")
		}},
		{"full buffers", func(t *testing.T, p *rabbitmq.Publisher) {
			// More than the kernel's buffers take, so that writes block.
			body := []byte(strings.Repeat("x", flashgate.MaxMessageBytes))
			sale := newSale()
			var wg sync.WaitGroup
			for range 100 {
				wg.Go(func() {
					if timed(t, func() error { return p.PublishRaw(t.Context(), sale, body) }) == nil {
						t.Error("a frozen broker confirmed a message")
					}
				})
			}
			wg.Wait()
		}},
	} {
		p, consumer := openPublisher(t, cfg), openConsumer(t, cfg)
		publish(t, p, message(newSale()))
		ack(t, consumer, receive(t, consumer, 1)...)
		if err := broker.Pause(); err != nil {
			t.Fatal(err)
		}
		c.test(t, p)
		eventually(t, c.name+": the connection is given up", func() bool {
			begin := time.Now()
			err := timed(t, func() error { return p.Publish(t.Context(), message(newSale())) })
			took := time.Since(begin)
			if took > flashgate.PublishWindow*3/4 {
				t.Errorf("%s: the next publish waited again, for %v", c.name, took)
			}
			return flashgate.ErrorCode(err) == flashgate.CodeUnavailable && took < 100*time.Millisecond
		})
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		if consumer.Check(ctx) == nil {
			t.Errorf("%s: Check of a frozen broker says that all is well", c.name)
		}
		cancel()
		if err := broker.Resume(); err != nil {
			t.Fatal(err)
		}
		m := message(newSale())
		eventually(t, c.name+": publishing again", func() bool { return p.Publish(t.Context(), m) == nil })
		for found := false; !found; {
			ds := receive(t, consumer, 1)
			// What was written while the broker stood still may be there too.
			got, err := flashgate.DecodeMessage(ds[0].Body)
			found = err == nil && got.Reservations[0].Order == m.Reservations[0].Order
			_ = consumer.Ack(t.Context(), ds) // on an old connection perhaps
		}
		closed(t, p)
		closed(t, consumer)
	}

	// Short of memory, the broker blocks whoever publishes, and says so.
	p := openPublisher(t, cfg)
	publish(t, p, message(newSale()))
	if _, err := broker.Ctl("set_vm_memory_high_watermark", "absolute", "1"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a publish fails at once because the broker blocks", func() bool {
		begin := time.Now()
		err := timed(t, func() error { return p.Publish(t.Context(), message(newSale())) })
		return flashgate.ErrorCode(err) == flashgate.CodeUnavailable && strings.Contains(err.Error(), "blocked") && time.Since(begin) < 100*time.Millisecond
	})
	if err := p.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "blocked") {
		t.Errorf("Check says %v of a broker that blocks", err)
	}
	if _, err := broker.Ctl("set_vm_memory_high_watermark", "0.6"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "publishing again", func() bool { return p.Publish(t.Context(), message(newSale())) == nil })
}
