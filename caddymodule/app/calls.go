package app

import (
	"context"

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
func (a *App) Limiter() flashgate.Limiter { return a.state }

// OneTime returns the store of captchas and other values for one use.
func (a *App) OneTime() flashgate.OneTime { return a.state }

// Pages returns the store of cached pages.
func (a *App) Pages() flashgate.PageStore { return a.state }

// stockCalls, sessionCalls and queueCalls keep the backend open for as long as a
// call runs, also when its configuration has gone meanwhile.
type (
	stockCalls   struct{ s *shared[StockBackend] }
	sessionCalls struct{ s *shared[StockBackend] }
	queueCalls   struct{ s *shared[QueueBackend] }
)

func (c stockCalls) Reserve(ctx context.Context, sale flashgate.SaleID, rs []flashgate.Reservation) ([]flashgate.Reserved, error) {
	b, err := c.s.enter()
	if err != nil {
		return nil, err
	}
	defer c.s.leave()
	return b.Reserve(ctx, sale, rs)
}

func (c stockCalls) View(ctx context.Context, sale flashgate.SaleID) (flashgate.StockView, error) {
	b, err := c.s.enter()
	if err != nil {
		return flashgate.StockView{}, err
	}
	defer c.s.leave()
	return b.View(ctx, sale)
}

func (c stockCalls) Held(ctx context.Context, id flashgate.OrderID) (flashgate.Reservation, bool, error) {
	b, err := c.s.enter()
	if err != nil {
		return flashgate.Reservation{}, false, err
	}
	defer c.s.leave()
	return b.Held(ctx, id)
}

func (c sessionCalls) CreateSession(ctx context.Context, s flashgate.Session) error {
	b, err := c.s.enter()
	if err != nil {
		return err
	}
	defer c.s.leave()
	return b.CreateSession(ctx, s)
}

func (c sessionCalls) Session(ctx context.Context, key flashgate.SessionKey) (flashgate.Session, error) {
	b, err := c.s.enter()
	if err != nil {
		return flashgate.Session{}, err
	}
	defer c.s.leave()
	return b.Session(ctx, key)
}

func (c sessionCalls) DeleteSession(ctx context.Context, key flashgate.SessionKey) error {
	b, err := c.s.enter()
	if err != nil {
		return err
	}
	defer c.s.leave()
	return b.DeleteSession(ctx, key)
}

func (c sessionCalls) DeleteSessionsOf(ctx context.Context, user flashgate.UserID) error {
	b, err := c.s.enter()
	if err != nil {
		return err
	}
	defer c.s.leave()
	return b.DeleteSessionsOf(ctx, user)
}

func (c queueCalls) Publish(ctx context.Context, m flashgate.Message) error {
	b, err := c.s.enter()
	if err != nil {
		return err
	}
	defer c.s.leave()
	return b.Publish(ctx, m)
}

// Interface guards.
var (
	_ flashgate.Stock        = stockCalls{}
	_ flashgate.SessionStore = sessionCalls{}
	_ flashgate.Publisher    = queueCalls{}
)
