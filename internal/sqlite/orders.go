package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"flashgate"
)

func scanOrder(r scanner) (o flashgate.Order, err error) {
	var created, expires, updated int64
	err = r.Scan(&o.ID, &o.Sale, &o.User, &o.Units, &o.Price, &o.Status, &o.Reason, &o.Seq, &created, &expires, &updated)
	o.Created, o.Expires, o.Updated = toTime(created), toTime(expires), toTime(updated)
	return o, err
}

// Order reads the row, and where there is none the dead letter.
func (s *Store) Order(ctx context.Context, id flashgate.OrderID) (flashgate.Order, error) {
	const op = "sqlite.Order"
	o, err := scanOrder(s.row(ctx, "order", id))
	if !errors.Is(err, sql.ErrNoRows) {
		return o, unavailable(op, err)
	}
	d, err := scanDeadLetter(s.row(ctx, "dead_letter", id))
	if errors.Is(err, sql.ErrNoRows) {
		return flashgate.Order{}, notFound(op, "order")
	}
	if err != nil {
		return flashgate.Order{}, unavailable(op, err)
	}
	o = flashgate.Order{ID: id, Sale: d.Sale, Status: flashgate.StatusDeadLettered, Reason: d.Reason, Created: d.Created, Updated: d.Created}
	if r, ok := d.Reservation(); ok {
		o.User, o.Units = r.User, r.Units
	}
	return o, nil
}

// Orders reads those that exist.
func (s *Store) Orders(ctx context.Context, ids []flashgate.OrderID) ([]flashgate.Order, error) {
	const op = "sqlite.Orders"
	if len(ids) > 500 {
		return nil, flashgate.Invalid(op, "ids", "at most 500 at once")
	}
	out := make([]flashgate.Order, 0, len(ids))
	for _, id := range ids {
		o, err := s.Order(ctx, id)
		switch flashgate.ErrorCode(err) {
		case "":
			out = append(out, o)
		case flashgate.CodeNotFound:
		default:
			return nil, err
		}
	}
	return out, nil
}

// OrdersOf reads a user's orders, newest first.
func (s *Store) OrdersOf(ctx context.Context, user flashgate.UserID, max int) ([]flashgate.Order, error) {
	os, err := all(ctx, s, scanOrder, "orders_of", user, max)
	return os, unavailable("sqlite.OrdersOf", err)
}

// Pay is a conditional update: whether the order is still to be had is decided by
// the update itself, not by a look before it.
func (s *Store) Pay(ctx context.Context, id flashgate.OrderID, user flashgate.UserID) (flashgate.Order, error) {
	const op = "sqlite.Pay"
	return write(ctx, s, op, func(t *txn) (flashgate.Order, error) {
		o, err := t.own(op, id, user)
		if err != nil || o.Status == flashgate.StatusPaid {
			return o, err
		}
		n, err := t.exec("order_pay", id, now())
		if err != nil {
			return o, err
		}
		if n == 0 {
			return o, flashgate.Errorf(flashgate.CodeWrongState, op, "The order is %s and cannot be paid any more.", stateOf(o))
		}
		return scanOrder(t.row("order", id))
	})
}

// Cancel gives units and share back.
func (s *Store) Cancel(ctx context.Context, id flashgate.OrderID, user flashgate.UserID) (flashgate.Order, error) {
	const op = "sqlite.Cancel"
	return write(ctx, s, op, func(t *txn) (flashgate.Order, error) {
		o, err := t.own(op, id, user)
		if err != nil || o.Status == flashgate.StatusCancelled {
			return o, err
		}
		done, err := t.cancel(o, flashgate.ReasonUser)
		if err != nil {
			return o, err
		}
		if !done {
			return o, flashgate.Errorf(flashgate.CodeWrongState, op, "The order is %s and cannot be cancelled.", stateOf(o))
		}
		return scanOrder(t.row("order", id))
	})
}

// stateOf says expired where the expiry has not been written yet.
func stateOf(o flashgate.Order) string {
	if o.Status == flashgate.StatusPending {
		return "expired"
	}
	return string(o.Status)
}

// own reads an order for its owner. Another's does not exist.
func (t *txn) own(op string, id flashgate.OrderID, user flashgate.UserID) (flashgate.Order, error) {
	o, err := scanOrder(t.row("order", id))
	if errors.Is(err, sql.ErrNoRows) || err == nil && o.User != user {
		return flashgate.Order{}, notFound(op, "order")
	}
	return o, err
}

// cancel moves a pending order to cancelled and gives everything back, once.
func (t *txn) cancel(o flashgate.Order, reason string) (bool, error) {
	n, err := t.exec("order_cancel", o.ID, now(), reason)
	if err != nil || n == 0 {
		return false, err
	}
	for _, step := range []struct {
		name string
		args []any
	}{
		{"sale_give_back", []any{o.Sale, o.Units}},
		{"buyer_back", []any{o.Sale, o.User, o.Units}},
		{"gate_move", []any{o.Sale, o.Units, 0}},
		{"gate_buyer_back", []any{o.Sale, o.User, o.Units}},
	} {
		if _, err := t.exec(step.name, step.args...); err != nil {
			return false, err
		}
	}
	return true, nil
}

var _ flashgate.OrderStore = (*Store)(nil)
