package rabbitmq

import (
	"errors"
	"fmt"
	"hash/fnv"
	"regexp"
	"strconv"

	"flashgate"

	amqp "github.com/rabbitmq/amqp091-go"
)

// What there is at the broker, with the default prefix:
//
//	exchange flashgate.orders      direct; routing keys are the queues' names
//	queue    flashgate.orders.<i>  quorum, i < Queues: the sales that hash to i
//	exchange flashgate.dead        fanout; gets what failed DeliveryLimit times
//	queue    flashgate.dead        quorum
//	exchange flashgate.events      topic; routing keys are the kinds of event
//	queue    flashgate.partitions  quorum, always empty: its x-max-length is Queues, so
//	                               that the broker refuses a process with another
//	                               number, which would publish to queues that nobody
//	                               reads
//
// At-least-once dead-lettering needs x-overflow reject-publish: with the default the
// broker silently falls back to at-most-once.
// https://www.rabbitmq.com/docs/quorum-queues#activating-at-least-once-dead-lettering

// noDeliveryLimit stands for none on the dead queue: newer brokers default to 20, and
// there a message would be dropped.
const noDeliveryLimit = 1 << 30

func (s *settings) ordersExchange() string  { return s.Prefix + ".orders" }
func (s *settings) deadExchange() string    { return s.Prefix + ".dead" }
func (s *settings) eventsExchange() string  { return s.Prefix + ".events" }
func (s *settings) orderQueue(i int) string { return s.Prefix + ".orders." + strconv.Itoa(i) }
func (s *settings) deadQueue() string       { return s.Prefix + ".dead" }
func (s *settings) partitionsQueue() string { return s.Prefix + ".partitions" }

// partition is the number of a sale's queue: FNV-1a, 32 bits, of the sale's id,
// modulo the number of queues. It must never change.
func (s *settings) partition(sale flashgate.SaleID) int {
	h := fnv.New32a()
	h.Write([]byte(sale))
	return int(h.Sum32() % uint32(s.Queues))
}

// declare makes what is not there yet, on a channel of its own, because the broker
// closes the channel of a declaration that it refuses.
func (s *settings) declare(c *amqp.Connection) error {
	ch, err := c.Channel()
	if err != nil {
		return fmt.Errorf("opening a channel: %w", err)
	}
	defer ch.Close()
	for name, kind := range map[string]string{
		s.ordersExchange(): amqp.ExchangeDirect, s.deadExchange(): amqp.ExchangeFanout, s.eventsExchange(): amqp.ExchangeTopic,
	} {
		if err := ch.ExchangeDeclare(name, kind, true, false, false, false, nil); err != nil {
			return s.refused("exchange "+name, err)
		}
	}
	queue := func(name, exchange string, args amqp.Table) error {
		args[amqp.QueueTypeArg] = amqp.QueueTypeQuorum
		if _, err := ch.QueueDeclare(name, true, false, false, false, args); err != nil {
			return s.refused("queue "+name, err)
		}
		if exchange == "" {
			return nil
		}
		if err := ch.QueueBind(name, name, exchange, false, nil); err != nil {
			return s.refused("binding of queue "+name, err)
		}
		return nil
	}
	// The number of queues first: with another one nothing else may be made.
	if err := queue(s.partitionsQueue(), "", amqp.Table{"x-max-length": s.Queues}); err != nil {
		return err
	}
	if err := queue(s.deadQueue(), s.deadExchange(), amqp.Table{
		"x-single-active-consumer": true, "x-delivery-limit": noDeliveryLimit,
	}); err != nil {
		return err
	}
	for i := range s.Queues {
		if err := queue(s.orderQueue(i), s.ordersExchange(), amqp.Table{
			"x-single-active-consumer": true,
			"x-delivery-limit":         s.DeliveryLimit,
			"x-dead-letter-exchange":   s.deadExchange(),
			"x-dead-letter-strategy":   "at-least-once",
			amqp.QueueOverflowArg:      amqp.QueueOverflowRejectPublish,
		}); err != nil {
			return err
		}
	}
	return nil
}

// inequivalent reads what RabbitMQ says of a queue or an exchange that is there with
// other arguments.
var inequivalent = regexp.MustCompile(`inequivalent arg '([^']+)' for (?:queue|exchange) '[^']*'.*: received (.+) but current is (.+?)"?$`)

// refused explains why a declaration failed.
func (s *settings) refused(what string, err error) error {
	var e *amqp.Error
	if !errors.As(err, &e) || e.Code != amqp.PreconditionFailed {
		return fmt.Errorf("declaring the %s: %w", what, err)
	}
	m := inequivalent.FindStringSubmatch(e.Reason)
	switch {
	case m == nil:
		return fmt.Errorf("declaring the %s: another version or another program made it differently: %w", what, err)
	case m[1] == "x-max-length" && what == "queue "+s.partitionsQueue():
		return fmt.Errorf("this process has %d order queues, those at the broker are %s: give every process the same number; to change it, stop them all, let the queues run empty, and delete every queue that begins with %s: %w",
			s.Queues, m[3], s.Prefix+".", err)
	default:
		return fmt.Errorf("the %s is at the broker with %s = %s, this process wants %s: another version or another configuration made it; give every process the same, or stop them all, let it run empty and delete it: %w",
			what, m[1], m[3], m[2], err)
	}
}
