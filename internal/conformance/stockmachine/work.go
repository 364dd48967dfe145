package stockmachine

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"flashgate"
)

// work is a worker's batch: receive, decide, apply, settle, ack. It is cut off after
// any of these; then the worker goes on with it later, or is gone and it comes again.
func (m *machine) work() {
	m.pass(len(m.queue) == 0)
	until := 6 - m.int(1, 5, "cut off")
	m.receive(m.int(1, 2, "messages"))
	if until == 1 {
		return
	}
	q := pick(m, m.inFlight, "message")
	bury := m.int(0, 6, "bury") == 6
	var settle owed
	if bury {
		m.bury(q)
	} else {
		settle = m.decide(q)
		if m.int(0, 4, "the commit is not answered") == 4 {
			settle = m.decide(q)
		}
	}
	if until >= 3 && m.apart() && m.int(0, 4, "the gate is away") < 3 {
		m.catchUp()
	}
	if len(settle.ids) > 0 && m.apart() {
		m.owed = append(m.owed, settle)
		if until >= 4 {
			m.settle(settle)
		}
	}
	if until == 5 && len(q.done) == len(q.rs) {
		m.ack(q)
	}
}

// patience is how long a message may take that is there.
const patience = 5 * time.Second

// receive takes the oldest messages and compares them.
func (m *machine) receive(most int) {
	var next []*queued
	for _, q := range m.queue {
		if !q.inFlight && len(next) < most {
			next = append(next, q)
		}
	}
	if len(next) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(m.ctx(), patience)
	defer cancel()
	ds, err := m.sys.Queue.Receive(ctx, len(next))
	m.must(err, "P2: Receive")
	if len(ds) != len(next) {
		m.t.Fatalf("P2: %d messages received, want %d", len(ds), len(next))
	}
	for i, q := range next {
		msg, err := flashgate.DecodeMessage(ds[i].Body)
		m.must(err, "DecodeMessage")
		if !slices.Equal(msg.Reservations, q.rs) {
			m.t.Fatalf("P2: received %+v, want %+v", msg.Reservations, q.rs)
		}
		q.delivery, q.inFlight = ds[i], true
		m.inFlight = append(m.inFlight, q)
	}
}

// decide commits a message, for the first time or not, and returns what of it was found
// to be decided.
func (m *machine) decide(q *queued) (settle owed) {
	ttl := m.ttl()
	got, err := m.sys.Database.Decide(m.ctx(), m.sale, q.rs, ttl)
	m.must(err, "Decide")
	want, err := m.tables.Decide(m.ctx(), m.sale, q.rs, ttl)
	m.must(err, "the model's Decide")
	if !slices.Equal(got, want) {
		m.t.Fatalf("P5: decided %+v, want %+v", got, want)
	}
	m.heed("Decide")
	for _, d := range got {
		q.finish(d.Order)
		if d.Duplicate {
			m.count("duplicates")
		}
		if d.Duplicate && d.Seq > 0 {
			settle.seq = max(settle.seq, d.Seq)
			settle.ids = append(settle.ids, d.Order)
		}
	}
	return settle
}

func (q *queued) finish(id flashgate.OrderID) {
	if q.done == nil {
		q.done = map[flashgate.OrderID]bool{}
	}
	q.done[id] = true
}

// bury keeps a message as dead letters, as if the database failed on it.
func (m *machine) bury(q *queued) {
	for _, r := range q.rs {
		record, err := json.Marshal(r)
		m.must(err, "Marshal")
		d := flashgate.DeadLetter{Order: r.Order, Sale: m.sale, Record: record, Reason: flashgate.ReasonFailed, Detail: "the machine says so"}
		m.must(m.sys.Database.DeadLetter(m.ctx(), d), "DeadLetter")
		m.must(m.tables.DeadLetter(m.ctx(), d), "the model's DeadLetter")
		q.finish(r.Order)
	}
	m.heed("DeadLetter")
	m.count("dead letters")
}

func (m *machine) ack(q *queued) {
	m.must(m.sys.Queue.Ack(m.ctx(), []flashgate.Delivery{q.delivery}), "Ack")
	is := func(o *queued) bool { return o == q }
	m.inFlight, m.queue = slices.DeleteFunc(m.inFlight, is), slices.DeleteFunc(m.queue, is)
}

// catchUp applies what the gate has not applied yet.
func (m *machine) catchUp() {
	v, err := m.sys.Stock.View(m.ctx(), m.sale)
	if !m.gate.isOpen() {
		return
	}
	m.must(err, "View")
	es, err := m.sys.Apart.Entries(m.ctx(), m.sale, v.Applied, all)
	m.must(err, "Entries")
	m.apply(es)
}

// apply hands entries to the gate, whichever they are.
func (m *machine) apply(es []flashgate.LogEntry) {
	applied, err := m.sys.Apart.Apply(m.ctx(), m.sale, es)
	if m.wantClosed(err, "Apply") {
		return
	}
	for _, e := range es {
		if e.Seq <= m.gate.applied {
			m.count("entries that were applied already")
		}
		if !m.gate.apply(e) {
			m.count("gaps in the log")
			break
		}
	}
	if applied != m.gate.applied {
		m.t.Fatalf("P4: %d is applied, want %d", applied, m.gate.applied)
	}
}

// follow is the loop that follows the log.
func (m *machine) follow() { m.catchUp() }

// applyLate comes with any part of the log.
func (m *machine) applyLate() {
	m.pass(len(m.log) == 0)
	m.apply(some(m, m.log, "entries"))
}

func (m *machine) settle(o owed) {
	if m.wantClosed(m.sys.Apart.Settle(m.ctx(), m.sale, o.seq, o.ids), "Settle") {
		return
	}
	m.count("settles")
	if o.seq > m.gate.applied {
		m.count("settles that come too early")
	}
	m.counts["reservations that were settled"] += m.gate.settle(o.seq, o.ids)
}

// settleLate comes late, and perhaps not for the first time.
func (m *machine) settleLate() {
	m.pass(len(m.owed) == 0)
	m.settle(pick(m, m.owed, "owed"))
}

// reopen is the end of every process. The worker's messages come again; what gateways,
// relays and reconcilers had in hand is forgotten, unless a lease says that it is still
// somebody's.
func (m *machine) reopen() {
	sys, err := m.sys.Reopen()
	m.must(err, "Reopen")
	m.count("ends of every process")
	if len(m.inFlight) > 0 {
		m.count("messages that come again")
	}
	m.sys = plant(sys)
	for _, q := range m.inFlight {
		q.inFlight, q.done = false, nil
	}
	m.inFlight, m.confirmed, m.owed, m.attempts = nil, nil, nil, nil
	m.intents = slices.DeleteFunc(m.intents, func(r flashgate.Reservation) bool {
		return m.gate.head == nil || m.gate.holds[r.Order].place != leased
	})
}
