package stockmachine

import (
	"slices"

	"flashgate"
)

// attempt is one reconciler's attempt to open the gate. It goes on from sub-step to
// sub-step, with anything between them, or is forgotten.
type attempt struct {
	incarnation string
	life        int
	epoch       uint64
	fresh       bool // it raised epoch 1: nothing can be on its way
	next        func(*attempt) bool
	snapshot    flashgate.Snapshot
}

// atOnce is how many reconcilers there are at a time.
const atOnce = 2

// subSteps is how many there are behind the first look.
const subSteps = 4

// step takes some sub-steps of one attempt.
func (m *machine) step() {
	m.pass(m.gate.isOpen() && len(m.attempts) == 0)
	n := subSteps // as many as there are; fewer when it is interrupted
	if m.bool("interrupted") {
		n = m.int(0, subSteps-1, "sub-steps")
	}
	var a *attempt
	if len(m.attempts) < atOnce && (len(m.attempts) == 0 || !m.bool("go on")) {
		if len(m.attempts) > 0 {
			m.count("reconcilers at the same time")
		}
		if a = m.look(); a == nil {
			return
		}
		m.attempts = append(m.attempts, a)
		if len(m.attempts) < atOnce && m.int(0, 2, "another one sees it too") == 2 {
			m.count("reconcilers at the same time")
			m.attempts = append(m.attempts, m.look())
		}
	} else {
		a = pick(m, m.attempts, "attempt")
	}
	for range n {
		if !a.next(a) {
			m.attempts = slices.DeleteFunc(m.attempts, func(o *attempt) bool { return o == a })
			return
		}
	}
}

// reconcile is one attempt without anything in between. It must succeed.
func (m *machine) reconcile(fresh bool) {
	a := m.look()
	if a == nil {
		m.t.Fatalf("P4: the gate is open")
	}
	for a.next(a) {
	}
	if !m.gate.isOpen() || a.fresh != fresh {
		m.t.Fatalf("P4: the gate could not be opened in epoch %d", a.epoch)
	}
}

// look is the first sub-step; nil when the gate is open.
func (m *machine) look() *attempt {
	var a attempt
	var err error
	a.incarnation, err = m.sys.Apart.Incarnation(m.ctx(), m.sale)
	m.must(err, "Incarnation")
	a.life = m.gate.life
	if m.wantView() {
		return nil
	}
	sale, err := m.sys.Database.Sale(m.ctx(), m.sale)
	m.must(err, "Sale")
	a.epoch = sale.Epoch
	if a.epoch == 1 || m.gate.epochOr0() >= a.epoch || m.opened >= a.epoch {
		a.next = m.raise
	} else {
		a.next = m.drain // it takes up what another has begun
	}
	return &a
}

// raise moves the epoch on, for one of those who saw it.
func (m *machine) raise(a *attempt) bool {
	raised, err := m.sys.Apart.RaiseEpoch(m.ctx(), m.sale, a.epoch)
	m.must(err, "RaiseEpoch")
	want, err := m.tables.RaiseEpoch(m.ctx(), m.sale, a.epoch)
	m.must(err, "the model's RaiseEpoch")
	if raised != want {
		m.t.Fatalf("P4: of those who raise epoch %d this one is told %v, want %v", a.epoch, raised, want)
	}
	if !raised {
		m.count("epochs that another raised")
	}
	a.fresh = a.epoch == 1
	a.epoch++
	a.next = m.drain
	if a.fresh {
		a.next = m.takeSnapshot
	}
	return raised
}

// drain waits until nothing more is on its way and everything in the queue is decided.
func (m *machine) drain(a *attempt) bool {
	if m.wantView() {
		m.count("attempts that another has overtaken")
		return false
	}
	m.intents = nil // longer than D
	m.workAll()
	a.next = m.takeSnapshot
	return true
}

// workAll decides what is in the queue, but applies nothing.
func (m *machine) workAll() {
	m.receive(len(m.queue))
	for len(m.inFlight) > 0 {
		q := m.inFlight[0]
		if s := m.decide(q); len(s.ids) > 0 {
			m.owed = append(m.owed, s)
		}
		m.ack(q)
	}
}

func (m *machine) takeSnapshot(a *attempt) bool {
	got, err := m.sys.Apart.Snapshot(m.ctx(), m.sale)
	m.must(err, "Snapshot")
	want, err := m.tables.Snapshot(m.ctx(), m.sale)
	m.must(err, "the model's Snapshot")
	m.wantSale(got.Sale, want.Sale, "Snapshot")
	if !sameElements(got.Orders, want.Orders) || !sameElements(got.Dead, want.Dead) {
		m.t.Fatalf("P4: the snapshot is %+v, want %+v", got, want)
	}
	if got.Sale.Epoch != a.epoch {
		return false
	}
	a.snapshot = got
	a.snapshot.Bound = bounds[m.snapshots%len(bounds)]
	m.snapshots++
	a.next = m.open
	return true
}

// bounds are tight now and then.
var bounds = []int64{100, 5}

func sameElements[T comparable](a, b []T) bool {
	if len(a) != len(b) {
		return false
	}
	count := map[T]int{}
	for i := range a {
		count[a[i]]++
		count[b[i]]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

// open is the last sub-step.
func (m *machine) open(a *attempt) bool {
	got, err := m.sys.Apart.Open(m.ctx(), a.incarnation, a.snapshot)
	want, refused := m.gate.open(a.life, a.snapshot)
	if refused {
		if flashgate.ErrorCode(err) != flashgate.CodeWrongState {
			m.t.Fatalf("P4: an opening that must be refused: %+v, %v", got, err)
		}
		m.count("openings refused")
		return false
	}
	m.must(err, "Open")
	if got != want {
		m.t.Fatalf("P4: opened with %+v, want %+v", got, want)
	}
	m.count("openings")
	if got.Held > 0 {
		m.count("openings with survivors")
	}
	m.left[a.snapshot.Sale.Seq] = a.snapshot.Sale.StockLeft
	m.opened = a.epoch
	return false
}

// The faults of the gate's server.

func (m *machine) renew() {
	m.count("incarnations")
	m.must(m.sys.Apart.Renew(m.ctx()), "Renew")
	m.gate.life++
}

// flush takes everything; half of the time it is a restart that does so.
func (m *machine) flush() {
	m.must(m.sys.Apart.Flush(m.ctx()), "Flush")
	m.gate.head, m.lost = nil, true
	if m.bool("restart") {
		m.renew()
	}
}

func (m *machine) backup() {
	m.must(m.sys.Apart.Backup(m.ctx(), m.sale), "Backup")
	m.copied = m.gate.head.clone()
}

func (m *machine) rewind() {
	m.must(m.sys.Apart.Rewind(m.ctx(), m.sale), "Rewind")
	m.gate.head, m.lost = m.copied.clone(), true
	m.renew()
}
