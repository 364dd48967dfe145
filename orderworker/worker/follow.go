package worker

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"flashgate"
)

// followEvery is how often the database is asked what has changed. The shop's
// cancels and the operators' changes reach the gate within about two of these.
const followEvery = 50 * time.Millisecond

// applyPatience bounds how long the gate may hold the ack of one batch. The log is
// the retry: what is not applied by then is applied by the loop that follows it.
const applyPatience = time.Second

// Sizes of one Apply: entries read at once, and changes handed to the gate at once,
// as one script must not keep the gate for long.
const (
	entriesAtOnce = 128
	changesAtOnce = 2048
)

// follower knows how far each gate has applied its sale's log.
type follower struct {
	mu    sync.Mutex
	sales map[flashgate.SaleID]*followed
}

// followed is one sale. lock is held while its log is applied; it is a channel so
// that waiting for it ends with a context. The other fields are guarded by mu of the
// follower.
type followed struct {
	lock    chan struct{}
	known   bool
	applied uint64     // by the gate, at least
	goal    uint64     // the seq that the loop saw last
	away    bool       // the gate failed its last call for this sale
	owed    settlement // duplicates whose settling failed
}

func newFollower() *follower { return &follower{sales: map[flashgate.SaleID]*followed{}} }

func (f *follower) of(id flashgate.SaleID) *followed {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.sales[id]
	if s == nil {
		s = &followed{lock: make(chan struct{}, 1)}
		f.sales[id] = s
	}
	return s
}

// position returns what is known to be applied.
func (f *follower) position(s *followed) (applied uint64, known bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return s.applied, s.known
}

func (f *follower) setApplied(s *followed, applied uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.applied, s.known = applied, true
}

func (f *follower) setAway(id flashgate.SaleID, away bool) {
	s := f.of(id)
	f.mu.Lock()
	defer f.mu.Unlock()
	s.away = away
}

func (f *follower) isAway(id flashgate.SaleID) bool {
	s := f.of(id)
	f.mu.Lock()
	defer f.mu.Unlock()
	return s.away
}

// forget drops what is known: the gate may be opened at another seq.
func (f *follower) forget(id flashgate.SaleID) {
	s := f.of(id)
	f.mu.Lock()
	defer f.mu.Unlock()
	s.known = false
}

// swapGoal notes the seq that the loop sees now and returns what it saw before.
func (f *follower) swapGoal(s *followed, goal uint64) (before uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before, s.goal = s.goal, goal
	return before
}

// catchUp applies a sale's log until the gate has target, which is committed. ask
// says to read the gate's position first, as another worker may have done the work.
// An error that closedAtGate means that the sale is closed there.
func (k *keeper) catchUp(ctx context.Context, id flashgate.SaleID, target uint64, ask bool) error {
	s := k.follows.of(id)
	select {
	case s.lock <- struct{}{}:
		defer func() { <-s.lock }()
	case <-ctx.Done():
		return ctx.Err()
	}
	applied, known := k.follows.position(s)
	if !known || target > applied && (ask || target > applied+1) {
		v, err := k.view(ctx, id)
		if err != nil {
			return err
		}
		if !v.Open {
			return k.noteGate(id, flashgate.Errorf(flashgate.CodeSaleClosed, "worker.apply", "The sale is being reconciled."))
		}
		applied = v.Applied
		k.follows.setApplied(s, applied)
	}
	for stuck := 0; applied < target; {
		var es []flashgate.LogEntry
		err := limited(ctx, callLimit, func(ctx context.Context) (err error) {
			es, err = k.Log.Entries(ctx, id, applied, entriesAtOnce)
			return err
		})
		if err != nil {
			return err
		}
		if len(es) == 0 {
			return nil // the change that was seen is not in what this reader sees yet
		}
		es = firstChanges(es)
		var now uint64
		err = limited(ctx, callLimit, func(ctx context.Context) (err error) {
			now, err = k.Stock.Apply(ctx, id, es)
			return err
		})
		if k.noteGate(id, err) != nil {
			return err
		}
		if now > applied {
			k.metrics.applied.Add(float64(now - applied))
			stuck = 0
		} else if stuck++; stuck > 2 {
			return flashgate.Errorf(flashgate.CodeInternal, "worker.apply", "the gate stays at seq %d and does not take entry %d", now, es[0].Seq)
		}
		// It may be behind what was thought: then the missing entries are read.
		applied = now
		k.follows.setApplied(s, applied)
	}
	return nil
}

// firstChanges cuts entries to changesAtOnce, but never to none.
func firstChanges(es []flashgate.LogEntry) []flashgate.LogEntry {
	n := 0
	for i, e := range es {
		if n += len(e.Changes); n > changesAtOnce && i > 0 {
			return es[:i]
		}
	}
	return es
}

// apply brings the gate up to what a batch decided and settles its duplicates. It
// takes applyPatience at most, and no time while the gate is away: whatever it does
// not get done, the loops do later.
func (k *keeper) apply(ctx context.Context, decided map[flashgate.SaleID]*settlement) {
	ctx, cancel := context.WithTimeout(ctx, applyPatience)
	defer cancel()
	forEach(slices.Collect(maps.Keys(decided)), salesAtOnce, func(id flashgate.SaleID) {
		d := decided[id]
		if !k.follows.isAway(id) {
			err := k.catchUp(ctx, id, d.seq, false)
			if err == nil {
				err = k.settle(ctx, id, d)
			}
			if err == nil {
				return
			}
			k.applyFailed(id, err)
		}
		k.remember(id, d)
	})
}

func (k *keeper) applyFailed(id flashgate.SaleID, err error) {
	if closedAtGate(err) {
		return // its reconciliation takes a snapshot of the database
	}
	k.metrics.failures.WithLabelValues("apply").Inc()
	k.log.Warn("the gate could not be brought up to the log, it is tried again", saleField(id), zap.Error(err))
}

// follow brings the gate up to the log of every sale, for as long as the worker runs:
// changes that came from the shop and from operators, and what a batch left undone.
func (r *run) follow() {
	k := r.gate
	var b backoff
	away := false
	for {
		var sales []flashgate.Sale
		err := limited(r.stop, callLimit, func(ctx context.Context) (err error) {
			sales, err = k.Sales.Sales(ctx)
			return err
		})
		if r.stop.Err() != nil {
			return
		}
		if err != nil {
			r.health.report(backendDatabase, err)
			away = true
			k.metrics.failures.WithLabelValues("sales").Inc()
			k.log.Warn("the sales cannot be read, trying again", zap.Error(err))
			b.waitAtMost(r.stop, time.Second)
			continue
		}
		if away {
			r.health.report(backendDatabase, nil)
			away = false
		}
		k.watch.setSales(sales)
		b.failures = 0
		k.followAll(r.stop, sales)
		sleep(r.stop, followEvery)
	}
}

// followAll makes one round over the sales that are not known to be closed.
func (k *keeper) followAll(ctx context.Context, sales []flashgate.Sale) {
	var behind []flashgate.Sale
	lag := uint64(0)
	for _, sale := range sales {
		if state, _ := k.watch.stateOf(sale.ID); state == gateClosed {
			continue
		}
		f := k.follows.of(sale.ID)
		applied, known := k.follows.position(f)
		if known && applied < sale.Seq {
			lag += sale.Seq - applied
		}
		// One that is away is looked at again in a second.
		if (!known || applied < sale.Seq || k.follows.owes(f)) && !k.follows.isAway(sale.ID) {
			behind = append(behind, sale)
		}
	}
	k.metrics.lag.Set(float64(lag))
	forEach(behind, salesAtOnce, func(sale flashgate.Sale) {
		if err := k.followOne(ctx, sale); err != nil && ctx.Err() == nil {
			k.applyFailed(sale.ID, err)
		}
	})
}

// followOne applies what has been missing for a whole round: what is newer is being
// applied by the worker that decided it.
func (k *keeper) followOne(ctx context.Context, sale flashgate.Sale) error {
	s := k.follows.of(sale.ID)
	before := k.follows.swapGoal(s, sale.Seq)
	applied, known := k.follows.position(s)
	if !known || applied < sale.Seq && applied < before {
		if err := k.catchUp(ctx, sale.ID, sale.Seq, true); err != nil {
			return err
		}
	}
	return k.settleRemembered(ctx, sale.ID)
}
