package main_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"flashgate"
)

// badMessage is one that a faulty program has published. It carries what the gate holds
// of three buyers, and that of the second is damaged, or all of it.
type badMessage struct {
	name string
	make func(m mould) string
	// What becomes of it: the dead letter's id, sale, record, reason, and parts of its
	// detail; without an id there is none.
	filed    func(m mould, body string) (id flashgate.OrderID, record string)
	sale     flashgate.SaleID
	reason   string
	detail   []string
	becomes  string // the second buyer's order, in the end
	together bool   // the other two are decided with this message, not rescued later
	visible  bool   // the second buyer is told that the order is a dead letter
}

// mould is what the message is made of.
type mould struct {
	sale                flashgate.SaleID
	epoch               uint64
	order               flashgate.OrderID // the second buyer's
	left, second, right string            // records
}

// record is a reservation in its canonical form.
func recordOf(o *buyer) string {
	return fmt.Sprintf(`{"order":%q,"user":%q,"units":1,"at":%d}`, o.minted.Order, o.member.User, time.Now().UnixMilli())
}

// around is the canonical message around records.
func (m mould) around(records ...string) string {
	return fmt.Sprintf(`{"v":1,"sale":%q,"epoch":%d,"reservations":[%s]}`, m.sale, m.epoch, strings.Join(records, ","))
}

// damaged replaces a part of the second record.
func (m mould) damaged(old, new string) string {
	return strings.Replace(m.second, old, new, 1)
}

func nameless(raw string) flashgate.OrderID {
	sum := sha256.Sum256([]byte(raw))
	return flashgate.OrderID("unreadable." + hex.EncodeToString(sum[:]))
}

func userIn(m mould) string {
	_, rest, _ := strings.Cut(m.second, `"user":"`)
	user, _, _ := strings.Cut(rest, `"`)
	return user
}

func withoutUser(m mould) string { return m.damaged(`"user":"`+userIn(m)+`",`, ``) }

func withLongUser(n int) func(mould) string {
	return func(m mould) string { return m.damaged(userIn(m), strings.Repeat("u", n)) }
}

// byBody files a whole message, of which as much is kept as a message may have.
func byBody(_ mould, body string) (flashgate.OrderID, string) {
	return nameless(body), body[:min(len(body), flashgate.MaxMessageBytes)]
}

// second makes a message whose second record is damaged.
func second(damage func(mould) string) func(mould) string {
	return func(m mould) string { return m.around(m.left, damage(m), m.right) }
}

// byRecord files a record that is not proven to be of its buyer.
func byRecord(damage func(mould) string) func(mould, string) (flashgate.OrderID, string) {
	return func(m mould, _ string) (flashgate.OrderID, string) { return nameless(damage(m)), damage(m) }
}

// byOrder files a record under its order.
func byOrder(damage func(mould) string) func(mould, string) (flashgate.OrderID, string) {
	return func(m mould, _ string) (flashgate.OrderID, string) { return m.order, damage(m) }
}

func negative(m mould) string { return m.damaged(`"units":1`, `"units":-1`) }

func inWords(m mould) string { return m.damaged(`"units":1`, `"units":"one"`) }

const megabyte = 1_000_000 // with it the message is still within its bound

var badMessages = []badMessage{
	{
		name: "a missing field", make: second(withoutUser), filed: byRecord(withoutUser), sale: "messages",
		reason: flashgate.ReasonInvalid, detail: []string{"user is missing", "drop it"}, becomes: "pending", together: true,
	},
	{
		name: "a negative quantity", make: second(negative), filed: byOrder(negative), sale: "messages",
		reason: flashgate.ReasonInvalid, detail: []string{"units must be between 1 and 1000", "drop it"}, becomes: "pending", together: true, visible: true,
	},
	{
		name: "a quantity that is no number", make: second(inWords), filed: byOrder(inWords), sale: "messages",
		reason: flashgate.ReasonInvalid, detail: []string{"units must be a whole number, not string", "drop it"}, becomes: "pending", together: true, visible: true,
	},
	{
		name: "a quantity over the per-user limit", becomes: "rejected already_bought", together: true,
		make: second(func(m mould) string { return m.damaged(`"units":1`, `"units":2`) }),
	},
	{
		name: "a user id of 1 MB", make: second(withLongUser(megabyte)), filed: byRecord(withLongUser(megabyte)), sale: "messages",
		reason: flashgate.ReasonInvalid, detail: []string{"user must be 1 to 128 bytes", "drop it"}, becomes: "pending", together: true,
	},
	{
		name: "a user id that takes the message over the size bound", make: second(withLongUser(flashgate.MaxMessageBytes)), filed: byBody,
		reason: flashgate.ReasonUnreadable, detail: []string{"at most 1048576 are allowed", "the first 1048576 are kept", "drop it"}, becomes: "pending",
	},
	{
		// More than the database takes in one packet.
		name: "24 MB", make: func(m mould) string { return m.around(m.left, m.second, m.right) + strings.Repeat(" ", 24<<20) }, filed: byBody,
		reason: flashgate.ReasonUnreadable, detail: []string{"at most 1048576 are allowed", "the first 1048576 are kept", "drop it"}, becomes: "pending",
	},
	{
		name: "a missing field of the message", filed: byBody,
		make: func(m mould) string {
			return strings.Replace(m.around(m.left, m.second, m.right), fmt.Sprintf(`"sale":%q,`, m.sale), "", 1)
		},
		reason: flashgate.ReasonUnreadable, detail: []string{"sale is missing", "drop it"}, becomes: "pending",
	},
	{
		name: "a wrong version", filed: byBody,
		make:   func(m mould) string { return strings.Replace(m.around(m.left, m.second, m.right), `"v":1`, `"v":2`, 1) },
		reason: flashgate.ReasonUnreadable, detail: []string{"v is 2; this program reads version 1", "update the workers", "drop it"}, becomes: "pending",
	},
	{
		name: "no version", filed: byBody,
		make:   func(m mould) string { return strings.Replace(m.around(m.left, m.second, m.right), `"v":1,`, ``, 1) },
		reason: flashgate.ReasonUnreadable, detail: []string{"v is missing", "drop it"}, becomes: "pending",
	},
}

// sentMessage is one that was put in.
type sentMessage struct {
	badMessage
	left, hit, right *buyer
}

// send puts one in, as a gateway with a fault would, and sees to its dead letter.
func (b *badInput) send(t *testing.T, m badMessage) *sentMessage {
	crowd := b.crowd(t, b.messages, 4)
	left, hit, right, later := crowd[0], crowd[1], crowd[2], crowd[3]
	view, err := b.gate.View(t.Context(), b.messages)
	must(t, err)
	of := mould{sale: b.messages, epoch: view.Epoch, order: hit.minted.Order, left: recordOf(left), second: recordOf(hit), right: recordOf(right)}
	ids := b.hold(t, b.messages, left, hit, right)
	body := m.make(of)
	b.publish(t, b.messages, body)
	must(t, b.gate.Published(t.Context(), b.messages, ids)) // the broker has confirmed it

	b.buys(t, "somebody who comes later", later)
	if m.filed == nil {
		return &sentMessage{m, left, hit, right}
	}
	id, record := m.filed(of, body)
	d := b.letterOf(t, id)
	if d.Order != id || d.Sale != m.sale || d.Reason != m.reason || d.Record != record || !containsAll(d.Detail, m.detail) || len(d.Detail) > 1000 {
		t.Errorf("the dead letter is %+.1000v (record of %d bytes, want %d); want sale %q, %s, and a detail with %q", d, len(d.Record), len(record), m.sale, m.reason, m.detail)
	}
	if m.visible {
		b.becomes(t, "the damaged one", hit, "dead_lettered "+m.reason)
	}
	// The operator cannot replay what cannot be read, and is told what to do.
	b.refused(t, 1, []string{"drop it"}, "orders", "replay", string(id))
	b.refused(t, 2, []string{"--yes is needed"}, "orders", "drop", string(id))
	if m.together {
		b.decidedTogether(t, id, left, right)
	}
	b.done(t, "removed", "orders", "drop", string(id), "--yes")
	return &sentMessage{m, left, hit, right}
}

// outcome is what becomes of all that were in it.
func (b *badInput) outcome(t *testing.T, m *sentMessage) {
	b.becomes(t, "the left neighbour", m.left, "pending")
	b.becomes(t, "the right neighbour", m.right, "pending")
	b.becomes(t, "the damaged one", m.hit, m.becomes)
	if m.becomes != "pending" { // it has cost the buyer nothing but time
		m.hit.mint()
		b.buys(t, "the buyer of the damaged one", m.hit)
	}
}

// decidedTogether: what is intact is decided when the rest becomes a dead letter, and
// not when the relay finds it, which is ten seconds later at the earliest.
func (b *badInput) decidedTogether(t *testing.T, id flashgate.OrderID, buyers ...*buyer) {
	t.Helper()
	for _, o := range buyers {
		b.becomes(t, "a neighbour", o, "pending")
		var after int64
		err := b.books.db.QueryRowContext(t.Context(), "SELECT o.created - d.created FROM orders o, dead_letter d WHERE o.id = ? AND d.id = ?", o.minted.Order, id).Scan(&after)
		if err != nil || after > 8000 {
			t.Errorf("a neighbour was decided %d ms after the dead letter, %v; it was to be decided with it", after, err)
		}
	}
}
