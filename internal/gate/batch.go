package gate

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"

	"flashgate"
	"flashgate/internal/failpoint"
)

// lead carries the batch of a lone request in that request's own goroutine, which saves it
// two changes of goroutines, and leaves what has gathered meanwhile to another.
func (g *Gate) lead(l *lane, c *call, calls []*call, published []flashgate.OrderID) {
	sale := c.reservation.Order.Sale()
	b := g.reserve(sale, l, calls, published)
	if calls, published = g.reserved(sale, l, len(calls)); len(calls) > 0 {
		go g.work(sale, l, calls, published)
	}
	if b != nil {
		g.publish(sale, l, b)
	}
}

// work carries batches until nobody waits. What arrives while AtOnce reservations of a
// sale are under way is the next batch, so the load sets its size, not a timer. Confirms
// are awaited beside it.
func (g *Gate) work(sale flashgate.SaleID, l *lane, calls []*call, published []flashgate.OrderID) {
	for len(calls) > 0 {
		if b := g.reserve(sale, l, calls, published); b != nil {
			go g.publish(sale, l, b)
		}
		// Who is about to ask goes first: the next batch is the larger for it.
		runtime.Gosched()
		calls, published = g.reserved(sale, l, len(calls))
	}
}

// reserved ends one batch's work for a lane and takes the next one.
func (g *Gate) reserved(sale flashgate.SaleID, l *lane, n int) (calls []*call, published []flashgate.OrderID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	l.workers--
	l.underway -= n
	if calls, published = g.next(l); len(calls) == 0 {
		g.leave(sale, l)
	}
	return calls, published
}

// batch is what is held and waits for its confirm.
type batch struct {
	ctx    context.Context // ends Timeout after the reserve began
	cancel context.CancelFunc
	calls  []*call
}

// reserve answers every call but those that have to be published, whose batch counts as
// one that waits for its confirm from here on. Its context is nobody's request: a client
// that leaves must not end the call of its neighbours.
func (g *Gate) reserve(sale flashgate.SaleID, l *lane, calls []*call, published []flashgate.OrderID) *batch {
	ctx, cancel := context.WithTimeout(context.Background(), g.cfg.Timeout)
	out, err := g.decide(ctx, sale, calls, published)
	if err != nil && len(published) > 0 {
		g.mu.Lock()
		l.published = append(l.published, published...)
		g.mu.Unlock()
	}
	b := &batch{ctx: ctx, cancel: cancel}
	for i, c := range calls {
		switch {
		case err != nil:
			c.err = refusedOrUnknown(c.reservation.Order, err)
		case out[i].Outcome == flashgate.OutcomeUnset:
			c.err = unknown(c.reservation.Order, errors.New("the stock gave no outcome"))
		default:
			c.result = out[i]
		}
		if c.result.Outcome == flashgate.OutcomePublish {
			b.calls = append(b.calls, c)
		} else {
			close(c.done)
		}
	}
	if len(b.calls) == 0 {
		cancel()
		return nil
	}
	g.mu.Lock()
	l.publishing++
	g.mu.Unlock()
	return b
}

// recovered makes a panic of a backend an error: a sale whose batch has no end would be
// closed for everybody.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
	}
}

// decide asks the stock. Whatever fails before that has ErrNotSent in its chain.
func (g *Gate) decide(ctx context.Context, sale flashgate.SaleID, calls []*call, published []flashgate.OrderID) (out []flashgate.Reserved, err error) {
	defer recovered(&err)
	stock, err := g.cfg.Backend.Stock()
	if err == nil {
		// With a queue that is away nothing must be reserved.
		err = g.cfg.Backend.Ready(ctx)
	}
	if err != nil {
		return nil, errors.Join(ErrNotSent, err)
	}
	if g.cfg.OnBatch != nil {
		g.cfg.OnBatch(len(calls))
	}
	rs := make([]flashgate.Reservation, len(calls))
	for i, c := range calls {
		rs[i] = c.reservation
	}
	q := ask(ctx, stock, sale)
	out, err = reserveAfter(ctx, stock, sale, published, rs)
	failpoint.Hit(failpoint.Reserved)
	if err == nil && len(out) != len(calls) {
		err = errors.New("the stock did not answer every reservation")
	}
	if err == nil {
		g.refusals.note(sale, q, calls, out)
	}
	return out, err
}

// reserveAfter takes published ids out of the outbox and reserves, in one round trip
// where the stock can do that.
func reserveAfter(ctx context.Context, stock flashgate.Stock, sale flashgate.SaleID, published []flashgate.OrderID, rs []flashgate.Reservation) ([]flashgate.Reserved, error) {
	if box, ok := stock.(flashgate.OutboxReserver); ok {
		return box.ReserveAfter(ctx, sale, published, rs)
	}
	if box, ok := stock.(flashgate.Outbox); ok && len(published) > 0 {
		_ = box.Published(ctx, sale, published) // see clear
	}
	return stock.Reserve(ctx, sale, rs)
}

// clear takes ids out of the outbox in a call of its own. An error changes nothing for the
// buyer: the relay publishes once more, and the ledger finds a duplicate.
func (g *Gate) clear(sale flashgate.SaleID, published []flashgate.OrderID) {
	if len(published) == 0 {
		return
	}
	stock, err := g.cfg.Backend.Stock()
	if box, ok := stock.(flashgate.Outbox); ok && err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), g.cfg.Timeout)
		defer cancel()
		_ = box.Published(ctx, sale, published)
	}
}

// publish sends what is held and not yet in the queue and answers. Then it may leave the
// outbox; no buyer waits for that.
func (g *Gate) publish(sale flashgate.SaleID, l *lane, b *batch) {
	ids, err := g.send(sale, b)
	b.cancel()
	if err == nil {
		failpoint.Hit(failpoint.Confirmed)
	}
	for _, c := range b.calls {
		if c.result = (flashgate.Reserved{Outcome: flashgate.OutcomeAccepted}); err != nil {
			c.result, c.err = flashgate.Reserved{}, unknown(c.reservation.Order, err)
		}
		close(c.done)
	}
	g.mu.Lock()
	l.publishing--
	if err == nil {
		l.published = append(l.published, ids...)
	}
	g.start(sale, l)
	g.leave(sale, l)
	g.mu.Unlock()
}

// send publishes a batch in one message and waits for its confirm. Without it nothing
// is known, and nothing is released: the relay publishes it again.
func (g *Gate) send(sale flashgate.SaleID, b *batch) (ids []flashgate.OrderID, err error) {
	defer recovered(&err)
	rs := make([]flashgate.Reservation, 0, len(b.calls))
	ids = make([]flashgate.OrderID, 0, len(b.calls))
	seen := make(map[flashgate.OrderID]bool, len(b.calls))
	for _, c := range b.calls {
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
	if err != nil {
		return ids, err
	}
	return ids, publisher.Publish(b.ctx, flashgate.NewMessage(sale, b.calls[0].result.Epoch, rs...))
}

// notOpen is for a backend that could not be reached at all.
func notOpen(err error) error {
	if e, ok := errors.AsType[*flashgate.Error](err); ok && e.Code == flashgate.CodeUnavailable {
		return e
	}
	return unavailable("", err)
}

// refusedOrUnknown tells errors that leave nothing reserved from all others.
func refusedOrUnknown(order flashgate.OrderID, err error) error {
	switch code := flashgate.ErrorCode(err); {
	case code == flashgate.CodeInvalid, code == flashgate.CodeNotFound:
		return err
	case errors.Is(err, ErrNotSent):
		return notOpen(err)
	default:
		return unknown(order, err)
	}
}
