package rabbitmq_test

import (
	"strings"
	"testing"

	"flashgate"
	"flashgate/internal/rabbitmq"
)

// Where a sale is must never change: these numbers are what is deployed.
func TestPartition(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sale   flashgate.SaleID
		queues int
		want   int
	}{
		{"1", 8, 4}, {"2", 8, 5}, {"3", 8, 2}, {"spring", 8, 4}, {"1", 1, 0}, {"1", 64, 28}, {"spring", 64, 44},
	} {
		if got := rabbitmq.Partition(c.queues, c.sale); got != c.want {
			t.Errorf("sale %s is in queue %d of %d, want %d", c.sale, got, c.queues, c.want)
		}
	}
	seen := map[int]int{}
	for range 1000 {
		seen[rabbitmq.Partition(8, newSale())]++
	}
	for i := range 8 {
		if seen[i] < 60 {
			t.Errorf("queue %d gets %d of 1000 sales", i, seen[i])
		}
	}
}

// A process with other settings than the queues were made with is refused, and told
// what differs.
func TestTopologyMismatch(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	publish(t, openPublisher(t, cfg), message(newSale()))
	for _, c := range []struct {
		name   string
		change func(*rabbitmq.Config)
		want   []string
	}{
		{"delivery limit", func(c *rabbitmq.Config) { c.DeliveryLimit = 7 }, []string{"x-delivery-limit = '50'", "this process wants '7'", "delete it", cfg.Prefix + ".orders.0"}},
		{"more queues", func(c *rabbitmq.Config) { c.Queues = 3 }, []string{"this process has 3 order queues", "'2'", "give every process the same number"}},
		{"fewer queues", func(c *rabbitmq.Config) { c.Queues = 1 }, []string{"this process has 1 order queues", "'2'"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			other := cfg
			c.change(&other)
			p, consumer := openPublisher(t, other), openConsumer(t, other)
			err := p.Publish(t.Context(), message(newSale()))
			wantCode(t, err, flashgate.CodeUnavailable, "Publish")
			for _, err := range []error{err, p.Check(t.Context()), consumer.Check(t.Context())} {
				for _, w := range c.want {
					if err == nil || !strings.Contains(err.Error(), w) {
						t.Errorf("the error does not say %q: %v", w, err)
					}
				}
			}
		})
	}
}

// The dead-letter exchange may be there with another type: exchanges are explained too.
func TestExchangeMismatch(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	if err := channel(t, cfg.URL).ExchangeDeclare(cfg.Prefix+".dead", "headers", true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	err := openPublisher(t, cfg).Check(t.Context())
	wantCode(t, err, flashgate.CodeUnavailable, "Check")
	if err != nil && !strings.Contains(err.Error(), "type = 'headers', this process wants 'fanout'") {
		t.Errorf("the error does not explain: %v", err)
	}
}
