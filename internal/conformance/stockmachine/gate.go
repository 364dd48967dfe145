package stockmachine

import (
	"maps"
	"time"

	"flashgate"
)

// gate is the model of a gate: what it ought to know of the one sale.
type gate struct {
	shared bool // its transactions are the database's, and it publishes nothing
	life   int  // the server's incarnation
	clock  int  // counts what has entered the outbox
	*head       // nil: there is none
}

// head is what there is of the sale.
type head struct {
	life         int // that it was opened in
	epoch        uint64
	applied      uint64
	free         int64
	bound        int64
	starts, ends time.Time
	perUser      int
	holds        map[flashgate.OrderID]hold
	decided      map[flashgate.OrderID]flashgate.Reservation // the payload
	shares       map[flashgate.UserID]int
}

// hold is one reservation that is held.
type hold struct {
	flashgate.Reservation
	entered int // when it entered the outbox, by the clock
	place   place
}

// place is where a held reservation is: in the outbox, leased from it, or not in it.
type place int

const (
	out place = iota
	waiting
	leased
)

func newHead() *head {
	return &head{holds: map[flashgate.OrderID]hold{}, decided: map[flashgate.OrderID]flashgate.Reservation{}, shares: map[flashgate.UserID]int{}}
}

func (h *head) clone() *head {
	if h == nil {
		return nil
	}
	c := *h
	c.holds, c.decided, c.shares = maps.Clone(h.holds), maps.Clone(h.decided), maps.Clone(h.shares)
	return &c
}

func (g *gate) isOpen() bool { return g.head != nil && g.head.life == g.life }

func (h *head) held() (units int64) {
	for _, k := range h.holds {
		units += int64(k.Units)
	}
	return units
}

func samePayload(a, b flashgate.Reservation) bool { return a.User == b.User && a.Units == b.Units }

// answer is what a reservation ought to be answered.
type answer struct {
	outcome flashgate.Outcome
	known   bool // the gate knows the id
	share   int  // of the user, before it
}

// answer says that, and whether the reservation takes units.
func (g *gate) answer(r flashgate.Reservation) (a answer, fresh bool) {
	if g.isOpen() {
		_, held := g.holds[r.Order]
		_, decided := g.decided[r.Order]
		a.known, a.share = held || decided, g.shares[r.User]
	}
	a.outcome, fresh = g.outcome(r)
	return a, fresh
}

func (g *gate) outcome(r flashgate.Reservation) (o flashgate.Outcome, fresh bool) {
	if !g.isOpen() {
		return flashgate.OutcomeClosed, false
	}
	k, isHeld := g.holds[r.Order]
	known, isDecided := g.decided[r.Order]
	if isHeld {
		known = k.Reservation
	}
	now, n := time.Now(), int64(r.Units)
	switch {
	case (isHeld || isDecided) && !samePayload(known, r):
		return flashgate.OutcomeConflict, false
	case isHeld && k.place != out:
		return flashgate.OutcomePublish, false
	case isHeld || isDecided:
		return flashgate.OutcomeAccepted, false
	case !now.Before(g.ends):
		return flashgate.OutcomeEnded, false
	case now.Before(g.starts):
		return flashgate.OutcomeNotStarted, false
	case g.held()+n > g.bound:
		return flashgate.OutcomeBusy, false
	case g.shares[r.User]+r.Units > g.perUser:
		return flashgate.OutcomeAlreadyBought, false
	case n > g.free:
		return flashgate.OutcomeSoldOut, false
	case g.shared:
		return flashgate.OutcomeAccepted, true
	default:
		return flashgate.OutcomePublish, true
	}
}

// reserve answers a batch and holds what is fresh, which it returns as well.
func (g *gate) reserve(rs []flashgate.Reservation) (answers []answer, fresh []flashgate.Reservation) {
	g.clock++
	for _, r := range rs {
		a, is := g.answer(r)
		answers = append(answers, a)
		if !is {
			continue
		}
		fresh = append(fresh, r)
		k := hold{Reservation: r, entered: g.clock, place: waiting}
		if g.shared {
			k.place = out
		}
		g.holds[r.Order] = k
		g.free -= int64(r.Units)
		g.shares[r.User] += r.Units
	}
	return answers, fresh
}

// release undoes a hold, if there is one.
func (h *head) release(id flashgate.OrderID) (was flashgate.Reservation, ok bool) {
	k, ok := h.holds[id]
	if ok {
		delete(h.holds, id)
		h.free += int64(k.Units)
		h.shares[k.User] -= k.Units
	}
	return k.Reservation, ok
}

// apply follows one entry of the log; it reports whether the entry was the next.
func (h *head) apply(e flashgate.LogEntry) bool {
	if e.Seq != h.applied+1 {
		return e.Seq <= h.applied
	}
	h.applied = e.Seq
	for _, c := range e.Changes {
		payload := flashgate.Reservation{Order: c.Order, User: c.User, Units: int(c.Units)}
		switch c.Kind {
		case flashgate.ChangePlaced:
			h.release(c.Order) // what was held may have had another payload
			h.free -= c.Units
			h.shares[c.User] += int(c.Units)
			h.decided[c.Order] = payload
		case flashgate.ChangeRejected:
			h.release(c.Order)
			h.remember(payload)
		case flashgate.ChangeCancelled:
			h.free += c.Units
			h.shares[c.User] -= int(c.Units)
			h.remember(payload)
		case flashgate.ChangeRestock:
			h.free += c.Units
		case flashgate.ChangeWindow:
			h.starts, h.ends = e.Starts, e.Ends
		}
	}
	return true
}

func (h *head) remember(r flashgate.Reservation) {
	if _, ok := h.decided[r.Order]; !ok {
		h.decided[r.Order] = r
	}
}

// settle releases what is held although it was decided at or before seq, and says how
// many that were.
func (h *head) settle(seq uint64, ids []flashgate.OrderID) (n int) {
	if seq == 0 || seq > h.applied {
		return 0
	}
	for _, id := range ids {
		if r, ok := h.release(id); ok {
			h.remember(r)
			n++
		}
	}
	return n
}

func (h *head) published(ids []flashgate.OrderID) {
	for _, id := range ids {
		if k, ok := h.holds[id]; ok {
			k.place = out
			h.holds[id] = k
		}
	}
}

func (g *gate) requeue(ids []flashgate.OrderID) {
	g.clock++
	for _, id := range ids {
		if k, ok := g.holds[id]; ok && k.place == out {
			k.place, k.entered = waiting, g.clock
			g.holds[id] = k
		}
	}
}

// places are the ids of one place.
func (h *head) places(p place) map[flashgate.OrderID]hold {
	ids := map[flashgate.OrderID]hold{}
	for id, k := range h.holds {
		if k.place == p {
			ids[id] = k
		}
	}
	return ids
}

// open opens the gate from a snapshot, or reports that it must be refused.
func (g *gate) open(life int, s flashgate.Snapshot) (_ flashgate.Opened, refused bool) {
	if life != g.life || g.isOpen() || g.head != nil && g.epoch >= s.Sale.Epoch {
		return flashgate.Opened{}, true
	}
	h := newHead()
	h.life, h.epoch, h.applied, h.bound = g.life, s.Sale.Epoch, s.Sale.Seq, s.Bound
	h.starts, h.ends, h.perUser = s.Sale.Starts, s.Sale.Ends, s.Sale.PerUser
	for _, row := range s.Orders {
		h.decided[row.Order] = flashgate.Reservation{Order: row.Order, User: row.User, Units: row.Units}
		if row.Live {
			h.shares[row.User] += row.Units
		}
	}
	dead := map[flashgate.OrderID]bool{}
	for _, id := range s.Dead {
		dead[id] = true
	}
	opened := flashgate.Opened{}
	if g.head != nil {
		for id, k := range g.holds {
			if _, ok := h.decided[id]; ok {
				continue
			}
			if k.place = waiting; dead[id] {
				k.place = out
			} else {
				opened.Requeued++
			}
			h.holds[id] = k
			h.shares[k.User] += k.Units
		}
	}
	opened.Held = h.held()
	opened.Free = s.Sale.StockLeft - opened.Held
	h.free = opened.Free
	g.head = h
	return opened, false
}
