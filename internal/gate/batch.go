package gate

import (
	"context"
	"errors"

	"flashgate"
)

// work sends batches until nobody waits. One call of a sale is in flight at a time:
// what arrives meanwhile is the next batch, so the load sets its size, not a timer.
func (g *Gate) work(sale flashgate.SaleID, l *lane) {
	for {
		batch := g.next(sale, l)
		if len(batch) == 0 {
			return
		}
		g.send(sale, batch)
		for _, c := range batch {
			close(c.done)
		}
	}
}

// send fills in the result of each call. Its context is nobody's request: a client
// that leaves must not end the call of its neighbours.
func (g *Gate) send(sale flashgate.SaleID, batch []*call) {
	ctx, cancel := context.WithTimeout(context.Background(), g.cfg.Timeout)
	defer cancel()
	stock, err := g.cfg.Backend.Stock()
	if err != nil {
		fail(batch, func(*call) error { return notOpen(err) })
		return
	}
	rs := make([]flashgate.Reservation, len(batch))
	for i, c := range batch {
		rs[i] = c.reservation
	}
	out, err := stock.Reserve(ctx, sale, rs)
	if err == nil && len(out) != len(batch) {
		err = errors.New("the stock did not answer every reservation")
	}
	if err != nil {
		fail(batch, func(c *call) error { return refusedOrUnknown(c.reservation.Order, err) })
		return
	}
	var publish []*call
	for i, c := range batch {
		c.result = out[i]
		switch out[i].Outcome {
		case flashgate.OutcomePublish:
			publish = append(publish, c)
		case flashgate.OutcomeUnset:
			c.err = unknown(c.reservation.Order, errors.New("the stock gave no outcome"))
		}
	}
	if len(publish) > 0 {
		g.publish(ctx, sale, stock, publish)
	}
}

// publish sends what is held and not yet in the queue, in one message. Without its
// confirm nothing is known, and nothing is released: the relay publishes it again.
func (g *Gate) publish(ctx context.Context, sale flashgate.SaleID, stock flashgate.Stock, calls []*call) {
	var rs []flashgate.Reservation
	var ids []flashgate.OrderID
	seen := map[flashgate.OrderID]bool{}
	for _, c := range calls {
		// The same id twice in a batch is one reservation, sent by an impatient client.
		if id := c.reservation.Order; !seen[id] {
			seen[id] = true
			rs, ids = append(rs, c.reservation), append(ids, id)
		}
	}
	publisher, err := g.cfg.Backend.Publisher()
	if err == nil && publisher == nil {
		err = errors.New("the stock wants orders published and there is no queue")
	}
	if err == nil {
		err = publisher.Publish(ctx, flashgate.NewMessage(sale, calls[0].result.Epoch, rs...))
	}
	if err != nil {
		fail(calls, func(c *call) error { return unknown(c.reservation.Order, err) })
		return
	}
	for _, c := range calls {
		c.result = flashgate.Reserved{Outcome: flashgate.OutcomeAccepted}
	}
	if box, ok := stock.(flashgate.Outbox); ok {
		// An error changes nothing for the buyer: the relay publishes once more, and
		// the ledger finds a duplicate.
		_ = box.Published(ctx, sale, ids)
	}
}

func fail(calls []*call, err func(*call) error) {
	for _, c := range calls {
		c.result, c.err = flashgate.Reserved{}, err(c)
	}
}

// notOpen is for a backend that could not be reached at all.
func notOpen(err error) error {
	if flashgate.ErrorCode(err) == flashgate.CodeUnavailable {
		return err
	}
	return unavailable("", err)
}

// refusedOrUnknown tells the errors that the port gives before anything is reserved
// from all others.
func refusedOrUnknown(order flashgate.OrderID, err error) error {
	switch flashgate.ErrorCode(err) {
	case flashgate.CodeInvalid, flashgate.CodeNotFound:
		return err
	default:
		return unknown(order, err)
	}
}
