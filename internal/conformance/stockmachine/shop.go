package stockmachine

import (
	"cmp"
	"slices"
	"time"

	"flashgate"
)

// heed compares what a change has written into the log, or where there is none lets the
// gate follow at once. The model has made the same change.
func (m *machine) heed(what string) {
	before := uint64(len(m.log))
	want, err := m.tables.Entries(m.ctx(), m.sale, before, all)
	m.must(err, "the model's Entries")
	got := want
	if m.apart() {
		got, err = m.sys.Apart.Entries(m.ctx(), m.sale, before, all)
		m.must(err, "Entries")
	} else {
		sale, err := m.sys.Database.Sale(m.ctx(), m.sale)
		m.must(err, "Sale")
		if sale.Seq != before+uint64(len(want)) && what != "Expire" {
			m.t.Fatalf("P4: %s: the sale is at seq %d, want %d", what, sale.Seq, before+uint64(len(want)))
		}
		got = split(want, int(sale.Seq-before))
	}
	if a, b := changes(got), changes(want); !slices.Equal(a, b) || what != "Expire" && len(got) != len(want) {
		m.t.Fatalf("P4: %s: the log says %+v, want %+v", what, got, want)
	}
	for i, e := range got {
		if e.Seq != before+uint64(i)+1 || e.Sale != m.sale {
			m.t.Fatalf("P4: %s: entry %d of the log is %+v", what, i, e)
		}
		if i < len(want) && !(e.Starts.Equal(want[i].Starts) && e.Ends.Equal(want[i].Ends)) && moves(e) {
			m.t.Fatalf("P4: %s: the log has the window %v to %v, want %v to %v", what, e.Starts, e.Ends, want[i].Starts, want[i].Ends)
		}
		m.left[e.Seq] = e.LeftAfter
		for _, c := range e.Changes {
			m.count("changes: " + string(c.Kind))
		}
		if m.gate.shared {
			m.gate.apply(e)
		}
	}
	m.log = append(m.log, got...)
	m.tables.adopt(m.sale, m.log)
}

// split makes entries of one change each, for a database that counts an expiry so and
// tells nobody.
func split(es []flashgate.LogEntry, n int) (out []flashgate.LogEntry) {
	if n == len(es) {
		return es
	}
	for _, e := range es {
		left := e.LeftAfter
		for _, c := range e.Changes {
			left -= c.Units
		}
		for _, c := range e.Changes {
			left += c.Units
			one := e
			one.Seq, one.LeftAfter, one.Changes = es[0].Seq+uint64(len(out)), left, []flashgate.Change{c}
			out = append(out, one)
		}
	}
	return out
}

func moves(e flashgate.LogEntry) bool {
	return slices.ContainsFunc(e.Changes, func(c flashgate.Change) bool { return c.Kind == flashgate.ChangeWindow })
}

// changes are all of some entries, in an order of their own.
func changes(es []flashgate.LogEntry) (out []flashgate.Change) {
	for _, e := range es {
		out = append(out, e.Changes...)
	}
	slices.SortFunc(out, func(a, b flashgate.Change) int { return cmp.Compare(a.Order, b.Order) })
	return out
}

// adopt takes over a log that says the same in other entries.
func (ts *Tables) adopt(id flashgate.SaleID, log []flashgate.LogEntry) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	tb := ts.sales[id]
	tb.log, tb.Seq = slices.Clone(log), uint64(len(log))
}

// wantSame compares two errors by their codes.
func (m *machine) wantSame(got, want error, what string) {
	if flashgate.ErrorCode(got) != flashgate.ErrorCode(want) {
		m.t.Fatalf("P5: %s: %v, want %v", what, got, want)
	}
}

// cancel is a buyer's, for an order of the buyer's or not.
func (m *machine) cancel() {
	m.pass(len(m.asked) == 0)
	from := m.asked
	if live := m.live(); len(live) > 0 && m.int(0, 3, "live") < 3 {
		from = live
	}
	r := pick(m, from, "order")
	user := r.User
	if m.int(0, 9, "whose") == 9 {
		user = pick(m, m.users, "user")
	}
	got, err := m.sys.Database.Cancel(m.ctx(), r.Order, user)
	want, wantErr := m.tables.Cancel(m.ctx(), r.Order, user)
	m.wantSame(err, wantErr, "Cancel")
	if err == nil && got.Status != want.Status {
		m.t.Fatalf("P5: cancelled, and the order is %s", got.Status)
	}
	m.heed("Cancel")
}

// live are the reservations that are orders.
func (m *machine) live() (rs []flashgate.Reservation) {
	for _, r := range m.asked {
		if m.states[r.Order].Live() {
			rs = append(rs, r)
		}
	}
	return rs
}

func (m *machine) pay() {
	m.pass(len(m.asked) == 0)
	r := pick(m, m.asked, "order")
	got, err := m.sys.Database.Pay(m.ctx(), r.Order, r.User)
	want, wantErr := m.tables.Pay(m.ctx(), r.Order, r.User)
	m.wantSame(err, wantErr, "Pay")
	if err == nil && got.Status != want.Status {
		m.t.Fatalf("P5: paid, and the order is %s", got.Status)
	}
	m.heed("Pay")
}

// expire cancels what is due. How many entries of the log that takes is the database's
// business.
func (m *machine) expire() {
	_, _, err := m.sys.Database.Expire(m.ctx(), 1000)
	m.must(err, "Expire")
	_, _, err = m.tables.Expire(m.ctx(), 1000)
	m.must(err, "the model's Expire")
	m.heed("Expire")
}

func (m *machine) change(c flashgate.SaleChange) {
	_, err := m.sys.Database.ChangeSale(m.ctx(), m.sale, c)
	m.must(err, "ChangeSale")
	_, err = m.tables.ChangeSale(m.ctx(), m.sale, c)
	m.must(err, "the model's ChangeSale")
	m.heed("ChangeSale")
}

func (m *machine) restock() { m.change(flashgate.SaleChange{Restock: int64(m.int(1, 4, "units"))}) }

// window moves it to the past, to the future, and mostly to now.
func (m *machine) window() {
	starts, ends := current()
	by := time.Duration(0)
	switch m.int(0, 7, "now, past or future") {
	case 6:
		by = -3 * time.Hour
	case 7:
		by = 3 * time.Hour
	}
	starts, ends = starts.Add(by), ends.Add(by)
	m.change(flashgate.SaleChange{Starts: &starts, Ends: &ends})
}

// deadLetter is an operator's word on one: it is decided again, or dropped.
func (m *machine) deadLetter() {
	ds, err := m.tables.DeadLetters(m.ctx(), all)
	m.must(err, "the model's DeadLetters")
	m.pass(len(ds) == 0)
	m.endDeadLetter(pick(m, ds, "dead letter").Order, m.bool("replay"))
}

func (m *machine) endDeadLetter(id flashgate.OrderID, replay bool) {
	if !replay {
		m.wantSame(m.sys.Database.Drop(m.ctx(), id), m.tables.Drop(m.ctx(), id), "Drop")
		m.heed("Drop")
		return
	}
	got, err := m.sys.Database.Replay(m.ctx(), id, unpaid)
	want, wantErr := m.tables.Replay(m.ctx(), id, unpaid)
	m.wantSame(err, wantErr, "Replay")
	m.count("replays")
	if got != want {
		m.t.Fatalf("P5: replayed %+v, want %+v", got, want)
	}
	m.heed("Replay")
}
