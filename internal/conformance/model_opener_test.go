package conformance_test

import (
	"context"
	"strconv"
	"time"

	"flashgate"
)

func (g *gate) restart() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.life++
}

// shut makes an open sale one of another life.
func (g *gate) shut(sale flashgate.SaleID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if h := g.heads[sale]; h != nil {
		h.life = -1
	}
}

func (g *gate) incarnation() string {
	if planted("open: a restart keeps the incarnation") {
		return "life"
	}
	return "life " + strconv.Itoa(g.life)
}

func (g *gate) Incarnation(context.Context, flashgate.SaleID) (string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.incarnation(), nil
}

func (g *gate) refuses(incarnation string, s flashgate.Snapshot) bool {
	if incarnation != g.incarnation() && !planted("open: incarnation ignored") {
		return true
	}
	old := g.heads[s.Sale.ID]
	switch {
	case old == nil:
		return false
	case old.life == g.life && !planted("open: an open gate is opened again"):
		return true
	case planted("open: epoch ignored"):
		return false
	case planted("open: lower epochs replace higher ones"):
		return old.epoch == s.Sale.Epoch
	default:
		return old.epoch >= s.Sale.Epoch
	}
}

func (g *gate) Open(_ context.Context, incarnation string, s flashgate.Snapshot) (flashgate.Opened, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	refused := g.refuses(incarnation, s)
	yield(&g.mu, "open: not atomic")
	yield(&g.mu, "open: lower epochs replace higher ones")
	if refused {
		return flashgate.Opened{}, flashgate.Errorf(flashgate.CodeWrongState, "model.Open", "refused")
	}
	h := &head{life: g.life, epoch: s.Sale.Epoch, applied: s.Sale.Seq, free: s.Sale.StockLeft, starts: s.Sale.Starts, ends: s.Sale.Ends,
		perUser: s.Sale.PerUser, bound: s.Bound, known: map[flashgate.OrderID]*known{}, buyers: map[flashgate.UserID]*buyer{}}
	if planted("open: seq is not taken over") {
		h.applied = 0
	}
	if planted("open: the bound is not taken over") {
		h.bound = gateBound
	}
	h.rows(s)
	out := flashgate.Opened{}
	if old := g.heads[s.Sale.ID]; old != nil {
		out.Requeued = h.survivors(old, s)
	}
	out.Held = h.held
	if !planted("open: what is held is free") {
		h.free -= h.held
	}
	if h.free < 0 && planted("open: free is never below zero") {
		h.free = 0
	}
	out.Free = h.free
	g.heads[s.Sale.ID] = h
	if !planted("freed: an opening is not told") {
		g.freed[s.Sale.ID] = flashgate.Position{Epoch: h.epoch, Applied: h.applied}
	}
	return out, nil
}

// rows are what the database has decided.
func (h *head) rows(s flashgate.Snapshot) {
	for i, row := range s.Orders {
		if i >= 10_000 && planted("open: a part of the orders") {
			break
		}
		if row.Live || !planted("open: rows that are not live are unknown") {
			h.known[row.Order] = &known{Reservation: flashgate.Reservation{Order: row.Order, User: row.User, Units: row.Units}}
		}
		if row.Live || planted("open: rows that are not live count") {
			h.buyer(row.User).units += row.Units
			h.buyer(row.User).prior = row.Order
		}
	}
}

// survivors takes over what is still held and returns how many went to the outbox.
func (h *head) survivors(old *head, s flashgate.Snapshot) (requeued int) {
	dead := map[flashgate.OrderID]bool{}
	for _, id := range s.Dead {
		dead[id] = !planted("open: dead letters are published again")
	}
	for _, id := range old.order {
		k := old.known[id]
		if k == nil || !k.held || h.known[id] != nil && !planted("open: decided ids stay held") {
			continue
		}
		if !k.outbox && planted("open: what was published stays out") {
			dead[id] = true
		}
		if k.outbox = !dead[id]; k.outbox {
			requeued++
		}
		if !planted("open: leases go on") {
			k.leased = time.Time{}
		}
		h.held += int64(k.Units)
		if !planted("open: what is held is not in the share") {
			h.buyer(k.User).units += k.Units
			h.buyer(k.User).prior = id
		}
		h.known[id] = k
		h.order = append(h.order, id)
	}
	return requeued
}

func (g *gate) Waiting(_ context.Context, sale flashgate.SaleID, age time.Duration, max int) ([]flashgate.Reservation, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	h, err := g.openHead(sale)
	if err != nil {
		return nil, err
	}
	var out []flashgate.Reservation
	for i, id := range h.order {
		k := h.known[id]
		if len(out) == max || i == 500 && planted("waiting: one page") {
			break
		}
		switch {
		case k == nil, !k.held, k.outbox && !planted("waiting: what is in the outbox too"):
		case time.Since(k.since) > age, planted("waiting: age ignored"):
			out = append(out, k.Reservation)
		}
	}
	return out, nil
}

func (g *gate) Requeue(_ context.Context, sale flashgate.SaleID, ids []flashgate.OrderID) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	h, err := g.openHead(sale)
	if err != nil || planted("requeue: nothing") {
		return err
	}
	for _, id := range ids {
		k := h.known[id]
		if k == nil || !k.held || k.outbox && !planted("requeue: what is leased too") {
			continue
		}
		k.outbox, k.leased = true, time.Time{}
		if !planted("requeue: as old as it was") {
			k.since = time.Now()
		}
	}
	return nil
}

var _ flashgate.Opener = (*gate)(nil)
