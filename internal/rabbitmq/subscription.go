package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"flashgate"

	amqp "github.com/rabbitmq/amqp091-go"
)

// subscription is a Consumer's session: an intake for each queue. Each subscribes by
// itself and for as long as it takes, because a quorum queue without a majority does
// not answer, and must not hold up the others.
type subscription struct {
	*connection
	tags    *atomic.Uint64
	intakes []*intake // the dead queue's is the last
	gauge   gauge
	wg      sync.WaitGroup
	arrived chan struct{} // room for one: something may be ready

	mu      sync.Mutex
	first   int              // the intake that take begins with
	out     map[uint64]slot  // by our own tag: given out, neither acked nor returned
	down    map[string]error // queues that are not subscribed to yet, and why
	changed chan struct{}    // closed and replaced when down changes
}

// slot is where a delivery came from.
type slot struct {
	intake *intake
	tag    uint64 // the broker's, on the intake's channel
}

// intake is one queue on a channel of its own, so that the broker's tags are in the
// queue's order and one ack can stand for many.
type intake struct {
	queue   string
	earlier int // attempts that the queue itself does not know of
	channel *amqp.Channel

	ready []amqp.Delivery // guarded by subscription.mu

	// mu is held while an ack is written: of two that overlap, a multiple ack must not
	// cover a tag whose own ack or reject is still to be written.
	mu      sync.Mutex
	unacked []uint64 // the broker's tags, ascending
}

func subscribe(ctx context.Context, s *settings, tags *atomic.Uint64) (*subscription, error) {
	conn, err := dial(ctx, s)
	if err != nil {
		return nil, err
	}
	sub := &subscription{
		connection: conn, tags: tags, arrived: make(chan struct{}, 1),
		out: map[uint64]slot{}, down: map[string]error{}, changed: make(chan struct{}), gauge: gauge{turn: make(chan struct{}, 1)},
	}
	for i := range s.Queues {
		sub.intakes = append(sub.intakes, &intake{queue: s.orderQueue(i)})
	}
	sub.intakes = append(sub.intakes, &intake{queue: s.deadQueue(), earlier: DeadAttempts})
	for _, in := range sub.intakes {
		sub.down[in.queue] = errNoReply
		sub.wg.Go(func() { sub.fill(in) })
	}
	return sub, nil
}

// fill subscribes, and takes what comes until the connection ends.
func (s *subscription) fill(in *intake) {
	var deliveries <-chan amqp.Delivery
	for wait := shortestWait; deliveries == nil; wait = min(2*wait, longestWait) {
		var err error
		if deliveries, err = s.consume(in); err == nil {
			break
		}
		s.setDown(in.queue, err)
		if e, ok := errors.AsType[*amqp.Error](err); ok && e.Code == amqp.NotFound {
			s.fail(fmt.Errorf("subscribing to queue %s: %w", in.queue, err)) // the next connection makes it
		}
		if !sleep(s.ended, jitter(wait)) {
			return
		}
	}
	s.setDown(in.queue, nil)
	for d := range deliveries {
		in.mu.Lock()
		in.unacked = append(in.unacked, d.DeliveryTag)
		in.mu.Unlock()
		s.mu.Lock()
		in.ready = append(in.ready, d)
		s.mu.Unlock()
		s.signal()
	}
	// The connection has ended, or the queue was deleted: the next connection makes it.
	s.fail(fmt.Errorf("the subscription to queue %s ended", in.queue))
}

// consume waits for the queue's answer, until the connection ends.
func (s *subscription) consume(in *intake) (_ <-chan amqp.Delivery, err error) {
	if in.channel, err = s.amqp.Channel(); err != nil {
		return nil, err
	}
	if err := in.channel.Qos(s.Prefetch, 0, false); err != nil {
		return nil, err
	}
	return in.channel.Consume(in.queue, "", false, false, false, false, nil)
}

func (s *subscription) setDown(queue string, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down[queue] = why; why == nil {
		delete(s.down, queue)
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

// check waits until all queues are subscribed to, then for a sign of life.
func (s *subscription) check(ctx context.Context) error {
	for {
		s.mu.Lock()
		changed := s.changed
		var errs []error
		for queue, why := range s.down {
			errs = append(errs, fmt.Errorf("not subscribed to queue %s: %w", queue, why))
		}
		s.mu.Unlock()
		if len(errs) == 0 {
			return s.connection.check(ctx)
		}
		select {
		case <-changed:
		case <-s.ended:
			return s.err()
		case <-ctx.Done():
			return errors.Join(errs...)
		}
	}
}

func (s *subscription) over() <-chan struct{} { return s.ended }

func (s *subscription) close() {
	s.connection.close()
	s.wg.Wait()
}

// signal wakes one Receive. take hands the signal on when it leaves something.
func (s *subscription) signal() {
	select {
	case s.arrived <- struct{}{}:
	default:
	}
}

// wake signals if there is something.
func (s *subscription) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.ContainsFunc(s.intakes, func(in *intake) bool { return len(in.ready) > 0 }) {
		s.signal()
	}
}

// take gives out what is ready, at most max. Each call begins with another queue, so
// that a busy one does not keep the others waiting.
func (s *subscription) take(most int) []flashgate.Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []flashgate.Delivery
	for i := range s.intakes {
		in := s.intakes[(s.first+i)%len(s.intakes)]
		n := min(max(most, 1)-len(out), len(in.ready))
		for _, d := range in.ready[:n] {
			tag := s.tags.Add(1)
			s.out[tag] = slot{in, d.DeliveryTag}
			out = append(out, flashgate.Delivery{Tag: tag, Body: d.Body, Attempts: in.earlier + attempts(d)})
		}
		clear(in.ready[:n])
		if in.ready = in.ready[n:]; len(in.ready) > 0 {
			s.signal()
		}
	}
	s.first = (s.first + 1) % len(s.intakes)
	return out
}

// finish acks or rejects what is still out of these deliveries.
func (s *subscription) finish(ds []flashgate.Delivery, how func(*intake, []uint64) error) error {
	tags := map[*intake][]uint64{}
	s.mu.Lock()
	for _, d := range ds {
		if o, ok := s.out[d.Tag]; ok {
			delete(s.out, d.Tag)
			tags[o.intake] = append(tags[o.intake], o.tag)
		}
	}
	s.mu.Unlock()
	var errs []error
	for in, ts := range tags {
		slices.Sort(ts)
		if err := how(in, ts); err != nil {
			errs = append(errs, fmt.Errorf("queue %s: %w", in.queue, err))
		}
	}
	err := errors.Join(errs...)
	if err != nil {
		// What is not acked now can never be by us: a new connection brings it again.
		s.fail(fmt.Errorf("acking: %w", err))
	}
	return err
}

// ack writes one multiple ack for those at the head of the queue's unacked, and single
// ones for the rest.
func (in *intake) ack(tags []uint64) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	n := 0
	for n < len(tags) && n < len(in.unacked) && in.unacked[n] == tags[n] {
		n++
	}
	if n > 0 {
		if err := in.channel.Ack(tags[n-1], n > 1); err != nil {
			return err
		}
	}
	for _, t := range tags[n:] {
		if err := in.channel.Ack(t, false); err != nil {
			return err
		}
	}
	in.forget(tags)
	return nil
}

func (in *intake) reject(tags []uint64) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, t := range tags {
		if err := in.channel.Reject(t, true); err != nil {
			return err
		}
	}
	in.forget(tags)
	return nil
}

// forget removes tags, which are ascending, from unacked.
func (in *intake) forget(tags []uint64) {
	in.unacked = slices.DeleteFunc(in.unacked, func(t uint64) bool {
		_, found := slices.BinarySearch(tags, t)
		return found
	})
}
