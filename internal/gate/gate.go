package gate

import (
	"context"
	"sync"
	"time"

	"flashgate"
)

// MaxBatch is the most reservations that travel in one call.
const MaxBatch = 256

// Backend gives the ports when they are needed. An error means that nothing has
// been done.
type Backend interface {
	Stock() (flashgate.Stock, error)
	// Publisher may be nil for a stock that never answers OutcomePublish.
	Publisher() (flashgate.Publisher, error)
}

// Config is what New needs.
type Config struct {
	Backend    Backend
	Timeout    time.Duration // for a request, from Reserve to its answer; default 2 s
	MaxWaiting int           // requests that may wait at once, over all sales; default 10,000
}

// Gate is safe for concurrent use. It runs a goroutine per sale only while requests
// of that sale wait.
type Gate struct {
	cfg Config

	mu      sync.Mutex
	waiting int
	lanes   map[flashgate.SaleID]*lane
}

// lane is one sale's queue. It exists while a goroutine works on it.
type lane struct{ queue []*call }

// call is one request that waits.
type call struct {
	reservation flashgate.Reservation
	taken       bool // it has left the queue: from here on it may be reserved
	done        chan struct{}
	result      flashgate.Reserved
	err         error
}

// New makes a gate.
func New(cfg Config) *Gate {
	if cfg.Timeout <= 0 {
		cfg.Timeout = 2 * time.Second
	}
	if cfg.MaxWaiting <= 0 {
		cfg.MaxWaiting = 10_000
	}
	return &Gate{cfg: cfg, lanes: map[flashgate.SaleID]*lane{}}
}

// Reserve decides one reservation. A nil error with OutcomeAccepted means held and
// durable, published where that is needed; OutcomePublish is never returned.
//
// Errors are *flashgate.Error:
//
//	CodeInvalid         the reservation is not valid; nothing was reserved
//	CodeUnavailable     too many wait, the backend does not open, or the time was
//	                    over before it was sent; nothing was reserved
//	CodeUnknownOutcome  it was sent and is not known to be durable; carries the order
//
// A context that ends takes the request out of the queue. If it has been sent, the
// call goes on without it, for its neighbours and for the buyer, who may poll.
func (g *Gate) Reserve(ctx context.Context, r flashgate.Reservation) (flashgate.Reserved, error) {
	if err := r.Validate(); err != nil {
		return flashgate.Reserved{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, g.cfg.Timeout)
	defer cancel()
	c := &call{reservation: r, done: make(chan struct{})}
	if err := g.join(c); err != nil {
		return flashgate.Reserved{}, err
	}
	defer g.left()
	select {
	case <-c.done:
		return c.result, c.err
	case <-ctx.Done():
	}
	if g.withdraw(c) {
		return flashgate.Reserved{}, unavailable("The sale is very busy. Try again.", ctx.Err())
	}
	select {
	case <-c.done: // answered meanwhile
		return c.result, c.err
	default:
		return flashgate.Reserved{}, unknown(r.Order, ctx.Err())
	}
}

// join puts the call into its sale's queue and sees to it that somebody works there.
func (g *Gate) join(c *call) error {
	sale := c.reservation.Order.Sale()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.waiting >= g.cfg.MaxWaiting {
		return unavailable("Too many requests wait. Try again.", nil)
	}
	g.waiting++
	l := g.lanes[sale]
	if l == nil {
		l = &lane{}
		g.lanes[sale] = l
		go g.work(sale, l)
	}
	l.queue = append(l.queue, c)
	return nil
}

func (g *Gate) left() {
	g.mu.Lock()
	g.waiting--
	g.mu.Unlock()
}

// withdraw takes the call out of the queue, unless it has been sent.
func (g *Gate) withdraw(c *call) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.taken {
		return false
	}
	c.taken = true // next passes over it
	return true
}

// next takes the calls that are to travel together, oldest first. Without any it
// closes the lane.
func (g *Gate) next(sale flashgate.SaleID, l *lane) []*call {
	g.mu.Lock()
	defer g.mu.Unlock()
	var batch []*call
	n := 0
	for ; n < len(l.queue) && len(batch) < MaxBatch; n++ {
		if c := l.queue[n]; !c.taken {
			c.taken = true
			batch = append(batch, c)
		}
	}
	rest := copy(l.queue, l.queue[n:])
	clear(l.queue[rest:])
	l.queue = l.queue[:rest]
	if len(batch) == 0 {
		delete(g.lanes, sale)
	}
	return batch
}

func unavailable(message string, cause error) error {
	return &flashgate.Error{Code: flashgate.CodeUnavailable, Op: "gate.Reserve", Message: message, RetryAfter: time.Second, Err: cause}
}

func unknown(order flashgate.OrderID, cause error) error {
	return &flashgate.Error{Code: flashgate.CodeUnknownOutcome, Op: "gate.Reserve", Order: order,
		Message: "The order may have been placed: ask for its state.", RetryAfter: 2 * time.Second, Err: cause}
}
