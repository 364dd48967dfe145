package stockmachine

import (
	"slices"

	"flashgate"
)

// check compares everything that can be seen from outside with the model, and the
// promises with what is seen.
func (m *machine) check() {
	m.wantView()
	m.probe()
	if m.apart() {
		m.waiting()
	}
	for i := range min(3, len(m.asked)) {
		m.wantHeld(m.asked[(len(m.log)+5*i)%len(m.asked)])
	}
	m.wantRows()
}

// wantView compares the gate's counters and reports whether the sale is open.
func (m *machine) wantView() bool {
	v, err := m.sys.Stock.View(m.ctx(), m.sale)
	h := m.gate.head
	if h == nil {
		if flashgate.ErrorCode(err) != flashgate.CodeNotFound {
			m.t.Fatalf("P4: the view of a sale that is not there: %+v, %v", v, err)
		}
		return false
	}
	m.must(err, "View")
	switch {
	case v.Open != m.gate.isOpen():
		m.t.Fatalf("P4: the sale is open: %v, want %v", v.Open, m.gate.isOpen())
	case v.Free != h.free || v.Held != h.held() || v.Applied != h.applied || v.Epoch != h.epoch:
		m.t.Fatalf("P4: free %d, held %d, applied %d, epoch %d; want %d, %d, %d, %d", v.Free, v.Held, v.Applied, v.Epoch, h.free, h.held(), h.applied, h.epoch)
	case !v.Starts.Equal(h.starts) || !v.Ends.Equal(h.ends) || v.PerUser != h.perUser:
		m.t.Fatalf("P3: the view is %+v, want it from %v to %v with %d units for each", v, h.starts, h.ends, h.perUser)
	case v.Open && v.Free+v.Held != m.left[v.Applied]:
		m.t.Fatalf("P4: free %d and held %d are not the %d that were left after change %d", v.Free, v.Held, m.left[v.Applied], v.Applied)
	case v.Open && !m.lost && v.Free < 0:
		m.t.Fatalf("P1: nothing was lost, and free is %d", v.Free)
	}
	return v.Open
}

// probe asks for what takes nothing: a repeat of every id that the gate knows, each
// with another payload as well, and for every user more than is allowed.
func (m *machine) probe() {
	var rs []flashgate.Reservation
	var want []answer
	add := func(r flashgate.Reservation) {
		if a, fresh := m.gate.answer(r); !fresh {
			rs, want = append(rs, r), append(want, a)
		}
	}
	for _, r := range m.asked {
		add(r)
		add(altered(r))
	}
	for _, u := range m.users {
		share := 0
		if m.gate.head != nil {
			share = m.gate.shares[u]
		}
		add(m.newReservation(u, max(m.perUser()-share, 0)+1))
		add(m.newReservation(u, 1))
	}
	got, err := m.sys.Stock.Reserve(m.ctx(), m.sale, rs)
	m.must(err, "Reserve")
	m.wantAnswers(rs, got, want, "a repeat")
}

func (m *machine) perUser() int {
	sale, err := m.tables.Sale(m.ctx(), m.sale)
	m.must(err, "the model's Sale")
	return sale.PerUser
}

func (m *machine) wantHeld(r flashgate.Reservation) {
	var k hold
	isHeld := false
	if m.gate.head != nil {
		k, isHeld = m.gate.holds[r.Order]
	}
	got, ok, err := m.sys.Stock.Held(m.ctx(), r.Order)
	m.must(err, "Held")
	if ok != isHeld || ok && got != k.Reservation {
		m.t.Fatalf("P4: held %+v, %v; want %+v, %v", got, ok, k.Reservation, isHeld)
	}
}

func (m *machine) wantSale(got, want flashgate.Sale, what string) {
	if got.Seeded != want.Seeded || got.StockLeft != want.StockLeft || got.Seq != want.Seq || got.Epoch != want.Epoch ||
		got.PerUser != want.PerUser || !got.Starts.Equal(want.Starts) || !got.Ends.Equal(want.Ends) {
		m.t.Fatalf("P4: %s: the sale is %+v, want %+v", what, got, want)
	}
}

// allowed are the ways of an order's state; others break P5.
var allowed = map[flashgate.Status][]flashgate.Status{
	"":                           {flashgate.StatusPending, flashgate.StatusPaid, flashgate.StatusCancelled, flashgate.StatusRejected, flashgate.StatusDeadLettered},
	flashgate.StatusPending:      {flashgate.StatusPaid, flashgate.StatusCancelled},
	flashgate.StatusDeadLettered: {flashgate.StatusPending, flashgate.StatusRejected, flashgate.StatusPaid, flashgate.StatusCancelled},
}

// wantRows compares the database with the model, and its own sums.
func (m *machine) wantRows() {
	sale, err := m.sys.Database.Sale(m.ctx(), m.sale)
	m.must(err, "Sale")
	wantSale, err := m.tables.Sale(m.ctx(), m.sale)
	m.must(err, "the model's Sale")
	m.wantSale(sale, wantSale, "Sale")
	rows, err := m.sys.Database.Orders(m.ctx(), idsOf(m.asked))
	m.must(err, "Orders")
	wantRows, err := m.tables.Orders(m.ctx(), idsOf(m.asked))
	m.must(err, "the model's Orders")
	want := map[flashgate.OrderID]flashgate.Order{}
	for _, o := range wantRows {
		want[o.ID] = o
	}
	var units int64
	shares := map[flashgate.UserID]int{}
	for _, o := range rows {
		w := want[o.ID]
		delete(want, o.ID)
		if o.User != w.User || o.Units != w.Units || o.Status != w.Status || o.Reason != w.Reason || o.Seq != w.Seq {
			m.t.Fatalf("P5: the order is %+v, want %+v", o, w)
		}
		if was := m.states[o.ID]; was != o.Status && !slices.Contains(allowed[was], o.Status) {
			m.t.Fatalf("P5: %s was %s and is %s", o.ID, was, o.Status)
		}
		m.states[o.ID] = o.Status
		if o.Status.Live() {
			units += int64(o.Units)
			shares[o.User] += o.Units
		}
	}
	for id, o := range want {
		m.t.Fatalf("P2: %s is not there, want %s", id, o.Status)
	}
	if sale.StockLeft < 0 || units > sale.Seeded {
		m.t.Fatalf("P1: %d units of %d are sold, %d left", units, sale.Seeded, sale.StockLeft)
	}
	if sale.Seeded != sale.StockLeft+units {
		m.t.Fatalf("P4: seeded %d, left %d, live %d", sale.Seeded, sale.StockLeft, units)
	}
	for u, n := range shares {
		if n > sale.PerUser {
			m.t.Fatalf("P3: %s has %d units of %d", u, n, sale.PerUser)
		}
	}
}
