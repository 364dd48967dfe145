package stockmachine

import (
	"slices"
	"time"

	"flashgate"
)

// Leases: one ends at once, the other does not end within a history.
const (
	shortLease = time.Microsecond
	longLease  = time.Hour
)

// all is more than there is.
const all = 10 * askedAtMost

// lease leases the oldest, or all that waits.
func (m *machine) lease(one, long bool) []flashgate.Reservation {
	most, duration := all, shortLease
	if one {
		most = 1
	}
	if long {
		duration = longLease
	}
	rs, err := m.sys.Apart.Lease(m.ctx(), m.sale, 0, duration, most)
	if m.wantClosed(err, "Lease") {
		return nil
	}
	there := m.gate.places(waiting)
	if len(rs) != min(len(there), most) {
		m.t.Fatalf("P2: %d leased, %d wait", len(rs), len(there))
	}
	if len(rs) > 0 {
		m.count("leases")
	}
	last := 0
	for _, r := range rs {
		k, ok := there[r.Order]
		if !ok || k.Reservation != r || k.entered < last {
			m.t.Fatalf("P2: leased %+v, which does not wait (%v), or not in this order", r, ok)
		}
		last = k.entered
		delete(there, r.Order)
		if long {
			k.place = leased
			m.gate.holds[r.Order] = k
		}
	}
	for _, k := range there {
		if k.entered < last {
			m.t.Fatalf("P2: a younger one than %s was leased", k.Order)
		}
	}
	return m.inOrder(rs)
}

// inOrder is the order in which they were asked for first: what is drawn from them must
// not hang on the order of ids, which are made at random.
func (m *machine) inOrder(rs []flashgate.Reservation) []flashgate.Reservation {
	at := map[flashgate.OrderID]int{}
	for i, r := range m.asked {
		at[r.Order] = i
	}
	slices.SortFunc(rs, func(a, b flashgate.Reservation) int { return at[a.Order] - at[b.Order] })
	return rs
}

// waiting compares what is held and not in the outbox.
func (m *machine) waiting() []flashgate.Reservation {
	rs, err := m.sys.Apart.Waiting(m.ctx(), m.sale, 0, all)
	if m.wantClosed(err, "Waiting") {
		return nil
	}
	there := m.gate.places(out)
	if len(rs) != len(there) {
		m.t.Fatalf("P2: %d are held and not in the outbox, want %d", len(rs), len(there))
	}
	for _, r := range rs {
		if k, ok := there[r.Order]; !ok || k.Reservation != r {
			m.t.Fatalf("P2: %+v is held and not in the outbox, want %+v", r, k.Reservation)
		}
	}
	return m.inOrder(rs)
}

// rescue looks into what is held and not in the outbox: what is decided is settled, or
// some of it goes back to the outbox, which never does any harm.
func (m *machine) rescue() {
	rs := m.waiting()
	m.pass(len(rs) == 0)
	if m.bool("requeue") {
		ids := idsOf(some(m, rs, "requeued"))
		m.must(m.sys.Apart.Requeue(m.ctx(), m.sale, ids), "Requeue")
		m.gate.requeue(ids)
		return
	}
	m.settleDecided(rs)
}

// settleDecided settles those of some held ones that have a row which is applied.
func (m *machine) settleDecided(rs []flashgate.Reservation) {
	rows, err := m.sys.Database.Orders(m.ctx(), idsOf(rs))
	m.must(err, "Orders")
	for _, o := range rows {
		if o.Seq > 0 && o.Seq <= m.gate.applied {
			m.settle(owed{o.Seq, []flashgate.OrderID{o.ID}})
		}
	}
}
