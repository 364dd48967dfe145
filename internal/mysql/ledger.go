package mysql

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"flashgate"
)

// maxID is the longest id that a row can have.
const maxID = 128

// Decide decides a batch in as many round trips as there are tables, however large it
// is: begin, lock the sale, read what is known, write each table with one statement,
// commit. A large batch is first taken for new, see fresh.
func (s *Store) Decide(ctx context.Context, sale flashgate.SaleID, rs []flashgate.Reservation, ttl time.Duration) ([]flashgate.Decision, error) {
	const op = "mysql.Decide"
	for _, r := range rs {
		if len(r.Order) > maxID {
			return nil, flashgate.Invalid(op, "order", "is longer than %d bytes", maxID)
		}
	}
	if len(rs) == 0 {
		return nil, nil
	}
	fresh := len(rs) >= freshFrom && s.repeats.Add(-1) < 0
	return write(ctx, s, op, repeatable, func(t *txn) ([]flashgate.Decision, error) {
		out, err := t.decide(sale, rs, ttl, fresh)
		if duplicateKey(err) || slices.ContainsFunc(out, func(d flashgate.Decision) bool { return d.Duplicate }) {
			fresh = false
			s.repeats.Store(carefulFor)
		}
		return out, err
	})
}

// batch is what the reservations of one Decide share: what is known, and what there
// is to write.
type batch struct {
	locked
	known bool // the sale is in the database
	fresh bool // none of the users is known to have a share
	ttl   time.Duration

	rows  map[flashgate.OrderID]flashgate.Order
	dead  map[flashgate.OrderID]string // reason
	taken map[flashgate.UserID]int

	orders, buyers, letters, events [][]any
	changes                         []flashgate.Change
	sold                            int64
}

// begin locks the sale. An unknown one is no error: what is of it is buried.
func (t *txn) begin(id flashgate.SaleID, ttl time.Duration) (*batch, error) {
	l, err := t.lock(id)
	known := err == nil
	if errors.Is(err, sql.ErrNoRows) {
		l.ID = id
		err = t.row("now").Scan(&l.at)
	}
	l.Seq++ // of the entry that this batch may write
	return newBatch(l, known, ttl), err
}

func newBatch(l locked, known bool, ttl time.Duration) *batch {
	return &batch{locked: l, known: known, ttl: ttl,
		rows: map[flashgate.OrderID]flashgate.Order{}, dead: map[flashgate.OrderID]string{}, taken: map[flashgate.UserID]int{}}
}

// read asks for rows, dead letters and shares in one round trip.
func (t *txn) read(b *batch, rs []flashgate.Reservation) error {
	var ids, users []any
	for _, r := range rs {
		ids, users = append(ids, r.Order), append(users, r.User)
	}
	args := append(append([]any{}, ids...), ids...)
	args = append(append(args, b.ID), users...)
	_, err := collect(t.ctx, t, func(r scanner) (struct{}, error) {
		var kind string
		var o flashgate.Order
		if err := r.Scan(&kind, &o.ID, &o.Sale, &o.User, &o.Units, &o.Status, &o.Reason, &o.Seq); err != nil {
			return struct{}{}, err
		}
		switch kind {
		case "order":
			b.rows[o.ID] = o
		case "dead":
			b.dead[o.ID] = o.Reason
		default:
			b.taken[o.User] = o.Units
		}
		return struct{}{}, nil
	}, lists("known", len(ids), len(ids), len(users)), args...)
	return err
}

func (t *txn) decide(id flashgate.SaleID, rs []flashgate.Reservation, ttl time.Duration, fresh bool) ([]flashgate.Decision, error) {
	b, err := t.begin(id, ttl)
	if err != nil {
		return nil, err
	}
	if fresh && b.known {
		if out, err := t.decideFresh(newBatch(b.locked, true, ttl), rs); out != nil || err != nil {
			return out, err
		}
	}
	if err := t.read(b, rs); err != nil {
		return nil, err
	}
	out := make([]flashgate.Decision, len(rs))
	for i, r := range rs {
		if out[i], err = b.one(r); err != nil {
			return nil, err
		}
	}
	return out, t.flush(b)
}

func (b *batch) one(r flashgate.Reservation) (flashgate.Decision, error) {
	row, found := b.rows[r.Order]
	switch reason, dead := b.dead[r.Order]; {
	case found && row.User == r.User && row.Units == r.Units && row.Sale == b.ID:
		return flashgate.Decision{Order: r.Order, Status: row.Status, Reason: row.Reason, Duplicate: true, Seq: row.Seq}, nil
	case found:
		return b.bury(r, flashgate.ReasonMismatch, "another reservation has this order id: drop the dead letter, the order stands")
	case dead:
		return flashgate.Decision{Order: r.Order, Status: flashgate.StatusDeadLettered, Reason: reason, Duplicate: true, DeadLettered: true}, nil
	}
	if err := r.Validate(); err != nil || r.Order.Sale() != b.ID {
		return b.bury(r, flashgate.ReasonInvalid, fmt.Sprintf("not a valid reservation of sale %s (%v): drop it", b.ID, err))
	}
	if !b.known {
		return b.bury(r, flashgate.ReasonNoSale, "the sale is not in the database: create it and replay, or drop")
	}
	switch {
	case b.taken[r.User]+r.Units > b.PerUser:
		return b.reject(r, flashgate.ReasonAlreadyBought), nil
	case int64(r.Units) > b.StockLeft:
		return b.reject(r, flashgate.ReasonSoldOut), nil
	}
	b.StockLeft -= int64(r.Units)
	b.sold += int64(r.Units)
	b.taken[r.User] += r.Units
	b.buyers = append(b.buyers, []any{string(b.ID), string(r.User), int64(r.Units)})
	if b.StockLeft == 0 {
		defer func() { b.events = append(b.events, b.event(flashgate.EventSoldOut, "", "", 0)) }()
	}
	return b.put(r, flashgate.StatusPending, "", b.at+b.ttl.Milliseconds()), nil
}

func (b *batch) reject(r flashgate.Reservation, reason string) flashgate.Decision {
	return b.put(r, flashgate.StatusRejected, reason, b.at)
}

func (b *batch) put(r flashgate.Reservation, status flashgate.Status, reason string, expires int64) flashgate.Decision {
	kind, event := flashgate.ChangePlaced, flashgate.EventPlaced
	if status == flashgate.StatusRejected {
		kind, event = flashgate.ChangeRejected, flashgate.EventRejected
	}
	b.orders = append(b.orders, []any{
		string(r.Order), string(b.ID), string(r.User), int64(r.Units), b.FlashPrice, string(status), reason, int64(b.Seq), b.at, expires, b.at,
	})
	b.changes = append(b.changes, flashgate.Change{Kind: kind, Order: r.Order, User: r.User, Units: int64(r.Units)})
	b.events = append(b.events, b.event(event, r.Order, r.User, int64(r.Units)))
	b.rows[r.Order] = flashgate.Order{ID: r.Order, Sale: b.ID, User: r.User, Units: r.Units, Status: status, Reason: reason, Seq: b.Seq}
	return flashgate.Decision{Order: r.Order, Status: status, Reason: reason, Seq: b.Seq}
}

// bury keeps what cannot be decided. What it holds at the gate stays held until an
// operator has spoken.
func (b *batch) bury(r flashgate.Reservation, reason, detail string) (flashgate.Decision, error) {
	record, err := json.Marshal(r)
	if err != nil {
		return flashgate.Decision{}, err
	}
	if _, there := b.dead[r.Order]; !there {
		b.letters = append(b.letters, []any{r.Order, b.ID, record, reason, detail, b.at})
		b.dead[r.Order] = reason
	}
	return flashgate.Decision{Order: r.Order, Status: flashgate.StatusDeadLettered, Reason: reason, DeadLettered: true}, nil
}

// flush writes the batch.
func (t *txn) flush(b *batch) error {
	if err := t.insert("dead_letters_put", b.letters); err != nil {
		return err
	}
	if len(b.orders) == 0 {
		return nil
	}
	if err := t.insert("orders_put", b.orders); err != nil {
		return err
	}
	buyers := "buyers_add"
	if b.fresh {
		buyers = "buyers_new"
	}
	if err := t.insert(buyers, b.buyers); err != nil {
		return err
	}
	if b.known {
		// The conditional update is what keeps P1, whatever was read before.
		n, err := t.exec(query("sale_take"), b.sold, b.ID, b.sold)
		if err != nil {
			return err
		}
		if n != 1 {
			return flashgate.Errorf(flashgate.CodeInternal, "mysql.Decide", "the stock of sale %s has changed under its lock", b.ID)
		}
		if err := t.log(b.Sale, b.changes); err != nil {
			return err
		}
	}
	return t.insert("events_put", b.events)
}

// DeadLetter keeps a message that could not be read.
func (s *Store) DeadLetter(ctx context.Context, d flashgate.DeadLetter) error {
	const op = "mysql.DeadLetter"
	if d.Order == "" || d.Reason == "" || len(d.Order) > maxID {
		return flashgate.Invalid(op, "order", "a dead letter needs an id of at most %d bytes and a reason", maxID)
	}
	if d.Record == nil {
		d.Record = []byte{}
	}
	_, err := write(ctx, s, op, repeatable, func(t *txn) (struct{}, error) {
		var at int64
		if err := t.row("now").Scan(&at); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, t.insert("dead_letters_put", [][]any{{d.Order, d.Sale, d.Record, d.Reason, forPeople(d.Detail), at}})
	})
	return err
}

var _ flashgate.Ledger = (*Store)(nil)
