package app

import (
	"context"
	"time"

	"flashgate"
)

// Stock returns the stock. Failing to open it is CodeUnavailable, and then nothing
// was reserved.
func (a *App) Stock() (flashgate.Stock, error) {
	if err := a.stock.get(); err != nil {
		return nil, err
	}
	return stockCalls{a.stock}, nil
}

// Sessions returns the session store. Failing to open it is CodeUnavailable.
func (a *App) Sessions() (flashgate.SessionStore, error) {
	if err := a.stock.get(); err != nil {
		return nil, err
	}
	return sessionCalls{a.stock}, nil
}

// Publisher returns the order queue; nil without an error when the stock enqueues
// by itself. Failing to open it is CodeUnavailable.
func (a *App) Publisher() (flashgate.Publisher, error) {
	if a.queue == nil {
		return nil, nil
	}
	if err := a.queue.get(); err != nil {
		return nil, err
	}
	return queueCalls{a.queue}, nil
}

// Limiter returns the counters of access limits.
func (a *App) Limiter() flashgate.Limiter { return stateCalls{a.state} }

// OneTime returns the store of captchas and other values for one use.
func (a *App) OneTime() flashgate.OneTime { return stateCalls{a.state} }

// Pages returns the cache of pages.
func (a *App) Pages() Pages { return a.pageCache }

// Each of these is one port of a backend, by way of through.
type (
	stockCalls   struct{ s *shared[StockBackend] }
	sessionCalls struct{ s *shared[StockBackend] }
	queueCalls   struct{ s *shared[QueueBackend] }
)

func (c stockCalls) Reserve(ctx context.Context, sale flashgate.SaleID, rs []flashgate.Reservation) ([]flashgate.Reserved, error) {
	return through(c.s, func(b StockBackend) ([]flashgate.Reserved, error) { return b.Reserve(ctx, sale, rs) })
}

// ReserveAfter forwards to a stock that clears its outbox on the way, and asks any other
// twice.
func (c stockCalls) ReserveAfter(ctx context.Context, sale flashgate.SaleID, published []flashgate.OrderID, rs []flashgate.Reservation) ([]flashgate.Reserved, error) {
	return through(c.s, func(b StockBackend) ([]flashgate.Reserved, error) {
		switch box := b.(type) {
		case flashgate.OutboxReserver:
			return box.ReserveAfter(ctx, sale, published, rs)
		case flashgate.Outbox:
			if len(published) > 0 {
				_ = box.Published(ctx, sale, published) // as the port says, an error changes nothing
			}
		}
		return b.Reserve(ctx, sale, rs)
	})
}

func (c stockCalls) View(ctx context.Context, sale flashgate.SaleID) (flashgate.StockView, error) {
	return through(c.s, func(b StockBackend) (flashgate.StockView, error) { return b.View(ctx, sale) })
}

func (c stockCalls) Held(ctx context.Context, id flashgate.OrderID) (r flashgate.Reservation, held bool, err error) {
	r, err = through(c.s, func(b StockBackend) (r flashgate.Reservation, err error) {
		r, held, err = b.Held(ctx, id)
		return r, err
	})
	return r, held, err
}

// Freed asks a stock that watches. It is no call to a server, so it passes by the
// circuit; without a watcher it is never in a term.
func (c stockCalls) Freed(ctx context.Context, sale flashgate.SaleID) flashgate.Freed {
	b, err := c.s.enter()
	if err != nil {
		return flashgate.Freed{}
	}
	defer c.s.leave()
	if w, ok := b.(flashgate.FreedWatcher); ok {
		return w.Freed(ctx, sale)
	}
	return flashgate.Freed{}
}

// Published forwards to the stock's outbox. A stock that has none never answers
// OutcomePublish, so there is nothing to take out.
func (c stockCalls) Published(ctx context.Context, sale flashgate.SaleID, ids []flashgate.OrderID) error {
	return do(c.s, func(b StockBackend) error {
		if box, ok := b.(flashgate.Outbox); ok {
			return box.Published(ctx, sale, ids)
		}
		return nil
	})
}

// Lease forwards to the stock's outbox; without one nothing is in it.
func (c stockCalls) Lease(ctx context.Context, sale flashgate.SaleID, age, lease time.Duration, max int) ([]flashgate.Reservation, error) {
	return through(c.s, func(b StockBackend) ([]flashgate.Reservation, error) {
		if box, ok := b.(flashgate.Outbox); ok {
			return box.Lease(ctx, sale, age, lease, max)
		}
		return nil, nil
	})
}

func (c sessionCalls) CreateSession(ctx context.Context, s flashgate.Session) error {
	return do(c.s, func(b StockBackend) error { return b.CreateSession(ctx, s) })
}

func (c sessionCalls) Session(ctx context.Context, key flashgate.SessionKey) (flashgate.Session, error) {
	return through(c.s, func(b StockBackend) (flashgate.Session, error) { return b.Session(ctx, key) })
}

func (c sessionCalls) DeleteSession(ctx context.Context, key flashgate.SessionKey) error {
	return do(c.s, func(b StockBackend) error { return b.DeleteSession(ctx, key) })
}

func (c sessionCalls) DeleteSessionsOf(ctx context.Context, user flashgate.UserID) error {
	return do(c.s, func(b StockBackend) error { return b.DeleteSessionsOf(ctx, user) })
}

// Publish may have published whatever error it returns, so each of them says that the
// queue is not to be trusted with the next order until it has answered.
func (c queueCalls) Publish(ctx context.Context, m flashgate.Message) error {
	return do(c.s, func(b QueueBackend) error {
		err := b.Publish(ctx, m)
		switch flashgate.ErrorCode(err) {
		case "", flashgate.CodeInvalid, flashgate.CodeTooLarge:
		default:
			circuitOf(b).Trip(err)
		}
		return err
	})
}

// Interface guards.
var (
	_ flashgate.Stock          = stockCalls{}
	_ flashgate.FreedWatcher   = stockCalls{}
	_ flashgate.OutboxReserver = stockCalls{}
	_ flashgate.SessionStore   = sessionCalls{}
	_ flashgate.Publisher      = queueCalls{}
)
