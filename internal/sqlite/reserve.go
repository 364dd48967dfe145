package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"flashgate"
)

// Reserve decides the batch and enqueues what it accepted in the same
// transaction, so it never answers OutcomePublish.
func (s *Store) Reserve(ctx context.Context, sale flashgate.SaleID, rs []flashgate.Reservation) ([]flashgate.Reserved, error) {
	const op = "sqlite.Reserve"
	for _, r := range rs {
		if err := r.Validate(); err != nil {
			return nil, err
		}
		if r.Order.Sale() != sale {
			return nil, flashgate.Invalid(op, "sale", "order %s is not of sale %s", r.Order, sale)
		}
	}
	if len(rs) == 0 {
		return nil, nil
	}
	out, err := write(ctx, s, op, func(t *txn) ([]flashgate.Reserved, error) { return t.reserve(sale, rs) })
	if err == nil {
		s.wake()
	}
	return out, err
}

// reserve reads what it needs for the whole batch, decides, and writes all at once: a
// statement for each reservation would cost four times as much.
func (t *txn) reserve(sale flashgate.SaleID, rs []flashgate.Reservation) ([]flashgate.Reserved, error) {
	out := make([]flashgate.Reserved, len(rs))
	g, err := scanGate(t.row("gate", sale))
	if errors.Is(err, sql.ErrNoRows) {
		for i := range out {
			out[i].Outcome = flashgate.OutcomeClosed
		}
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	d := &decider{gate: g, at: now()}
	if err := d.read(t, sale, rs); err != nil {
		return nil, err
	}
	for i, r := range rs {
		out[i] = d.decide(r)
		out[i].Epoch, out[i].Applied = g.epoch, g.seq
	}
	if len(d.fresh) == 0 {
		return out, nil
	}
	if err := d.write(t, sale); err != nil {
		return nil, err
	}
	return out, t.enqueue(sale, g.epoch, d.fresh)
}

// decider decides reservations of one sale, one after the other.
type decider struct {
	gate   gateRow
	at     int64
	known  map[flashgate.OrderID]flashgate.Reservation
	shares map[flashgate.UserID]share

	fresh []flashgate.Reservation // what this batch has taken, as opposed to known ids
	units int64                   // of fresh
}

// share is what a user has of a sale.
type share struct {
	user  flashgate.UserID
	units int
	prior flashgate.OrderID
}

func (d *decider) read(t *txn, sale flashgate.SaleID, rs []flashgate.Reservation) error {
	orders, users := make([]flashgate.OrderID, len(rs)), make([]flashgate.UserID, len(rs))
	for i, r := range rs {
		orders[i], users[i] = r.Order, r.User
	}
	known, err := rows(t, func(r scanner) (k flashgate.Reservation, err error) {
		return k, r.Scan(&k.Order, &k.User, &k.Units, &k.At)
	}, "gate_orders", list(orders))
	if err != nil {
		return err
	}
	shares, err := rows(t, func(r scanner) (sh share, err error) {
		return sh, r.Scan(&sh.user, &sh.units, &sh.prior)
	}, "gate_buyers", sale, list(users))
	if err != nil {
		return err
	}
	d.known, d.shares = make(map[flashgate.OrderID]flashgate.Reservation, len(rs)), make(map[flashgate.UserID]share, len(rs))
	for _, k := range known {
		d.known[k.Order] = k
	}
	for _, sh := range shares {
		d.shares[sh.user] = sh
	}
	return nil
}

// list is a JSON array, for json_each: as text, since bytes might be taken for SQLite's
// binary form.
func list[T ~string](values []T) string {
	text, err := json.Marshal(values)
	if err != nil {
		panic(err) // strings always encode
	}
	return string(text)
}

func (d *decider) decide(r flashgate.Reservation) flashgate.Reserved {
	if known, ok := d.known[r.Order]; ok {
		if !known.Same(r) {
			return flashgate.Reserved{Outcome: flashgate.OutcomeConflict}
		}
		return flashgate.Reserved{Outcome: flashgate.OutcomeAccepted}
	}
	g := &d.gate
	n := int64(r.Units)
	switch {
	case d.at >= g.ends:
		return flashgate.Reserved{Outcome: flashgate.OutcomeEnded}
	case d.at < g.starts:
		return flashgate.Reserved{Outcome: flashgate.OutcomeNotStarted, OpensIn: time.Duration(g.starts-d.at) * time.Millisecond}
	case g.held+n > g.bound:
		return flashgate.Reserved{Outcome: flashgate.OutcomeBusy}
	}
	has := d.shares[r.User]
	switch {
	case has.units+r.Units > g.perUser:
		return flashgate.Reserved{Outcome: flashgate.OutcomeAlreadyBought, Prior: has.prior}
	case n > g.free:
		return flashgate.Reserved{Outcome: flashgate.OutcomeSoldOut, EndsIn: time.Duration(g.ends-d.at) * time.Millisecond}
	}
	d.shares[r.User] = share{user: r.User, units: has.units + r.Units, prior: r.Order}
	d.known[r.Order] = r
	d.fresh = append(d.fresh, r)
	d.units += n
	g.free -= n
	g.held += n
	return flashgate.Reserved{Outcome: flashgate.OutcomeAccepted}
}

func (d *decider) write(t *txn, sale flashgate.SaleID) error {
	orders := make([]any, 0, 5*len(d.fresh))
	buyers := make([]any, 0, 4*len(d.fresh))
	for _, r := range d.fresh {
		orders = append(orders, r.Order, r.User, r.Units, r.At, 1)
		// A user who is in the batch twice has one share: it is written with the last.
		if sh := d.shares[r.User]; sh.prior == r.Order {
			buyers = append(buyers, sale, sh.user, sh.units, sh.prior)
		}
	}
	if err := t.insert("gate_orders_put", 5, orders); err != nil {
		return err
	}
	if err := t.insert("gate_buyers_put", 4, buyers); err != nil {
		return err
	}
	_, err := t.exec("gate_move", sale, -d.units, d.units)
	return err
}
