package sqlite

import (
	"context"
	"maps"
	"time"

	"flashgate"
)

// pollEvery is how often Receive looks for messages that another process has
// enqueued, and whether another consumer is gone. What this process enqueues wakes
// it at once.
const pollEvery = 100 * time.Millisecond

// enqueue writes one message per MaxMessageReservations.
func (t *txn) enqueue(sale flashgate.SaleID, epoch uint64, rs []flashgate.Reservation) error {
	for len(rs) > 0 {
		n := min(len(rs), flashgate.MaxMessageReservations)
		body, err := flashgate.EncodeMessage(flashgate.NewMessage(sale, epoch, rs[:n]...))
		if err != nil {
			return err
		}
		if _, err := t.exec("enqueue", body); err != nil {
			return err
		}
		rs = rs[n:]
	}
	return nil
}

// Publish enqueues one message. The gate does not need it; tools and tests do.
func (s *Store) Publish(ctx context.Context, m flashgate.Message) error {
	body, err := flashgate.EncodeMessage(m)
	if err != nil {
		return err
	}
	return s.PublishRaw(ctx, body)
}

// PublishRaw enqueues a body as it is, readable or not.
func (s *Store) PublishRaw(ctx context.Context, body []byte) error {
	_, err := write(ctx, s, "sqlite.Publish", func(t *txn) (struct{}, error) {
		_, err := t.exec("enqueue", body)
		return struct{}{}, err
	})
	if err == nil {
		s.wake()
	}
	return err
}

// wake lets Receive look again.
func (s *Store) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.enqueued)
	s.enqueued = make(chan struct{})
}

// Receive takes the oldest messages that are not in flight. Of several processes
// on one file only one consumes: it holds a lock on the file beside the data file,
// which the system releases when the process ends, however it ends.
func (s *Store) Receive(ctx context.Context, max int) ([]flashgate.Delivery, error) {
	const op = "sqlite.Receive"
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if err := ctx.Err(); err != nil {
			return nil, unavailable(op, context.Cause(ctx))
		}
		s.mu.Lock()
		enqueued := s.enqueued // taken before the look, so that no message slips by
		s.mu.Unlock()
		ds, err := s.head(ctx, max)
		if err != nil {
			return nil, unavailable(op, err)
		}
		if len(ds) > 0 {
			return ds, nil
		}
		select {
		case <-ctx.Done():
		case <-enqueued:
		case <-tick.C:
		}
	}
}

func (s *Store) head(ctx context.Context, max int) ([]flashgate.Delivery, error) {
	active, err := s.consumer.TryLock()
	if err != nil || !active {
		return nil, err
	}
	// One look at a time. What was in flight before it is passed over even if it has
	// been acked meanwhile: the rows may have been read before the ack.
	s.looking.Lock()
	defer s.looking.Unlock()
	s.mu.Lock()
	before := maps.Clone(s.inFlight)
	s.mu.Unlock()
	rows, err := all(ctx, s, func(r scanner) (d flashgate.Delivery, err error) {
		return d, r.Scan(&d.Tag, &d.Body, &d.Attempts)
	}, "queue_head", max+len(before))
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []flashgate.Delivery
	for _, d := range rows {
		if len(out) < max && !before[d.Tag] {
			s.inFlight[d.Tag] = true
			out = append(out, d)
		}
	}
	return out, nil
}

// Ack deletes the messages.
func (s *Store) Ack(ctx context.Context, ds []flashgate.Delivery) error {
	return s.finish(ctx, "sqlite.Ack", "queue_ack", ds)
}

// Return counts the attempt and lets the messages be received again.
func (s *Store) Return(ctx context.Context, ds []flashgate.Delivery) error {
	err := s.finish(ctx, "sqlite.Return", "queue_return", ds)
	s.wake()
	return err
}

// finish ends deliveries. After an error they are given out again: at least once.
func (s *Store) finish(ctx context.Context, op, statement string, ds []flashgate.Delivery) error {
	_, err := write(ctx, s, op, func(t *txn) (struct{}, error) {
		for _, d := range ds {
			if _, err := t.exec(statement, d.Tag); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	})
	s.mu.Lock()
	for _, d := range ds {
		delete(s.inFlight, d.Tag)
	}
	s.mu.Unlock()
	return err
}

var (
	_ flashgate.Publisher = (*Store)(nil)
	_ flashgate.Consumer  = (*Store)(nil)
)
