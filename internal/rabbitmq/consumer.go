package rabbitmq

import (
	"context"
	"sync/atomic"

	"flashgate"

	amqp "github.com/rabbitmq/amqp091-go"
)

// DeadAttempts is what a delivery from the dead queue has in Attempts beside its own:
// it has failed as often as the order queues allow. Whoever gives up after fewer
// attempts keeps it as a dead letter at its next failure.
const DeadAttempts = 1000

// Consumer takes orders from all order queues and from the dead queue. It is safe for
// concurrent use. Of several consumers each queue serves one, until that one is gone.
//
// A delivery that is returned comes again at once, but behind what of its queue has
// been prefetched. A connection that is lost brings everything unacked again, in
// order, to this consumer or to another.
type Consumer struct {
	settings *settings
	link     *link[*subscription]
	tags     atomic.Uint64 // of all connections, so that an old tag hits nobody
}

// OpenConsumer makes a Consumer. It dials nobody, and Receive waits for a broker that
// is away. CodeInvalid names what is wrong with the configuration, and never repeats
// the password.
func OpenConsumer(cfg Config) (*Consumer, error) {
	s, err := newSettings(cfg, "rabbitmq.OpenConsumer", "flashgate consumer")
	if err != nil {
		return nil, err
	}
	c := &Consumer{settings: s}
	c.link = newLink(s.Logger, func(ctx context.Context) (*subscription, error) { return subscribe(ctx, s, &c.tags) })
	return c, nil
}

// Close ends the connection; what is unacked goes back to the queues.
func (c *Consumer) Close() error {
	c.link.close()
	return nil
}

// Check asks the broker for a sign of life. It also fails when a queue cannot be
// subscribed to; the error names it.
func (c *Consumer) Check(ctx context.Context) error {
	const op = "rabbitmq.Check"
	ctx, cancel := context.WithTimeout(ctx, c.settings.Timeout)
	defer cancel()
	s, err := c.link.get(ctx)
	if err != nil {
		return unavailable(op, err)
	}
	return unavailable(op, s.check(ctx))
}

// Receive returns what is there, at most max and at least one, each queue's in its
// order. It waits, through lost connections too, until its context ends or Close:
// then it is CodeUnavailable.
func (c *Consumer) Receive(ctx context.Context, max int) ([]flashgate.Delivery, error) {
	const op = "rabbitmq.Receive"
	for {
		s, err := c.link.wait(ctx)
		if err != nil {
			return nil, unavailable(op, err)
		}
		if ctx.Err() != nil {
			s.wake() // perhaps this call has taken another's signal
			return nil, unavailable(op, context.Cause(ctx))
		}
		if ds := s.take(max); len(ds) > 0 {
			return ds, nil
		}
		select {
		case <-s.arrived:
		case <-s.ended:
		case <-ctx.Done():
		}
	}
}

// Ack removes deliveries. The broker gives no receipt for an ack: when the connection
// is lost just afterwards, a delivery may come again even after nil. Deliveries of an
// earlier connection are passed over, they come again in any case. A write that
// blocks ends the connection after Config.Timeout; the context does not interrupt it.
func (c *Consumer) Ack(ctx context.Context, ds []flashgate.Delivery) error {
	return c.finish(ctx, "rabbitmq.Ack", ds, (*intake).ack)
}

// Return gives deliveries back, by basic.reject: from RabbitMQ 4.3 on basic.nack does
// not count as an attempt any more. What is said of Ack holds for it.
func (c *Consumer) Return(ctx context.Context, ds []flashgate.Delivery) error {
	return c.finish(ctx, "rabbitmq.Return", ds, (*intake).reject)
}

func (c *Consumer) finish(ctx context.Context, op string, ds []flashgate.Delivery, how func(*intake, []uint64) error) error {
	if ctx.Err() != nil {
		return unavailable(op, context.Cause(ctx))
	}
	s, ok := c.link.peek()
	if !ok {
		return nil
	}
	return unavailable(op, s.finish(ds, how))
}

// attempts reads how often the broker has seen a delivery fail. One that it only says
// comes again has come once at least: not every broker counts every way back.
func attempts(d amqp.Delivery) int {
	n := deliveryCount(d.Headers)
	if d.Redelivered {
		n = max(n, 1)
	}
	return n
}

func deliveryCount(h amqp.Table) int {
	switch n := h["x-delivery-count"].(type) {
	case int64:
		return int(n)
	case int32:
		return int(n)
	case int16:
		return int(n)
	case int8:
		return int(n)
	case uint8:
		return int(n)
	default:
		return 0 // absent from a first delivery
	}
}

var (
	_ flashgate.Consumer = (*Consumer)(nil)
	_ flashgate.Checker  = (*Consumer)(nil)
)
