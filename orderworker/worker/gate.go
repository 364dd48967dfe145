package worker

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"

	"flashgate"
)

// Gate is a gate that lives apart from the database: it keeps an outbox, follows the
// database's log, and may lose its state.
type Gate interface {
	flashgate.Stock
	flashgate.Outbox
	flashgate.Applier
	flashgate.Opener
}

// Sender is the sending side of a queue that is asynchronous to the gate.
type Sender interface {
	flashgate.Publisher
	flashgate.Fencer
}

// GateConfig is what the worker needs to serve a gate apart from the database. All
// but the events, Window and Bound are required.
type GateConfig struct {
	Stock          Gate
	Log            flashgate.ChangeLog
	Fences         flashgate.FenceStore
	Sales          flashgate.SaleStore
	Orders         flashgate.OrderStore
	Reconciliation flashgate.Reconciliation
	Publisher      Sender

	// Events is the database's outbox of events; without it none are delivered.
	Events flashgate.EventStore
	// EventPublisher takes them. Default: Publisher, if it is one.
	EventPublisher flashgate.EventPublisher

	// Window is the D of the protocol, the same for gateways and workers: 50ms to
	// 1 minute, default flashgate.PublishWindow.
	Window time.Duration
	// Bound is how many units of a sale may be held undecided at once, at least 1;
	// default flashgate.DefaultBound. It takes effect when a gate is opened.
	Bound int64
}

// checked fills in the defaults. CodeInvalid names the field that is wrong.
func (c GateConfig) checked(op string) (GateConfig, error) {
	if c.Window == 0 {
		c.Window = flashgate.PublishWindow
	}
	if c.Bound == 0 {
		c.Bound = flashgate.DefaultBound
	}
	if c.EventPublisher == nil && c.Events != nil {
		c.EventPublisher, _ = c.Publisher.(flashgate.EventPublisher)
	}
	field, problem := "", "is required"
	switch {
	case c.Stock == nil:
		field = "gate.stock"
	case c.Log == nil:
		field = "gate.log"
	case c.Fences == nil:
		field = "gate.fences"
	case c.Sales == nil:
		field = "gate.sales"
	case c.Orders == nil:
		field = "gate.orders"
	case c.Reconciliation == nil:
		field = "gate.reconciliation"
	case c.Publisher == nil:
		field = "gate.publisher"
	case c.Events != nil && c.EventPublisher == nil:
		field, problem = "gate.event_publisher", "is required with events, as the publisher takes none"
	case c.Window < 50*time.Millisecond || c.Window > time.Minute:
		field, problem = "gate.window", "must be 50ms to 1m"
	case c.Bound < 1:
		field, problem = "gate.bound", "must be at least 1"
	}
	if field != "" {
		return c, flashgate.Invalid(op, field, "%s", problem)
	}
	return c, nil
}

// callLimit bounds one call of the gate, of the database or of the broker that the
// loops of the gate make. Every one of them is idempotent or is looked at again, so
// one that was cut off costs nothing but time.
const callLimit = 5 * time.Second

// keeper keeps a gate in step with the database. It outlives the runs of its loops:
// readiness asks it too.
type keeper struct {
	GateConfig
	name    string // names this worker in the audit
	log     *zap.Logger
	metrics *gateMetrics
	follows *follower
	watch   *watch

	opening chan struct{} // held while a snapshot is in memory
}

func newKeeper(cfg GateConfig, log *zap.Logger) *keeper {
	return &keeper{
		GateConfig: cfg, name: strconv.FormatUint(uint64(rand.Uint32()), 16), log: log,
		metrics: newGateMetrics(), follows: newFollower(), watch: newWatch(), opening: make(chan struct{}, 2),
	}
}

// limited makes one call with a time limit.
func limited(ctx context.Context, limit time.Duration, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return call(ctx)
}

// salesAtOnce is how many sales a round of a loop works on at once: in a cluster one
// server that is away must not hold up the sales of the others.
const salesAtOnce = 8

// forEach calls work for each of some sales, for so many at once, and returns when all
// are done.
func forEach[T any](sales []T, atOnce int, work func(T)) {
	if len(sales) == 1 {
		work(sales[0])
		return
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for _, s := range sales {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			work(s)
		})
	}
	wg.Wait()
}

// noteGate notes how a call on the gate went: whether the gate is away, and that a
// sale is closed there. It returns err as it is.
func (k *keeper) noteGate(sale flashgate.SaleID, err error) error {
	away := err != nil && transient(err)
	k.follows.setAway(sale, away)
	if away {
		k.watch.missed(sale)
	}
	if closedAtGate(err) {
		k.watch.closed(sale)
		k.follows.forget(sale)
	}
	return err
}

// closedAtGate reports whether the gate said that it does not have the sale open.
func closedAtGate(err error) bool {
	switch flashgate.ErrorCode(err) {
	case flashgate.CodeSaleClosed, flashgate.CodeNotFound:
		return true
	default:
		return false
	}
}

// view reads a sale's gate. A gate without the sale is a view that is not open.
func (k *keeper) view(ctx context.Context, sale flashgate.SaleID) (v flashgate.StockView, err error) {
	err = limited(ctx, callLimit, func(ctx context.Context) (err error) {
		v, err = k.Stock.View(ctx, sale)
		return err
	})
	if closedAtGate(err) {
		k.follows.setAway(sale, false)
		return flashgate.StockView{}, nil
	}
	return v, k.noteGate(sale, err)
}

func saleField(id flashgate.SaleID) zap.Field { return zap.String("sale", string(id)) }
