package stockmachine

import (
	"fmt"
	"slices"

	"flashgate"
)

// askedAtMost bounds the ids of one history.
const askedAtMost = 30

// reservations draws a batch of a gateway: new ones, repeats, and repeats with another
// payload.
func (m *machine) reservations() (rs []flashgate.Reservation) {
	for range m.int(1, 3, "batch") {
		kind := m.int(0, 4, "new, repeated or altered")
		switch {
		case len(m.asked) == 0 || kind < 3 && len(m.asked) < askedAtMost:
			r := m.newReservation(pick(m, m.users, "user"), m.int(1, 2, "units"))
			m.asked = append(m.asked, r)
			rs = append(rs, r)
		case kind < 4:
			rs = append(rs, pick(m, m.asked, "repeated"))
		default:
			rs = append(rs, altered(pick(m, m.asked, "altered")))
		}
	}
	return rs
}

func (m *machine) newReservation(user flashgate.UserID, units int) flashgate.Reservation {
	at := instant()
	_, id := keys().Mint(flashgate.Claim{Sale: string(m.sale), User: string(user)}, at.Add(unpaid))
	return flashgate.Reservation{Order: id, User: user, Units: units, At: at.UnixMilli()}
}

// altered has the id and another payload: one unit for two and two for one.
func altered(r flashgate.Reservation) flashgate.Reservation {
	r.Units = 3 - r.Units
	return r
}

func idsOf(rs []flashgate.Reservation) []flashgate.OrderID {
	ids := make([]flashgate.OrderID, len(rs))
	for i, r := range rs {
		ids[i] = r.Order
	}
	return ids
}

// buy is a gateway's batch: reserve, publish, tell the gate. It is cut off after any of
// these, and the answer of the first may be lost.
func (m *machine) buy() {
	rs := m.reservations()
	until := 5 - m.int(1, 4, "cut off")
	m.count("purchases")
	out := m.reserve(rs)
	if until == 1 {
		return // nobody has seen the answers
	}
	var publish []flashgate.Reservation
	for i, r := range rs {
		switch out[i].Outcome {
		case flashgate.OutcomeAccepted:
			m.told[r.Order] = true
		case flashgate.OutcomePublish:
			m.count("reservations to publish")
			if !slices.ContainsFunc(publish, func(p flashgate.Reservation) bool { return p.Order == r.Order }) {
				publish = append(publish, r)
			}
		}
	}
	switch {
	case len(publish) == 0:
	case until == 2:
		m.intents = append(m.intents, publish...)
	default:
		if m.publish(publish) {
			for _, r := range publish {
				m.told[r.Order] = true
			}
			m.confirm(idsOf(publish), until == 4)
		}
	}
}

// reserve makes one call and compares each answer.
func (m *machine) reserve(rs []flashgate.Reservation) []flashgate.Reserved {
	got, err := m.sys.Stock.Reserve(m.ctx(), m.sale, rs)
	m.must(err, "Reserve")
	want, fresh := m.gate.reserve(rs)
	m.wantAnswers(rs, got, want, "a purchase")
	for _, a := range want {
		m.count(fmt.Sprint("answers: ", a.outcome))
	}
	if m.gate.shared && len(fresh) > 0 {
		m.queue = append(m.queue, &queued{rs: fresh})
	}
	return got
}

// promiseOf is the one that a wrong answer breaks.
func promiseOf(got flashgate.Outcome, want answer) string {
	is := func(o flashgate.Outcome) bool { return got == o || want.outcome == o }
	switch {
	case is(flashgate.OutcomePublish) && is(flashgate.OutcomeAccepted):
		return "P2"
	case want.known:
		return "P5"
	case is(flashgate.OutcomeAlreadyBought):
		return "P3"
	case is(flashgate.OutcomeSoldOut):
		return "P1"
	case is(flashgate.OutcomeClosed):
		return "P4"
	default:
		return "P5"
	}
}

func (m *machine) wantAnswers(rs []flashgate.Reservation, got []flashgate.Reserved, want []answer, what string) {
	if len(got) != len(rs) {
		m.t.Fatalf("%s: %d answers to %d reservations", what, len(got), len(rs))
	}
	for i, r := range rs {
		if o := got[i].Outcome; o != want[i].outcome {
			m.t.Fatalf("%s: %s: reservation %d (%d units under %s) is answered %d, want %d", promiseOf(o, want[i]), what, i, r.Units, r.Order, o, want[i].outcome)
		}
		var at flashgate.Position
		if m.gate.isOpen() {
			at = flashgate.Position{Epoch: m.gate.epoch, Applied: m.gate.applied}
		}
		if got[i].Position() != at {
			m.t.Fatalf("P4: %s: answered at %+v, want %+v", what, got[i].Position(), at)
		}
		if (want[i].outcome == flashgate.OutcomeSoldOut) != (got[i].EndsIn > 0) {
			m.t.Fatalf("P1: %s: outcome %d, and the window ends in %v", what, want[i].outcome, got[i].EndsIn)
		}
		if want[i].outcome == flashgate.OutcomeAlreadyBought {
			prior := got[i].Prior
			mine := slices.ContainsFunc(m.asked, func(a flashgate.Reservation) bool { return a.Order == prior && a.User == r.User })
			if !mine && (prior != "" || want[i].share > 0) {
				m.t.Fatalf("P3: %s: the earlier order of %s is %q", what, r.User, prior)
			}
		}
	}
}

// publish hands reservations to the queue and reports whether that was confirmed. They
// may be there without that, or not at all, and come again.
func (m *machine) publish(rs []flashgate.Reservation) (confirmed bool) {
	fate := m.int(0, 3, "confirmed, confirmed, arrived, lost")
	if fate < 3 {
		m.must(m.sys.Queue.Publish(m.ctx(), flashgate.NewMessage(m.sale, max(m.gate.epochOr0(), 1), rs...)), "Publish")
		m.queue = append(m.queue, &queued{rs: rs})
	}
	if fate >= 2 {
		m.count("publishes without a confirm")
		m.intents = append(m.intents, rs...)
		return false
	}
	return true
}

func (g *gate) epochOr0() uint64 {
	if g.head == nil {
		return 0
	}
	return g.epoch
}

// confirm tells the gate what is in the queue, now or late.
func (m *machine) confirm(ids []flashgate.OrderID, now bool) {
	if !now {
		m.confirmed = append(m.confirmed, ids...)
		return
	}
	if m.wantClosed(m.sys.Apart.Published(m.ctx(), m.sale, ids), "Published") {
		return
	}
	m.gate.published(ids)
}

// wantClosed reports whether the sale is closed; err must say the same.
func (m *machine) wantClosed(err error, what string) bool {
	if m.gate.isOpen() {
		m.must(err, what)
		return false
	}
	if flashgate.ErrorCode(err) != flashgate.CodeSaleClosed {
		m.t.Fatalf("P4: %s in a sale that is closed: %v", what, err)
	}
	return true
}

// relay is a round of a relay: lease, publish, tell the gate.
func (m *machine) relay() {
	until := 4 - m.int(1, 3, "cut off")
	rs := m.lease(m.int(0, 2, "one") == 2, m.bool("long"))
	switch {
	case len(rs) == 0:
	case until == 1:
		m.intents = append(m.intents, rs...)
	default:
		if m.publish(rs) {
			m.confirm(idsOf(rs), until == 3)
		}
	}
}

// publishLate is the second half of a purchase or of a relay's round.
func (m *machine) publishLate() {
	m.pass(len(m.intents) == 0)
	first := m.int(0, len(m.intents)-1, "first")
	rs := []flashgate.Reservation{m.intents[first]}
	m.intents = slices.Delete(m.intents, first, first+1)
	if m.publish(rs) {
		m.confirm(idsOf(rs), m.bool("confirm"))
	}
}

// confirmLate tells the gate, perhaps not for the first time.
func (m *machine) confirmLate() {
	m.pass(len(m.confirmed) == 0)
	m.confirm(some(m, m.confirmed, "confirmed"), true)
}

// stranger is a message of which the gate knows nothing: what it held is lost, or a tool
// has sent it. Where gate and queue share their transactions there is none.
func (m *machine) stranger() {
	m.pass(len(m.asked) >= askedAtMost)
	r := m.newReservation(pick(m, m.users, "user"), m.int(1, 2, "units"))
	m.asked = append(m.asked, r)
	m.send(r)
	m.lost = true
}
