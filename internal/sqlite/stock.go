package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"flashgate"
)

type gateRow struct {
	epoch        uint64
	free, held   int64
	starts, ends int64
	perUser      int
	bound        int64
	seq          uint64 // of the sale: both share their transactions
}

func scanGate(r scanner) (g gateRow, err error) {
	err = r.Scan(&g.epoch, &g.free, &g.held, &g.starts, &g.ends, &g.perUser, &g.bound, &g.seq)
	return g, err
}

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
	at := now()
	var fresh []flashgate.Reservation
	var units int64
	for i, r := range rs {
		out[i], err = t.reserveOne(&g, sale, r, at)
		if err != nil {
			return nil, err
		}
		out[i].Epoch, out[i].Applied = g.epoch, g.seq
		if out[i].Outcome == outcomeFresh {
			out[i].Outcome = flashgate.OutcomeAccepted
			fresh = append(fresh, r)
			units += int64(r.Units)
		}
	}
	if len(fresh) == 0 {
		return out, nil
	}
	if _, err := t.exec("gate_move", sale, -units, units); err != nil {
		return nil, err
	}
	return out, t.enqueue(sale, g.epoch, fresh)
}

// outcomeFresh marks what this batch has taken, as opposed to a known id.
const outcomeFresh = flashgate.Outcome(255)

func (t *txn) reserveOne(g *gateRow, sale flashgate.SaleID, r flashgate.Reservation, at int64) (flashgate.Reserved, error) {
	known, _, err := t.gateOrder(r.Order)
	if err != nil {
		return flashgate.Reserved{}, err
	}
	if known != nil {
		if !known.Same(r) {
			return flashgate.Reserved{Outcome: flashgate.OutcomeConflict}, nil
		}
		return flashgate.Reserved{Outcome: flashgate.OutcomeAccepted}, nil
	}
	switch {
	case at >= g.ends:
		return flashgate.Reserved{Outcome: flashgate.OutcomeEnded}, nil
	case at < g.starts:
		return flashgate.Reserved{Outcome: flashgate.OutcomeNotStarted, OpensIn: time.Duration(g.starts-at) * time.Millisecond}, nil
	case g.held+int64(r.Units) > g.bound:
		return flashgate.Reserved{Outcome: flashgate.OutcomeBusy}, nil
	}
	var has int
	var prior flashgate.OrderID
	err = t.row("gate_buyer", sale, r.User).Scan(&has, &prior)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return flashgate.Reserved{}, err
	}
	if has+r.Units > g.perUser {
		return flashgate.Reserved{Outcome: flashgate.OutcomeAlreadyBought, Prior: prior}, nil
	}
	if int64(r.Units) > g.free {
		return flashgate.Reserved{Outcome: flashgate.OutcomeSoldOut, EndsIn: time.Duration(g.ends-at) * time.Millisecond}, nil
	}
	if _, err := t.exec("gate_order_put", r.Order, r.User, r.Units, r.At, 1); err != nil {
		return flashgate.Reserved{}, err
	}
	if _, err := t.exec("gate_buyer_add", sale, r.User, r.Units, r.Order); err != nil {
		return flashgate.Reserved{}, err
	}
	g.free -= int64(r.Units)
	g.held += int64(r.Units)
	return flashgate.Reserved{Outcome: outcomeFresh}, nil
}

// gateOrder reads what the gate knows of an id; nil when it knows nothing.
func (t *txn) gateOrder(id flashgate.OrderID) (r *flashgate.Reservation, held bool, err error) {
	r = &flashgate.Reservation{Order: id}
	err = t.row("gate_order", id).Scan(&r.User, &r.Units, &r.At, &held)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	return r, held, err
}

// settled tells the gate that an order has been placed. One that the gate did not
// know, because it came to the queue another way, is counted now.
func (t *txn) settled(sale flashgate.SaleID, r flashgate.Reservation) error {
	n := int64(r.Units)
	known, held, err := t.gateOrder(r.Order)
	switch {
	case err != nil:
		return err
	case held:
		if _, err := t.exec("gate_order_decided", r.Order); err != nil {
			return err
		}
		_, err = t.exec("gate_move", sale, 0, -n)
		return err
	case known == nil:
		if _, err := t.exec("gate_order_put", r.Order, r.User, r.Units, r.At, 0); err != nil {
			return err
		}
	}
	if _, err := t.exec("gate_buyer_add", sale, r.User, r.Units, r.Order); err != nil {
		return err
	}
	_, err = t.exec("gate_move", sale, -n, 0)
	return err
}

// released tells the gate that a reservation came to nothing. What was not held
// has nothing to give back.
func (t *txn) released(sale flashgate.SaleID, r flashgate.Reservation) error {
	_, held, err := t.gateOrder(r.Order)
	if err != nil || !held {
		return err
	}
	if _, err := t.exec("gate_order_decided", r.Order); err != nil {
		return err
	}
	if _, err := t.exec("gate_buyer_back", sale, r.User, r.Units); err != nil {
		return err
	}
	_, err = t.exec("gate_move", sale, r.Units, -r.Units)
	return err
}

// View reads the gate. Applied is the sale's seq.
func (s *Store) View(ctx context.Context, sale flashgate.SaleID) (flashgate.StockView, error) {
	const op = "sqlite.View"
	g, err := scanGate(s.row(ctx, "gate", sale))
	if errors.Is(err, sql.ErrNoRows) {
		return flashgate.StockView{}, notFound(op, "sale")
	}
	if err != nil {
		return flashgate.StockView{}, unavailable(op, err)
	}
	return flashgate.StockView{
		Epoch: g.epoch, Applied: g.seq, Free: g.free, Held: g.held, Starts: toTime(g.starts), Ends: toTime(g.ends),
		PerUser: g.perUser, Open: true, Now: toTime(now()),
	}, nil
}

// Held reads one reservation that is not decided.
func (s *Store) Held(ctx context.Context, id flashgate.OrderID) (flashgate.Reservation, bool, error) {
	r := flashgate.Reservation{Order: id}
	var held bool
	err := s.row(ctx, "gate_order", id).Scan(&r.User, &r.Units, &r.At, &held)
	if errors.Is(err, sql.ErrNoRows) {
		return flashgate.Reservation{}, false, nil
	}
	if err != nil {
		return flashgate.Reservation{}, false, unavailable("sqlite.Held", err)
	}
	if !held {
		return flashgate.Reservation{}, false, nil
	}
	return r, true, nil
}

var _ flashgate.Stock = (*Store)(nil)
