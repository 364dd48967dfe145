package worker

import "flashgate"

// batch is what is decided together: the deliveries, what is in them, and how many
// parts of each delivery still need a row or a dead letter.
type batch struct {
	deliveries []flashgate.Delivery
	open       []int              // parts not settled, by delivery
	of         []flashgate.SaleID // by delivery; empty when it does not decode
	parts      int                // reservations that are to be decided
	sales      []*saleBatch
	dead       []deadPart
	fences     []fencePart

	finished chan struct{} // closed when each delivery is acked or returned
}

// batchParts bounds the reservations of a batch, over all sales: what is decided first
// waits for its ack until all are.
const batchParts = 8 * flashgate.MaxMessageReservations

// saleBatch holds the reservations of one sale in the order in which they came.
type saleBatch struct {
	sale    flashgate.SaleID
	parts   []part
	decided settlement // what the gate has to be told
}

// part is one reservation and the delivery that it came with.
type part struct {
	reservation flashgate.Reservation
	delivery    int
}

// deadPart is something that cannot be decided.
type deadPart struct {
	letter   flashgate.DeadLetter
	delivery int
}

func newBatch() *batch { return &batch{finished: make(chan struct{})} }

// sale returns a sale's part of the batch; nil if there is none yet.
func (b *batch) sale(id flashgate.SaleID) *saleBatch {
	for _, s := range b.sales {
		if s.sale == id {
			return s
		}
	}
	return nil
}

// fits reports whether a delivery may join those that are there, of which there may be
// most: a sale's reservations are to fit into one transaction. The first one always may.
func (b *batch) fits(d decoded, most int) bool {
	if len(b.deliveries) == 0 {
		return true
	}
	n := len(d.reservations)
	if s := b.sale(d.sale); s != nil && n > 0 && len(s.parts)+n > flashgate.MaxMessageReservations {
		return false
	}
	return len(b.deliveries) < most && b.parts+n <= batchParts
}

// add takes a delivery.
func (b *batch) add(d decoded) {
	i := len(b.deliveries)
	b.deliveries = append(b.deliveries, d.delivery)
	b.open = append(b.open, len(d.dead)+len(d.reservations))
	b.of = append(b.of, d.sale)
	for _, l := range d.dead {
		b.dead = append(b.dead, deadPart{l, i})
	}
	if d.fence {
		b.fences = append(b.fences, fencePart{d.sale, d.number, i})
		b.open[i]++
	}
	if len(d.reservations) == 0 {
		return
	}
	s := b.sale(d.sale)
	if s == nil {
		s = &saleBatch{sale: d.sale}
		b.sales = append(b.sales, s)
	}
	b.parts += len(d.reservations)
	for _, r := range d.reservations {
		s.parts = append(s.parts, part{r, i})
	}
}

// settled notes that a part of a delivery has its row or its dead letter. Sales that are
// decided side by side may call it, as a delivery is of one sale.
func (b *batch) settled(delivery int) { b.open[delivery]-- }

// decided is what the gate has to be told, by sale. A dead letter changes nothing there.
func (b *batch) decided() map[flashgate.SaleID]*settlement {
	out := map[flashgate.SaleID]*settlement{}
	for _, s := range b.sales {
		if s.decided.seq > 0 {
			out[s.sale] = &s.decided
		}
	}
	return out
}

// outcome splits the deliveries: those that are settled through and through may be
// acked, the others go back to the queue.
func (b *batch) outcome() (ack, back []flashgate.Delivery) {
	for i, d := range b.deliveries {
		if b.open[i] == 0 {
			ack = append(ack, d)
		} else {
			back = append(back, d)
		}
	}
	return ack, back
}

// chunks cuts a sale's parts into pieces for one transaction each: at most
// MaxMessageReservations, and no order id twice, because a message that was
// published twice often comes twice in one batch.
func (s *saleBatch) chunks() [][]part {
	var out [][]part
	seen := make(map[flashgate.OrderID]struct{}, min(len(s.parts), flashgate.MaxMessageReservations))
	start := 0
	for i, p := range s.parts {
		if _, twice := seen[p.reservation.Order]; twice || i-start == flashgate.MaxMessageReservations {
			out = append(out, s.parts[start:i])
			start = i
			clear(seen)
		}
		seen[p.reservation.Order] = struct{}{}
	}
	if start < len(s.parts) {
		out = append(out, s.parts[start:])
	}
	return out
}

func reservations(ps []part) []flashgate.Reservation {
	rs := make([]flashgate.Reservation, len(ps))
	for i, p := range ps {
		rs[i] = p.reservation
	}
	return rs
}
