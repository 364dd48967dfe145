package stockhistory

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"flashgate"

	"github.com/anishathalye/porcupine"
)

// Bounds of a Sale: a state is a few words, so that the judge can keep many.
const (
	MaxReservations = 64
	MaxUsers        = 8
)

// Sale is what the calls of a history are about. All of its reservations are known
// beforehand; its window is open all the time.
type Sale struct {
	ID           flashgate.SaleID
	Units        int64
	PerUser      int
	Applied      uint64 // at the start
	Reservations []flashgate.Reservation
	// Shared says that gate and database share their transactions: Decide and Cancel are
	// calls, and Reserve answers OutcomeAccepted.
	Shared bool

	at    map[flashgate.OrderID]int
	users map[flashgate.UserID]int
}

// index looks up what a state is about. It panics for what the sale does not have,
// because that is a mistake of the test.
func (s *Sale) index() {
	s.at, s.users = map[flashgate.OrderID]int{}, map[flashgate.UserID]int{}
	for i, r := range s.Reservations {
		s.at[r.Order] = i
		if _, ok := s.users[r.User]; !ok {
			s.users[r.User] = len(s.users)
		}
	}
	if len(s.at) > MaxReservations || len(s.at) != len(s.Reservations) || len(s.users) > MaxUsers {
		panic(fmt.Sprintf("stockhistory: %d ids of %d reservations by %d users", len(s.at), len(s.Reservations), len(s.users)))
	}
}

func (s *Sale) bit(id flashgate.OrderID) uint64 {
	i, ok := s.at[id]
	if !ok {
		panic(fmt.Sprintf("stockhistory: %s is none of the sale's", id))
	}
	return 1 << i
}

// state is a gate's, of one sale. The zero value is that before the first call.
type state struct {
	begun         bool
	free          int64
	applied       uint64
	held, decided uint64 // by reservation
	pending       uint64 // that are orders and may be cancelled
	shares        [MaxUsers]int
}

type verb string

const (
	reserve verb = "reserve"
	apply   verb = "apply"
	settle  verb = "settle"
	decide  verb = "decide"
	cancel  verb = "cancel"
	view    verb = "view"
	held    verb = "held"
)

// input is a call.
type input struct {
	*Sale
	verb    verb
	rs      []flashgate.Reservation // of reserve and decide
	id      flashgate.OrderID       // of held and cancel
	ids     []flashgate.OrderID     // of settle
	seq     uint64                  // of settle
	entries []flashgate.LogEntry    // of apply
}

// output is what a call answered.
type output struct {
	unknown   bool
	reserved  []flashgate.Reserved // the outcome of each, and the seq that is applied
	decisions []flashgate.Decision
	applied   uint64
	view      flashgate.StockView
	held      bool
	cancelled bool
}

// model is the gate as a sequential one. Its state comes from the first call's sale.
var model = porcupine.Model{
	Partition: func(history []porcupine.Operation) (parts [][]porcupine.Operation) {
		at := map[*Sale]int{}
		for _, op := range history {
			sale := op.Input.(input).Sale
			i, ok := at[sale]
			if !ok {
				i = len(parts)
				at[sale] = i
				parts = append(parts, nil)
			}
			parts[i] = append(parts[i], op)
		}
		return parts
	},
	Init: func() any { return state{} },
	Step: func(s, in, out any) (bool, any) {
		now, call, answer := s.(state), in.(input), out.(output)
		if !now.begun {
			now = state{begun: true, free: call.Units, applied: call.Applied}
		}
		told := now.step(call)
		return answer.unknown || call.explains(told, answer), now
	},
	DescribeOperation: func(in, out any) string { return describe(in.(input), out.(output)) },
}

// step takes effect and says what the answer is.
func (s *state) step(c input) (out output) {
	switch c.verb {
	case reserve:
		for _, r := range c.rs {
			out.reserved = append(out.reserved, flashgate.Reserved{Outcome: s.reserve(c.Sale, r), Applied: s.applied})
		}
	case apply:
		for _, e := range c.entries {
			s.apply(c.Sale, e)
		}
		out.applied = s.applied
	case settle:
		for _, id := range c.ids {
			if bit := c.bit(id); c.seq <= s.applied && s.held&bit != 0 {
				s.release(c.Sale, bit)
				s.decided |= bit
			}
		}
	case decide:
		out.decisions = s.decide(c.Sale, c.rs)
	case cancel:
		out.cancelled = s.cancel(c.Sale, c.bit(c.id))
	case view:
		out.view = flashgate.StockView{Free: s.free, Held: c.units(s.held), Applied: s.applied}
	case held:
		out.held = s.held&c.bit(c.id) != 0
	}
	return out
}

// units are those of some reservations.
func (s *Sale) units(set uint64) (n int64) {
	for ; set != 0; set &= set - 1 {
		n += int64(s.Reservations[bits.TrailingZeros64(set)].Units)
	}
	return n
}

func (s *Sale) of(bit uint64) flashgate.Reservation {
	return s.Reservations[bits.TrailingZeros64(bit)]
}

func (s *state) reserve(sale *Sale, r flashgate.Reservation) flashgate.Outcome {
	bit, user := sale.bit(r.Order), sale.users[r.User]
	switch {
	case (s.held|s.decided)&bit != 0:
		if sale.Shared || s.held&bit == 0 {
			return flashgate.OutcomeAccepted
		}
		return flashgate.OutcomePublish
	case s.shares[user]+r.Units > sale.PerUser:
		return flashgate.OutcomeAlreadyBought
	case int64(r.Units) > s.free:
		return flashgate.OutcomeSoldOut
	}
	s.held |= bit
	s.free -= int64(r.Units)
	s.shares[user] += r.Units
	if sale.Shared {
		return flashgate.OutcomeAccepted
	}
	return flashgate.OutcomePublish
}

// release undoes a hold.
func (s *state) release(sale *Sale, bit uint64) {
	if s.held&bit == 0 {
		return
	}
	r := sale.of(bit)
	s.held &^= bit
	s.free += int64(r.Units)
	s.shares[sale.users[r.User]] -= r.Units
}

func (s *state) apply(sale *Sale, e flashgate.LogEntry) {
	if e.Seq != s.applied+1 {
		return
	}
	s.applied = e.Seq
	for _, c := range e.Changes {
		if c.Kind == flashgate.ChangeRestock {
			s.free += c.Units
			continue
		}
		bit, user := sale.bit(c.Order), sale.users[c.User]
		s.decided |= bit
		switch c.Kind {
		case flashgate.ChangePlaced:
			s.release(sale, bit)
			s.free -= c.Units
			s.shares[user] += int(c.Units)
		case flashgate.ChangeRejected:
			s.release(sale, bit)
		case flashgate.ChangeCancelled:
			s.free += c.Units
			s.shares[user] -= int(c.Units)
		default:
			panic("stockhistory: a change of kind " + c.Kind)
		}
	}
}

// decide places what was held; nobody decides anything else.
func (s *state) decide(sale *Sale, rs []flashgate.Reservation) (out []flashgate.Decision) {
	seq := s.applied
	for _, r := range rs {
		bit := sale.bit(r.Order)
		d := flashgate.Decision{Order: r.Order, Status: flashgate.StatusPending}
		switch {
		case s.decided&bit != 0:
			d.Duplicate = true
			if s.pending&bit == 0 {
				d.Status = flashgate.StatusCancelled
			}
		case s.held&bit == 0:
			d.Status = "" // not explained
		default:
			seq = s.applied + 1
			s.held &^= bit
			s.decided |= bit
			s.pending |= bit
		}
		out = append(out, d)
	}
	s.applied = seq
	return out
}

func (s *state) cancel(sale *Sale, bit uint64) bool {
	switch {
	case s.pending&bit != 0:
		r := sale.of(bit)
		s.pending &^= bit
		s.applied++
		s.free += int64(r.Units)
		s.shares[sale.users[r.User]] -= r.Units
		return true
	default:
		return s.decided&bit != 0 // cancelled before; without a row it is not there
	}
}

// explains compares an answer with what it ought to be.
func (c input) explains(told, got output) bool {
	switch c.verb {
	case reserve:
		return slices.EqualFunc(told.reserved, got.reserved, func(a, b flashgate.Reserved) bool {
			if b.Outcome == flashgate.OutcomeUnset {
				return refused(a.Outcome)
			}
			return a.Outcome == b.Outcome && a.Applied == b.Applied
		})
	case apply:
		return told.applied == got.applied
	case decide:
		return slices.EqualFunc(told.decisions, got.decisions, func(a, b flashgate.Decision) bool {
			return a.Order == b.Order && a.Status == b.Status && a.Duplicate == b.Duplicate
		})
	case cancel:
		return told.cancelled == got.cancelled
	case view:
		return told.view.Free == got.view.Free && told.view.Held == got.view.Held && told.view.Applied == got.view.Applied
	case held:
		return told.held == got.held
	}
	return true
}

// refused reports whether an outcome may be hidden behind OutcomeUnset: it is no answer
// where a broken connection's first try may still be granted.
func refused(o flashgate.Outcome) bool {
	return o == flashgate.OutcomeSoldOut || o == flashgate.OutcomeAlreadyBought
}

func describe(in input, out output) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", in.Sale.ID, in.verb)
	for _, r := range in.rs {
		fmt.Fprintf(&b, " #%d(user %d, %d units)", in.at[r.Order], in.users[r.User], r.Units)
	}
	if in.id != "" {
		fmt.Fprintf(&b, " #%d", in.at[in.id])
	}
	for _, e := range in.entries {
		fmt.Fprintf(&b, " %d:", e.Seq)
		for _, c := range e.Changes {
			fmt.Fprintf(&b, " %s #%d", c.Kind, in.at[c.Order])
		}
	}
	switch {
	case out.unknown:
		b.WriteString(" -> no answer")
	case in.verb == reserve:
		for _, o := range out.reserved {
			fmt.Fprintf(&b, " -> %d at %d", o.Outcome, o.Applied)
		}
	case in.verb == apply:
		fmt.Fprintf(&b, " -> %d", out.applied)
	case in.verb == decide:
		for _, d := range out.decisions {
			fmt.Fprintf(&b, " -> %s duplicate=%v", d.Status, d.Duplicate)
		}
	case in.verb == view:
		fmt.Fprintf(&b, " -> free %d, held %d, applied %d", out.view.Free, out.view.Held, out.view.Applied)
	default:
		fmt.Fprintf(&b, " -> %v", out.held || out.cancelled)
	}
	return b.String()
}
