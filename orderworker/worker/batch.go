package worker

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"flashgate"
)

// batch is what one Receive brought: the deliveries, what is in them, and how many
// parts of each delivery still need a row or a dead letter.
type batch struct {
	deliveries []flashgate.Delivery
	open       []int              // parts not settled, by delivery
	of         []flashgate.SaleID // by delivery; empty when it does not decode
	sales      []*saleBatch
	dead       []deadPart
	fences     []fencePart
	decided    map[flashgate.SaleID]*settlement // what the gate has to be told
}

// saleBatch holds the reservations of one sale in the order in which they came.
type saleBatch struct {
	sale  flashgate.SaleID
	parts []part
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

// newBatch decodes deliveries. It never fails: whatever does not decode becomes a
// dead letter, as small a part as can be told apart from its neighbours. fences says
// whether the worker has a gate that fences are for; with keys an order id that none of
// them has made is a dead letter, too.
func newBatch(ds []flashgate.Delivery, fences bool, signing flashgate.Keys) *batch {
	var keys *flashgate.Keyring
	if signing != nil {
		keys = signing.Keyring()
	}
	b := &batch{
		deliveries: ds, open: make([]int, len(ds)), of: make([]flashgate.SaleID, len(ds)),
		decided: map[flashgate.SaleID]*settlement{},
	}
	bySale := map[flashgate.SaleID]*saleBatch{}
	for i, d := range ds {
		m, bad, err := flashgate.DecodeSplit(d.Body)
		if err == nil && m.Fence && fences {
			b.of[i] = m.Sale
			b.fences = append(b.fences, fencePart{m.Sale, m.Epoch, i})
			b.open[i]++
			continue
		}
		if err == nil && m.Fence {
			err = flashgate.Errorf(flashgate.CodeInvalid, "worker.decode", "it is a fence, and this worker's gate needs none; drop it")
		}
		if err != nil {
			b.addDead(i, unreadable(d.Body, err))
			continue
		}
		b.of[i] = m.Sale
		for _, r := range bad {
			b.addDead(i, damaged(m.Sale, r, keys))
		}
		s := bySale[m.Sale]
		if s == nil {
			s = &saleBatch{sale: m.Sale}
			bySale[m.Sale] = s
			b.sales = append(b.sales, s)
		}
		for _, r := range m.Reservations {
			if keys != nil {
				if keys.VerifyOrder(r.Order, r.User) != nil {
					b.addDead(i, forged(m.Sale, r))
					continue
				}
			}
			s.parts = append(s.parts, part{r, i})
			b.open[i]++
		}
	}
	return b
}

func (b *batch) addDead(delivery int, d flashgate.DeadLetter) {
	b.dead = append(b.dead, deadPart{d, delivery})
	b.open[delivery]++
}

// settled notes that a part of a delivery has its row or its dead letter.
func (b *batch) settled(delivery int) { b.open[delivery]-- }

// note takes a decision for the gate. A dead letter changes nothing there.
func (b *batch) note(sale flashgate.SaleID, d flashgate.Decision) {
	if d.Seq == 0 {
		return
	}
	s := b.decided[sale]
	if s == nil {
		s = &settlement{}
		b.decided[sale] = s
	}
	s.add(d)
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
	seen := map[flashgate.OrderID]bool{}
	start := 0
	for i, p := range s.parts {
		if i-start == flashgate.MaxMessageReservations || seen[p.reservation.Order] {
			out = append(out, s.parts[start:i])
			start = i
			clear(seen)
		}
		seen[p.reservation.Order] = true
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

// unreadable keeps a whole message, or as much of it as a message may have: the database
// would not take any size.
func unreadable(body []byte, err error) flashgate.DeadLetter {
	d := flashgate.DeadLetter{
		Order: hashID(body), Record: body[:min(len(body), flashgate.MaxMessageBytes)], Reason: flashgate.ReasonUnreadable,
		Detail: "The message cannot be read: " + told(err) + ".",
	}
	if len(d.Record) < len(body) {
		d.Detail += fmt.Sprintf(" Of its bytes the first %d are kept here.", len(d.Record))
	}
	if e, ok := errors.AsType[*flashgate.Error](err); ok && e.Field == "v" {
		d.Detail += " If it is of a newer version, update the workers before the gateways."
	}
	d.Detail += " Find its sender. What a gate holds of it is published again by itself; when nothing else in it is wanted, drop it."
	return d
}

// invalidOrder keeps one reservation. When its order id parses, it is filed under it
// and under the sale in it: that is where its buyer asks, and where a replay has to
// decide it.
func invalidOrder(sale flashgate.SaleID, r flashgate.Reservation, err error) flashgate.DeadLetter {
	return invalidRecord(sale, r.Order, record(r), err)
}

// damaged keeps a reservation that cannot be read, as it came. With keys it is filed
// under its order only if the id was made for its user, as a forged one is.
func damaged(sale flashgate.SaleID, r flashgate.BadReservation, keys *flashgate.Keyring) flashgate.DeadLetter {
	id := r.Reservation.Order
	if keys != nil && keys.VerifyOrder(id, r.Reservation.User) != nil {
		id = ""
	}
	return invalidRecord(sale, id, r.Raw, r.Err)
}

func invalidRecord(sale flashgate.SaleID, id flashgate.OrderID, raw []byte, err error) flashgate.DeadLetter {
	d := flashgate.DeadLetter{
		Order: id, Sale: id.Sale(), Record: raw, Reason: flashgate.ReasonInvalid,
		Detail: "The reservation, in a message of sale " + string(sale) + ", is not valid: " + told(err) + ". Find its sender. ",
	}
	if d.Sale == "" {
		d.Order, d.Sale = hashID(raw), sale
	}
	if _, ok := d.Reservation(); ok {
		d.Detail += "What an order needs is there: replay it to have it decided, or drop it."
	} else {
		d.Detail += "It cannot be replayed: drop it. What a gate holds under its order id is then published again by itself."
	}
	return d
}

// told is an error without the code and the operation, which are for programs.
func told(err error) string {
	e, ok := errors.AsType[*flashgate.Error](err)
	if !ok {
		return err.Error()
	}
	text := strings.TrimSuffix(e.Message, ".")
	if e.Field != "" {
		text = e.Field + " " + text
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// forged keeps a reservation whose order id none of the keys has made for its user. It
// is filed under a name of its own: the id may be somebody's whose order is yet to come.
func forged(sale flashgate.SaleID, r flashgate.Reservation) flashgate.DeadLetter {
	raw := record(r)
	return flashgate.DeadLetter{
		Order: hashID(raw), Sale: sale, Record: raw, Reason: flashgate.ReasonInvalid,
		Detail: "The order id was not made for its user by any of the signing keys: somebody else publishes orders, or a key was taken away while orders of it were on their way. Find out which, then drop it.",
	}
}

// record is the canonical JSON of a reservation, as it is in a message.
func record(r flashgate.Reservation) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		panic(err) // strings and integers always encode
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// hashID names something that has no order id: the same bytes get the same name, so
// keeping them is idempotent.
func hashID(body []byte) flashgate.OrderID {
	sum := sha256.Sum256(body)
	return flashgate.OrderID("unreadable." + hex.EncodeToString(sum[:]))
}
