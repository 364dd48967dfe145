package worker

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"flashgate"
)

// figuresEvery is how often a worker reads what only the servers know. A round is a
// script for each sale that holds something, four statements that read by keys, and a
// passive declare for each queue.
const figuresEvery = 2 * time.Second

// figures reads what only the servers know.
type figures struct {
	metrics *figureMetrics
	sources map[string]func(context.Context) error
	tallier flashgate.Tallier
	meter   flashgate.QueueMeter
	backlog flashgate.BacklogReader
	gate    *keeper // nil without a gate apart from the database
	log     *zap.Logger

	mu   sync.Mutex
	dead []flashgate.OrderID // dead letters at the last tally

	scans map[flashgate.SaleID]*heldScan
}

// newFigures finds out what the backends can tell, and registers that.
func newFigures(cfg Config, k *keeper) (*figures, error) {
	f := &figures{metrics: newFigureMetrics(), sources: map[string]func(context.Context) error{},
		gate: k, log: cfg.Logger, scans: map[flashgate.SaleID]*heldScan{}}
	var ok bool
	if f.tallier, ok = cfg.Ledger.(flashgate.Tallier); ok {
		f.metrics.ofDatabase(k != nil && k.Events != nil)
		f.sources[sourceDatabase] = f.readDatabase
	}
	if f.meter, ok = cfg.Consumer.(flashgate.QueueMeter); ok {
		f.metrics.ofQueue()
		f.sources[sourceQueue] = f.readQueue
	}
	if k != nil {
		if f.backlog, ok = k.Stock.(flashgate.BacklogReader); ok {
			f.metrics.ofGate()
			f.sources[sourceGate] = f.readGate
		}
	}
	return f, registerAll(cfg.Registry, f.metrics.all...)
}

// readFigures reads each source by itself, for as long as the worker runs: one that
// does not answer holds up no other. What it has told last stays.
func (r *run) readFigures() {
	var wg sync.WaitGroup
	for source, read := range r.figures.sources {
		wg.Go(func() { r.figures.readAll(r.stop, source, read) })
	}
	wg.Wait()
}

func (f *figures) readAll(ctx context.Context, source string, read func(context.Context) error) {
	failing := false
	for {
		err := read(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			f.metrics.read.WithLabelValues(source).SetToCurrentTime()
		case f.gate != nil:
			f.gate.metrics.failures.WithLabelValues("figures").Inc()
		}
		if err != nil && !failing { // the first time; an outage has many
			f.log.Warn("figures cannot be read, trying again", zap.String("source", source), zap.Error(err))
		}
		failing = err != nil
		if !sleep(ctx, figuresEvery) {
			return
		}
	}
}

func (f *figures) readDatabase(ctx context.Context) error {
	var t flashgate.Tally
	err := limited(ctx, callLimit, func(ctx context.Context) (err error) {
		t, err = f.tallier.Tally(ctx)
		return err
	})
	if err != nil {
		return err
	}
	f.metrics.tally(t)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = t.Dead
	return nil
}

func (f *figures) readQueue(ctx context.Context) error {
	return limited(ctx, callLimit, func(ctx context.Context) error {
		ds, err := f.meter.Depths(ctx)
		f.metrics.depths(ds)
		return err
	})
}

// deadOf are the dead letters that a sale still holds, as far as is known.
func (f *figures) deadOf(sale flashgate.SaleID) (ids []flashgate.OrderID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range f.dead {
		if id.Sale() == sale {
			ids = append(ids, id)
		}
	}
	return ids
}

// errGateAway: there is nothing to ask for, as nothing was held at the last look, but
// that look was long ago.
var errGateAway = errors.New("a gate could not be looked at")

// readGate reads what waits in the sales that hold something.
func (f *figures) readGate(ctx context.Context) error {
	holding := f.gate.watch.holding()
	scans := map[flashgate.SaleID]*heldScan{}
	for _, id := range holding {
		if scans[id] = f.scans[id]; scans[id] == nil {
			scans[id] = &heldScan{}
		}
	}
	f.scans = scans
	var mu sync.Mutex
	var errs []error
	var waiting int
	var heldAge, outboxAge time.Duration
	forEach(holding, salesAtOnce, func(id flashgate.SaleID) {
		var b flashgate.Backlog
		err := limited(ctx, callLimit, func(ctx context.Context) (err error) {
			b, err = f.backlog.Backlog(ctx, id, scans[id].cursor, f.deadOf(id))
			return err
		})
		mu.Lock()
		defer mu.Unlock()
		switch f.gate.noteGate(id, err); {
		case closedAtGate(err):
		case err != nil:
			errs = append(errs, err)
		default:
			waiting += b.Outbox
			outboxAge = max(outboxAge, age(b.Now, b.OldestOutbox))
			heldAge = max(heldAge, age(b.Now, scans[id].oldest(b)))
		}
	})
	if len(errs) == 0 && f.gate.watch.anyAway() {
		errs = append(errs, errGateAway)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	m := f.metrics
	m.heldAge.Set(heldAge.Seconds())
	m.outboxAge.Set(outboxAge.Seconds())
	m.outbox.Set(float64(waiting))
	m.heldUnits.Set(float64(f.gate.watch.heldUnits()))
	return nil
}

func age(now, since time.Time) time.Duration {
	if since.IsZero() {
		return 0
	}
	return max(now.Sub(since), 0)
}

// heldScan goes through what a sale holds, a part at each look.
type heldScan struct {
	cursor string
	sofar  time.Time // the oldest of this passage
	before time.Time // the oldest of the passage before
}

// oldest takes a part and returns the oldest as far as is known: that of a whole
// passage, or of the last one and what has been seen of the next.
func (s *heldScan) oldest(b flashgate.Backlog) time.Time {
	s.sofar = older(s.sofar, b.OldestHeld)
	s.cursor = b.Next
	out := older(s.sofar, s.before)
	if b.Next == "" {
		out = s.sofar
		s.before, s.sofar = s.sofar, time.Time{}
	}
	return out
}

// older is the earlier of two times that are set.
func older(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
