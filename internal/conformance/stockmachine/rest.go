package stockmachine

import (
	"flashgate"
)

// rest lets everything come to its end and looks at what has become of it.
func (m *machine) rest() {
	for _, q := range m.inFlight {
		// Its worker has stopped: it comes again.
		m.must(m.sys.Queue.Return(m.ctx(), []flashgate.Delivery{q.delivery}), "Return")
		q.inFlight = false
	}
	m.inFlight = nil
	m.settleDown()
	m.check()
	m.wantEnds()
	m.wantQuiet()
	m.endDeadLetters()
	m.check()
	m.wantQuiet()
	m.wantShares()
}

// settleDown is what relays, workers and reconcilers do when nothing happens to them.
func (m *machine) settleDown() {
	if !m.apart() {
		m.workAll()
		return
	}
	if !m.gate.isOpen() {
		m.reconcile(false)
	}
	ids := idsOf(m.intents)
	for _, r := range m.intents {
		m.send(r)
	}
	m.intents = nil
	m.confirm(ids, true)
	for _, r := range m.lease(false, false) {
		m.send(r)
		m.confirm([]flashgate.OrderID{r.Order}, true)
	}
	m.workAll()
	m.catchUp()
	for _, o := range m.owed {
		m.settle(o)
	}
	m.settleDecided(m.waiting())
}

// send publishes, and nothing goes wrong.
func (m *machine) send(r flashgate.Reservation) {
	m.must(m.sys.Queue.Publish(m.ctx(), flashgate.NewMessage(m.sale, max(m.gate.epochOr0(), 1), r)), "Publish")
	m.queue = append(m.queue, &queued{rs: []flashgate.Reservation{r}})
}

// wantEnds is P2: every id that a buyer was told to be accepted has a row or a dead
// letter, and is refused only when the gate has lost writes.
func (m *machine) wantEnds() {
	for id := range m.told {
		o, err := m.sys.Database.Order(m.ctx(), id)
		if err != nil {
			m.t.Fatalf("P2: %s was accepted and has come to nothing: %v", id, err)
		}
		if !m.lost && (o.Reason == flashgate.ReasonSoldOut || o.Reason == flashgate.ReasonAlreadyBought) {
			m.t.Fatalf("P2: %s was accepted and is %s(%s), and nothing was lost", id, o.Status, o.Reason)
		}
	}
}

// wantQuiet is the end of P4: what is held still waits for an operator.
func (m *machine) wantQuiet() {
	v, err := m.sys.Stock.View(m.ctx(), m.sale)
	m.must(err, "View")
	sale, err := m.sys.Database.Sale(m.ctx(), m.sale)
	m.must(err, "Sale")
	var dead int64
	for _, r := range m.asked {
		o, err := m.sys.Database.Order(m.ctx(), r.Order)
		if err != nil || o.Status != flashgate.StatusDeadLettered {
			continue
		}
		held, ok, err := m.sys.Stock.Held(m.ctx(), r.Order)
		m.must(err, "Held")
		if ok {
			dead += int64(held.Units)
		}
	}
	if !v.Open || v.Held != dead || v.Free+v.Held != sale.StockLeft || v.Applied != sale.Seq {
		m.t.Fatalf("P4: at rest free is %d, held %d, applied %d; left are %d after %d, and %d are held for dead letters",
			v.Free, v.Held, v.Applied, sale.StockLeft, sale.Seq, dead)
	}
}

// endDeadLetters is an operator's morning.
func (m *machine) endDeadLetters() {
	ds, err := m.tables.DeadLetters(m.ctx(), all)
	m.must(err, "the model's DeadLetters")
	for i, d := range ds {
		row, err := m.tables.Order(m.ctx(), d.Order)
		replay := err == nil && row.Status == flashgate.StatusDeadLettered && i%2 == 0
		m.endDeadLetter(d.Order, replay)
	}
	if m.apart() {
		m.catchUp()
		m.settleDecided(m.waiting())
	}
}

// wantShares is P3 from its other side: every user may still buy what is not bought.
func (m *machine) wantShares() {
	starts, ends := current()
	m.change(flashgate.SaleChange{Starts: &starts, Ends: &ends})
	if m.apart() {
		m.catchUp()
	}
	for _, u := range m.users {
		if n := m.perUser() - m.gate.shares[u]; n > 0 {
			m.reserve([]flashgate.Reservation{m.newReservation(u, n)})
		}
	}
	m.wantView()
}
