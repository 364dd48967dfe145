package conformance_test

import (
	"context"
	"slices"
	"sync"
	"time"

	"flashgate"
)

// gate is a model of a gate that does not share a transaction with the database:
// Stock, Outbox and Applier.
type gate struct {
	mu    sync.Mutex
	life  int // the incarnation
	heads map[flashgate.SaleID]*head
	freed map[flashgate.SaleID]flashgate.Position
}

type head struct {
	life           int // that it was opened in
	epoch, applied uint64
	free, held     int64
	bound          int64
	starts, ends   time.Time
	perUser        int
	known          map[flashgate.OrderID]*known
	order          []flashgate.OrderID // as they were reserved
	buyers         map[flashgate.UserID]*buyer
}

type known struct {
	flashgate.Reservation
	held, outbox  bool
	since, leased time.Time
}

type buyer struct {
	units int
	prior flashgate.OrderID
}

// gateBound is the bound on outstanding units of the model.
const gateBound = 10 * flashgate.MaxUnits

func newGate() *gate {
	return &gate{heads: map[flashgate.SaleID]*head{}, freed: map[flashgate.SaleID]flashgate.Position{}}
}

func (g *gate) open(s flashgate.Sale) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.heads[s.ID] = &head{life: g.life, epoch: 1, free: s.Seeded, bound: gateBound, starts: s.Starts, ends: s.Ends, perUser: s.PerUser,
		known: map[flashgate.OrderID]*known{}, buyers: map[flashgate.UserID]*buyer{}}
}

func (h *head) buyer(u flashgate.UserID) *buyer {
	if h.buyers[u] == nil {
		h.buyers[u] = &buyer{}
	}
	return h.buyers[u]
}

// closed reports whether a head is missing or of another life.
func (g *gate) closed(h *head) bool {
	return h == nil || h.life != g.life && !planted("open: a restart is not noticed")
}

func (g *gate) openHead(sale flashgate.SaleID) (*head, error) {
	if h := g.heads[sale]; !g.closed(h) {
		return h, nil
	}
	return nil, flashgate.Errorf(flashgate.CodeSaleClosed, "model", "closed")
}

func away(op string, err error) error {
	return &flashgate.Error{Code: flashgate.CodeUnavailable, Op: op, Err: err}
}

// yield lets others in between a look and a write, where a planted bug makes two
// steps of one.
func yield(mu *sync.Mutex, bug string) {
	if planted(bug) {
		mu.Unlock()
		<-time.After(2 * time.Millisecond)
		mu.Lock()
	}
}

func (g *gate) Reserve(ctx context.Context, sale flashgate.SaleID, rs []flashgate.Reservation) ([]flashgate.Reserved, error) {
	for _, r := range rs {
		if planted("reserve: no validation") {
			break
		}
		if err := r.Validate(); err != nil {
			return nil, err
		}
		if r.Order.Sale() != sale {
			if planted("reserve: foreign id after the others") {
				continue
			}
			return nil, flashgate.Invalid("model.Reserve", "sale", "is another")
		}
	}
	if err := ctx.Err(); err != nil && !planted("reserve: context ignored") {
		return nil, away("model.Reserve", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make([]flashgate.Reserved, len(rs))
	h := g.heads[sale]
	if g.closed(h) {
		h = nil
	}
	for i, r := range rs {
		switch {
		case h == nil && planted("reserve: closed is sold out"):
			out[i].Outcome = flashgate.OutcomeSoldOut
		case h == nil:
			out[i].Outcome = flashgate.OutcomeClosed
		case r.Order.Sale() != sale && planted("reserve: foreign id after the others"):
			return nil, flashgate.Invalid("model.Reserve", "sale", "is another")
		default:
			out[i] = h.say(g.one(h, r))
		}
	}
	if planted("reserve: batch answered backwards") {
		slices.Reverse(out)
	}
	if err := ctx.Err(); err != nil && planted("reserve: context ignored") && len(rs) > 1 {
		g.release(h, rs[0]) // a part of the batch is undone
		return nil, away("model.Reserve", err)
	}
	return out, nil
}

func (g *gate) one(h *head, r flashgate.Reservation) flashgate.Reserved {
	now := time.Now()
	k := h.known[r.Order]
	if k != nil && (planted("reserve: no id check") || !k.held && planted("reserve: decided ids are forgotten")) {
		k = nil
	}
	window := func() flashgate.Reserved {
		switch {
		case planted("reserve: no window"):
		case !now.Before(h.ends):
			return flashgate.Reserved{Outcome: flashgate.OutcomeEnded}
		case now.Before(h.starts):
			return flashgate.Reserved{Outcome: flashgate.OutcomeNotStarted, OpensIn: h.starts.Sub(now)}
		}
		return flashgate.Reserved{}
	}
	if w := window(); w.Outcome != 0 && planted("reserve: window before id") {
		return w
	}
	if k != nil {
		switch {
		case !k.Same(r) && !planted("reserve: other payload accepted"):
			return flashgate.Reserved{Outcome: flashgate.OutcomeConflict}
		case k.outbox && !planted("reserve: accepted while in the outbox"):
			return flashgate.Reserved{Outcome: flashgate.OutcomePublish}
		}
		return flashgate.Reserved{Outcome: flashgate.OutcomeAccepted}
	}
	if w := window(); w.Outcome != 0 {
		return w
	}
	if h.held+int64(r.Units) > h.bound && !planted("reserve: no bound") {
		return flashgate.Reserved{Outcome: flashgate.OutcomeBusy}
	}
	b, free := *h.buyer(r.User), h.free
	yield(&g.mu, "reserve: not atomic")
	units := b.units + r.Units
	if planted("reserve: limit without this one's units") {
		units = b.units + 1
	}
	soldOut := int64(r.Units) > free && !planted("reserve: unconditional stock")
	if soldOut && planted("reserve: stock before limit") {
		return flashgate.Reserved{Outcome: flashgate.OutcomeSoldOut}
	}
	if units > h.perUser && !planted("reserve: no user limit") {
		return flashgate.Reserved{Outcome: flashgate.OutcomeAlreadyBought, Prior: b.prior}
	}
	if soldOut {
		if planted("reserve: refusal takes the share") {
			h.buyer(r.User).units += r.Units
		}
		return flashgate.Reserved{Outcome: flashgate.OutcomeSoldOut, EndsIn: h.ends.Sub(now)}
	}
	h.free -= int64(r.Units)
	h.held += int64(r.Units)
	h.buyer(r.User).units += r.Units
	h.buyer(r.User).prior = r.Order
	h.known[r.Order] = &known{Reservation: r, held: true, outbox: true, since: now}
	h.order = append(h.order, r.Order)
	return flashgate.Reserved{Outcome: flashgate.OutcomePublish}
}

func (g *gate) View(ctx context.Context, sale flashgate.SaleID) (flashgate.StockView, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	h := g.heads[sale]
	if h == nil {
		return flashgate.StockView{}, flashgate.Errorf(flashgate.CodeNotFound, "model.View", "no such sale")
	}
	return flashgate.StockView{Epoch: h.epoch, Applied: h.applied, Free: h.free, Held: h.held, Starts: h.starts, Ends: h.ends,
		PerUser: h.perUser, Open: !g.closed(h), Now: time.Now()}, nil
}

func (g *gate) Held(ctx context.Context, id flashgate.OrderID) (flashgate.Reservation, bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	h := g.heads[id.Sale()]
	if h == nil || h.known[id] == nil || !h.known[id].held {
		return flashgate.Reservation{}, false, nil
	}
	return h.known[id].Reservation, true, nil
}

func (g *gate) Published(ctx context.Context, sale flashgate.SaleID, ids []flashgate.OrderID) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	h, err := g.openHead(sale)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if k := h.known[id]; k != nil {
			k.outbox = k.outbox && planted("published: stays in the outbox")
			if k.held && planted("published: leaves held") {
				k.held = false
				h.held -= int64(k.Units)
			}
		}
	}
	return nil
}

func (g *gate) Lease(ctx context.Context, sale flashgate.SaleID, age, lease time.Duration, max int) ([]flashgate.Reservation, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	h, err := g.openHead(sale)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	order := slices.Clone(h.order)
	if planted("lease: newest first") {
		slices.Reverse(order)
	}
	var out []flashgate.Reservation
	for _, id := range order {
		k := h.known[id]
		if len(out) == max || k == nil || !k.outbox {
			continue
		}
		if now.Sub(k.since) < age && !planted("lease: age ignored") || now.Before(k.leased) && !planted("lease: leased twice") {
			continue
		}
		k.leased = now.Add(lease)
		if planted("lease: for ever") {
			k.leased = now.Add(24 * time.Hour)
		}
		out = append(out, k.Reservation)
	}
	return out, nil
}

// release undoes a hold.
func (g *gate) release(h *head, r flashgate.Reservation) {
	h.free += int64(r.Units)
	h.held -= int64(r.Units)
	h.buyer(r.User).units -= r.Units
	delete(h.known, r.Order)
	h.order = slices.DeleteFunc(h.order, func(id flashgate.OrderID) bool { return id == r.Order })
}

func (g *gate) Apply(ctx context.Context, sale flashgate.SaleID, entries []flashgate.LogEntry) (uint64, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	h, err := g.openHead(sale)
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		if e.Seq <= h.applied && !planted("apply: no seq check") {
			continue
		}
		if e.Seq > h.applied+1 && !planted("apply: gaps are skipped") {
			break
		}
		for _, c := range e.Changes {
			h.apply(g, e, c)
		}
		h.applied = max(h.applied, e.Seq)
		g.tell(sale, h, e)
	}
	return h.applied, nil
}

func (h *head) apply(g *gate, e flashgate.LogEntry, c flashgate.Change) {
	k := h.known[c.Order]
	heldNow := k != nil && k.held
	switch c.Kind {
	case flashgate.ChangePlaced:
		switch {
		case heldNow && planted("apply: placed stays held"):
		case heldNow:
			k.held, k.outbox = false, planted("apply: placed stays in the outbox")
			h.held -= c.Units
		case planted("apply: placed unheld is not counted"):
		default:
			h.free -= c.Units
			h.buyer(c.User).units += int(c.Units)
			h.buyer(c.User).prior = c.Order
			h.known[c.Order] = &known{Reservation: flashgate.Reservation{Order: c.Order, User: c.User, Units: int(c.Units)}}
		}
	case flashgate.ChangeRejected:
		if heldNow {
			g.release(h, k.Reservation)
		} else if planted("apply: what was not held is released") {
			h.free += c.Units
			h.buyer(c.User).units -= int(c.Units)
		}
	case flashgate.ChangeCancelled:
		h.free += c.Units
		if !planted("apply: cancel keeps the share") {
			h.buyer(c.User).units -= int(c.Units)
		}
		if planted("apply: cancelled ids are forgotten") {
			delete(h.known, c.Order)
		}
	case flashgate.ChangeRestock:
		if !planted("apply: restock ignored") {
			h.free += c.Units
		}
	case flashgate.ChangeWindow:
		if !planted("apply: window ignored") {
			h.starts, h.ends = e.Starts, e.Ends
		}
	}
}

func (g *gate) Settle(ctx context.Context, sale flashgate.SaleID, seq uint64, ids []flashgate.OrderID) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	h, err := g.openHead(sale)
	if err != nil {
		return err
	}
	if planted("settle: missing") || seq > h.applied && !planted("settle: seq ignored") {
		return nil
	}
	for _, id := range ids {
		if k := h.known[id]; k != nil && (k.held || planted("settle: not idempotent")) {
			g.release(h, k.Reservation)
			if !planted("freed: settling is not told") {
				g.freed[sale] = flashgate.Position{Epoch: h.epoch, Applied: h.applied + 1}
			}
		}
	}
	return nil
}

var (
	_ flashgate.Stock   = (*gate)(nil)
	_ flashgate.Outbox  = (*gate)(nil)
	_ flashgate.Applier = (*gate)(nil)
)
