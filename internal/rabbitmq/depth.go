package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"flashgate"

	amqp "github.com/rabbitmq/amqp091-go"
)

// gauge asks for the depth of a subscription's queues, on a channel of its own. A call
// of the library cannot be cancelled, it ends with the connection: so there is one at a
// time, and a caller that does not want to wait any longer leaves it to the next.
type gauge struct {
	turn    chan struct{} // room for one
	channel *amqp.Channel // whoever has the turn has it
}

// Depths asks the broker for each queue, by a passive declare, how many messages wait
// in it. What this Consumer was given and has not acked it knows by itself. It opens no
// connection: without one it is CodeUnavailable.
func (c *Consumer) Depths(ctx context.Context) ([]flashgate.QueueDepth, error) {
	const op = "rabbitmq.Depths"
	s, ok := c.link.peek()
	if !ok {
		return nil, unavailable(op, errors.New("there is no connection"))
	}
	ctx, cancel := context.WithTimeout(ctx, c.settings.Timeout)
	defer cancel()
	type reply struct {
		depths []flashgate.QueueDepth
		err    error
	}
	replies := make(chan reply, 1)
	select {
	case s.gauge.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, unavailable(op, errors.Join(errNoReply, context.Cause(ctx)))
	}
	go func() {
		defer func() { <-s.gauge.turn }()
		depths, err := s.depths()
		replies <- reply{depths, err}
	}()
	select {
	case r := <-replies:
		return r.depths, unavailable(op, r.err)
	case <-s.ended:
		return nil, unavailable(op, s.err())
	case <-ctx.Done():
		return nil, unavailable(op, errors.Join(errNoReply, context.Cause(ctx)))
	}
}

// depths asks one queue after the other. The broker closes the channel when a queue is
// not there: the others are then asked on a new one.
func (s *subscription) depths() (out []flashgate.QueueDepth, err error) {
	var errs []error
	for _, in := range s.intakes {
		ch, err := s.gauge.open(s.amqp)
		if err != nil {
			return out, errors.Join(append(errs, err)...)
		}
		q, err := ch.QueueDeclarePassive(in.queue, true, false, false, false, nil)
		if err != nil {
			errs = append(errs, fmt.Errorf("queue %s: %w", in.queue, err))
			continue
		}
		in.mu.Lock()
		unacked := len(in.unacked)
		in.mu.Unlock()
		out = append(out, flashgate.QueueDepth{Queue: strings.TrimPrefix(in.queue, s.Prefix+"."), Ready: q.Messages, Unacked: unacked})
	}
	return out, errors.Join(errs...)
}

func (g *gauge) open(c *amqp.Connection) (*amqp.Channel, error) {
	if g.channel != nil && !g.channel.IsClosed() {
		return g.channel, nil
	}
	ch, err := c.Channel()
	if err != nil {
		return nil, fmt.Errorf("opening a channel: %w", err)
	}
	g.channel = ch
	return ch, nil
}

var _ flashgate.QueueMeter = (*Consumer)(nil)
