package sqlite

import (
	"context"
	"database/sql"
	"errors"

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
