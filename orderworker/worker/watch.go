package worker

import (
	"sync"
	"time"

	"flashgate"
)

// How often a sale's gate is looked at. A sale that is over changes rarely.
const (
	lookEvery    = 250 * time.Millisecond
	lookOldEvery = 30 * time.Second
	oldAfter     = 24 * time.Hour // after its end
)

// openUntil is how long after its end a sale's gate is still opened by itself, so
// that a late buyer hears that the sale has ended. An older one is opened by command.
const openUntil = 7 * 24 * time.Hour

// watch is what the worker knows of the sales and their gates.
type watch struct {
	mu    sync.Mutex
	sales []flashgate.Sale // as the database had them last
	known map[flashgate.SaleID]*watched
}

// watched is one sale's gate.
type watched struct {
	state    gateState
	view     flashgate.StockView // the last one that was open
	next     time.Time           // when it is to be looked at
	away     bool                // the last look failed
	checked  time.Time           // when its sums were compared last
	drift    int64               // what that found
	ahead    bool                // that found the database behind the gate
	epoch    uint64              // the database's, when it was seen closed last
	since    time.Time           // since when it has been seen closed in that epoch
	opened   uint64              // the highest epoch in which it is known to have been open
	raised   uint64              // the epoch to which this worker raised it last
	joined   uint64              // the unfinished epoch that it took up last
	working  bool                // a reconciliation of this worker is under way
	failures backoff             // of reconciliations
	notUntil time.Time           // when the next one may begin
}

type gateState uint8

const (
	gateUnknown gateState = iota
	gateOpen
	gateClosed
)

func newWatch() *watch { return &watch{known: map[flashgate.SaleID]*watched{}} }

// of returns the state of a sale; the caller holds mu.
func (w *watch) of(id flashgate.SaleID) *watched {
	s := w.known[id]
	if s == nil {
		s = &watched{}
		w.known[id] = s
	}
	return s
}

// setSales takes what the database has.
func (w *watch) setSales(sales []flashgate.Sale) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sales = sales
}

// stateOf reports what is known of a sale's gate, and its last open view.
func (w *watch) stateOf(id flashgate.SaleID) (gateState, flashgate.StockView) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.of(id)
	return s.state, s.view
}

// holding lists the sales whose gate was open at the last look and held something:
// where nothing is held there is nothing in the outbox either.
func (w *watch) holding() (ids []flashgate.SaleID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.sales {
		if k := w.of(s.ID); k.state == gateOpen && k.view.Held > 0 {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// heldUnits is what the open gates held at the last look.
func (w *watch) heldUnits() (n int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.sales {
		if k := w.of(s.ID); k.state == gateOpen {
			n += k.view.Held
		}
	}
	return n
}

// anyAway reports whether the last look at any gate failed.
func (w *watch) anyAway() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.sales {
		if w.of(s.ID).away {
			return true
		}
	}
	return false
}

// closed notes that a call found the gate closed; the next look sees to it.
func (w *watch) closed(id flashgate.SaleID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.of(id)
	s.state, s.next = gateClosed, time.Time{}
}

// lost notes that a look failed, and reports whether the one before it had not.
func (w *watch) lost(id flashgate.SaleID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.of(id)
	first := !s.away
	s.away = true
	return first
}

// seen notes what a look found.
func (w *watch) seen(sale flashgate.Sale, v flashgate.StockView, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.of(sale.ID)
	s.next, s.away = now.Add(lookEvery), false
	if now.Sub(sale.Ends) > oldAfter {
		s.next = now.Add(lookOldEvery)
	}
	if v.Open {
		s.state, s.view, s.opened, s.epoch = gateOpen, v, max(s.opened, v.Epoch), 0
		s.failures, s.notUntil = backoff{}, time.Time{}
		return
	}
	s.state, s.drift, s.ahead = gateClosed, 0, false
	// A gate that kept the head of this epoch was open in it.
	s.opened = max(s.opened, v.Epoch)
	if s.epoch != sale.Epoch {
		s.epoch, s.since = sale.Epoch, now
	}
}

// missed notes that the gate did not answer: it is asked again in a second, so that the
// log of an outage stays readable.
func (w *watch) missed(id flashgate.SaleID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.of(id).next = time.Now().Add(time.Second)
}

// due lists the sales that are to be looked at now.
func (w *watch) due(now time.Time) (out []flashgate.Sale) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, sale := range w.sales {
		if !now.Before(w.of(sale.ID).next) {
			out = append(out, sale)
		}
	}
	return out
}

// closedCount counts the sales that wait for a reconciliation.
func (w *watch) closedCount() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	for _, sale := range w.sales {
		if w.of(sale.ID).state == gateClosed && now.Sub(sale.Ends) < openUntil {
			n++
		}
	}
	return n
}

// begin reports whether this worker is to reconcile a closed sale now, and marks it
// as doing so until done.
func (w *watch) begin(id flashgate.SaleID, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.of(id)
	if s.working || now.Before(s.notUntil) {
		return false
	}
	s.working = true
	return true
}

// done ends what begin began. After a failure the next one waits.
func (w *watch) done(id flashgate.SaleID, failed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.of(id)
	s.working, s.next = false, time.Time{}
	if failed {
		s.notUntil = time.Now().Add(s.failures.next())
	}
}

// failing reports whether the last reconciliation of this worker failed.
func (w *watch) failing(id flashgate.SaleID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.of(id).failures.failures > 0
}

// setRaised notes that this worker has raised the sale to an epoch.
func (w *watch) setRaised(id flashgate.SaleID, epoch uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.of(id).raised = epoch
}

// openedIn is the highest epoch in which the gate is known to have been open.
func (w *watch) openedIn(id flashgate.SaleID) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.of(id).opened
}

// mayJoin reports whether an unfinished epoch may be taken up: it is this worker's
// own, or the gate has been seen closed in it for long enough.
func (w *watch) mayJoin(id flashgate.SaleID, epoch uint64, after time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.of(id)
	return s.raised == epoch || s.epoch == epoch && time.Since(s.since) >= after
}

// firstJoin notes that an unfinished epoch is taken up, and reports whether that is
// the first time.
func (w *watch) firstJoin(id flashgate.SaleID, epoch uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.of(id)
	first := s.joined != epoch
	s.joined = epoch
	return first
}
