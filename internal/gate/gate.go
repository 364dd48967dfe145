package gate

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"flashgate"
)

const (
	// MaxBatch is the most reservations that travel in one call. As one message they
	// stay far below flashgate.MaxMessageBytes, whatever the users are called.
	MaxBatch = 256

	// MaxPublishing is how many messages of one sale wait for their confirms at once.
	// While they do, the next batch is reserved.
	MaxPublishing = 4

	// clearAfter is how long published orders wait in the outbox for a batch that takes
	// them out on its way. It is far below flashgate.PublishWindow, after which the relay
	// would publish them once more.
	clearAfter = 50 * time.Millisecond

	// DefaultSoldOutProbe bounds how old a refusal that is known may be when no news comes
	// through.
	DefaultSoldOutProbe = time.Second
)

// Backend gives the ports when they are needed. An error means that nothing has
// been done.
type Backend interface {
	Stock() (flashgate.Stock, error)
	// Publisher may be nil for a stock that never answers OutcomePublish.
	Publisher() (flashgate.Publisher, error)
	// Away is an error while a backend is known not to answer. It costs no round
	// trip.
	Away() error
	// Ready is asked before each batch. It is Away, and where only a try can tell, as
	// before the first connection, it tries, for at most a second.
	Ready(ctx context.Context) error
}

// Config is what New needs.
type Config struct {
	Backend Backend

	// Timeout is for a request, from Reserve to its answer, and for a batch, from its
	// reserve to its confirm: after it the relay may publish what was held. Default:
	// flashgate.PublishWindow. With a stock that answers OutcomePublish a longer one
	// breaks the protocol.
	Timeout time.Duration

	// MaxBatch is how many reservations travel in one call: 1 to MaxBatch, which is the
	// default. With 1 none share a round trip; the answers are the same.
	MaxBatch int

	// AtOnce is how many reservations of a sale may be under way to the stock without
	// making the next one wait: a few buyers then wait for nobody, and many still travel
	// together. It is for a stock that answers several calls at once. Default 1: what
	// comes while a call is under way waits for its end.
	AtOnce int

	MaxWaiting int      // requests that may wait at once, over all sales; default 10,000
	Waiting    *Waiting // counts them over several gates; default: over this one

	// SoldOutProbe is for how long Known believes an answer of the stock. Default:
	// DefaultSoldOutProbe. Below zero nothing is believed: the stock is asked for each.
	SoldOutProbe time.Duration

	// OnBatch, if not nil, is told the size of each batch that is sent.
	OnBatch func(reservations int)
}

// Waiting counts the requests that wait at all gates that share it.
type Waiting struct{ n atomic.Int64 }

// enter counts one more unless there are max.
func (w *Waiting) enter(max int) bool {
	if w.n.Add(1) > int64(max) {
		w.n.Add(-1)
		return false
	}
	return true
}

func (w *Waiting) leave() { w.n.Add(-1) }

// Gate is safe for concurrent use. It runs goroutines for a sale only while requests
// of that sale wait.
type Gate struct {
	cfg      Config
	refusals refusals
	timers   sync.Pool // of *time.Timer; stopped

	mu    sync.Mutex
	lanes map[flashgate.SaleID]*lane
}

// lane is one sale's queue. It exists while somebody waits in it or works for it.
type lane struct {
	queue      []*call
	workers    int // goroutines that take batches out of the queue
	underway   int // calls that these have taken and the stock has not answered
	publishing int // goroutines that wait for a confirm

	// published is what was confirmed and not yet taken out of the stock's outbox: it
	// travels with the next batch, or clearAfter later on its own when there is none.
	published []flashgate.OrderID
	clearing  *time.Timer // nil: nothing is to travel on its own
}

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
		cfg.Timeout = flashgate.PublishWindow
	}
	if cfg.MaxBatch <= 0 || cfg.MaxBatch > MaxBatch {
		cfg.MaxBatch = MaxBatch
	}
	cfg.AtOnce = max(cfg.AtOnce, 1)
	if cfg.MaxWaiting <= 0 {
		cfg.MaxWaiting = 10_000
	}
	if cfg.Waiting == nil {
		cfg.Waiting = new(Waiting)
	}
	if cfg.SoldOutProbe == 0 {
		cfg.SoldOutProbe = DefaultSoldOutProbe
	}
	return &Gate{cfg: cfg, refusals: refusals{period: cfg.SoldOutProbe}, lanes: map[flashgate.SaleID]*lane{}}
}

// Reserve decides one reservation. A nil error with OutcomeAccepted means held and
// durable, published where that is needed; OutcomePublish is never returned.
//
// Errors are *flashgate.Error:
//
//	CodeInvalid         the reservation is not valid; nothing was reserved
//	CodeUnavailable     too many wait, a backend is away, or the time was over before
//	                    it was sent; nothing was reserved
//	CodeUnknownOutcome  it was sent and is not known to be durable; carries the order
//
// A context that ends takes the request out of the queue. If it has been sent, the
// call goes on, for its neighbours and for the buyer, who may poll. Who comes while nobody
// waits carries a batch and returns with its answer, so as soon as the backends heed the
// batch's own time-out.
func (g *Gate) Reserve(ctx context.Context, r flashgate.Reservation) (flashgate.Reserved, error) {
	if err := r.Validate(); err != nil {
		return flashgate.Reserved{}, err
	}
	if err := g.cfg.Backend.Away(); err != nil {
		return flashgate.Reserved{}, notOpen(err)
	}
	if !g.cfg.Waiting.enter(g.cfg.MaxWaiting) {
		return flashgate.Reserved{}, unavailable("Too many requests wait. Try again.", nil)
	}
	defer g.cfg.Waiting.leave()
	c := &call{reservation: r, done: make(chan struct{})}
	if l, calls, published := g.join(c); len(calls) > 0 {
		g.lead(l, c, calls, published)
		return c.result, c.err
	}
	if err := g.wait(ctx, c); err != nil {
		if g.withdraw(c) {
			return flashgate.Reserved{}, unavailable("The sale is very busy. Try again.", err)
		}
		select {
		case <-c.done: // answered meanwhile
		default:
			return flashgate.Reserved{}, unknown(r.Order, err)
		}
	}
	return c.result, c.err
}

// wait waits for the answer to a call that somebody else carries, for Timeout at most. A
// timer that is used again costs a third of a context of one's own.
func (g *Gate) wait(ctx context.Context, c *call) error {
	timer, _ := g.timers.Get().(*time.Timer)
	if timer == nil {
		timer = time.NewTimer(g.cfg.Timeout)
	} else {
		timer.Reset(g.cfg.Timeout)
	}
	defer func() {
		timer.Stop()
		g.timers.Put(timer)
	}()
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return context.DeadlineExceeded
	}
}

// join puts the call into its sale's queue. When there is room for a batch, the caller is
// the one to carry it.
func (g *Gate) join(c *call) (l *lane, calls []*call, published []flashgate.OrderID) {
	sale := c.reservation.Order.Sale()
	g.mu.Lock()
	defer g.mu.Unlock()
	l = g.lanes[sale]
	if l == nil {
		l = &lane{}
		g.lanes[sale] = l
	}
	l.queue = append(l.queue, c)
	calls, published = g.next(l)
	return l, calls, published
}

// start is called with mu held.
func (g *Gate) start(sale flashgate.SaleID, l *lane) {
	if calls, published := g.next(l); len(calls) > 0 {
		go g.work(sale, l, calls, published)
	}
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

// next takes the calls that are to travel together, oldest first, and what is to leave
// the outbox with them, with mu held; whoever gets any is one of the workers. There are
// none while the stock has enough to answer, or while as many messages as may wait for
// their confirms do so or are about to.
func (g *Gate) next(l *lane) (calls []*call, published []flashgate.OrderID) {
	if l.underway >= g.cfg.AtOnce || l.publishing+l.workers >= MaxPublishing {
		return nil, nil
	}
	if calls = l.take(g.cfg.MaxBatch); len(calls) == 0 {
		return nil, nil
	}
	l.workers++
	l.underway += len(calls)
	published, l.published = l.published, nil
	return calls, published
}

// leave ends somebody's work for a lane, with mu held. If no batch is there that could
// take published orders out of the outbox, one has clearAfter to come.
func (g *Gate) leave(sale flashgate.SaleID, l *lane) {
	if len(l.published) > 0 && l.clearing == nil && l.workers == 0 && len(l.queue) == 0 {
		l.clearing = time.AfterFunc(clearAfter, func() { g.clearLane(sale, l) })
	}
	g.drop(sale, l)
}

// clearLane is called when no batch came in time. One that is here now takes along what
// there is.
func (g *Gate) clearLane(sale flashgate.SaleID, l *lane) {
	g.mu.Lock()
	l.clearing = nil
	var published []flashgate.OrderID
	if l.workers == 0 && len(l.queue) == 0 {
		published, l.published = l.published, nil
	}
	g.drop(sale, l)
	g.mu.Unlock()
	g.clear(sale, published)
}

// take moves calls out of the queue.
func (l *lane) take(most int) (batch []*call) {
	n := 0
	for ; n < len(l.queue) && len(batch) < most; n++ {
		if c := l.queue[n]; !c.taken {
			c.taken = true
			batch = append(batch, c)
		}
	}
	rest := copy(l.queue, l.queue[n:])
	clear(l.queue[rest:])
	l.queue = l.queue[:rest]
	return batch
}

// drop forgets a lane that nobody needs, with mu held.
func (g *Gate) drop(sale flashgate.SaleID, l *lane) {
	if l.workers == 0 && l.publishing == 0 && len(l.queue) == 0 && len(l.published) == 0 && g.lanes[sale] == l {
		delete(g.lanes, sale)
	}
}

func unavailable(message string, cause error) error {
	return &flashgate.Error{Code: flashgate.CodeUnavailable, Op: "gate.Reserve", Message: message, RetryAfter: time.Second, Err: cause}
}

func unknown(order flashgate.OrderID, cause error) error {
	return &flashgate.Error{Code: flashgate.CodeUnknownOutcome, Op: "gate.Reserve", Order: order,
		Message: "The order may have been placed: ask for its state.", RetryAfter: 2 * time.Second, Err: cause}
}
