package mysql

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

// deadLettered is the order that a dead letter stands for.
func deadLettered(d flashgate.DeadLetter) flashgate.Order {
	o := flashgate.Order{ID: d.Order, Sale: d.Sale, Status: flashgate.StatusDeadLettered, Reason: d.Reason, Created: d.Created, Updated: d.Created}
	if r, ok := d.Reservation(); ok {
		o.User, o.Units = r.User, r.Units
	}
	return o
}

// Order reads the row, and where there is none the dead letter. A replay moves an id
// from there to here in between, so the row is looked for once more.
func (s *Store) Order(ctx context.Context, id flashgate.OrderID) (flashgate.Order, error) {
	const op = "mysql.Order"
	os, err := s.Orders(ctx, []flashgate.OrderID{id})
	if err != nil {
		return flashgate.Order{}, err
	}
	if len(os) == 0 {
		return flashgate.Order{}, notFound(op, "order")
	}
	return os[0], nil
}

// Orders reads rows, and dead letters of ids without a row.
func (s *Store) Orders(ctx context.Context, ids []flashgate.OrderID) ([]flashgate.Order, error) {
	const op = "mysql.Orders"
	if len(ids) > 500 {
		return nil, flashgate.Invalid(op, "ids", "at most 500 at once")
	}
	if len(ids) == 0 {
		return nil, nil
	}
	out, err := s.ordersIn(ctx, ids)
	if err != nil || len(out) == len(ids) {
		return out, failure(op, err)
	}
	missing := without(ids, out)
	letters, err := collect(ctx, s.db, scanDeadLetter, lists("dead_letters_in", len(missing)), values(missing)...)
	if err != nil {
		return nil, failure(op, err)
	}
	for _, d := range letters {
		out = append(out, deadLettered(d))
	}
	// What was replayed in between is a row by now.
	if missing = without(missing, out); len(missing) > 0 {
		late, err := s.ordersIn(ctx, missing)
		if err != nil {
			return nil, failure(op, err)
		}
		out = append(out, late...)
	}
	return out, nil
}

func (s *Store) ordersIn(ctx context.Context, ids []flashgate.OrderID) ([]flashgate.Order, error) {
	return collect(ctx, s.db, scanOrder, lists("orders", len(ids)), values(ids)...)
}

// without is ids but for those of os.
func without(ids []flashgate.OrderID, os []flashgate.Order) (out []flashgate.OrderID) {
	found := make(map[flashgate.OrderID]bool, len(os))
	for _, o := range os {
		found[o.ID] = true
	}
	for _, id := range ids {
		if !found[id] {
			out = append(out, id)
		}
	}
	return out
}

// OrdersOf reads a user's orders, newest first.
func (s *Store) OrdersOf(ctx context.Context, user flashgate.UserID, max int) ([]flashgate.Order, error) {
	os, err := collect(ctx, s.db, scanOrder, query("orders_of"), user, max)
	return os, failure("mysql.OrdersOf", err)
}

// own locks an order for its owner. Another's does not exist.
func (t *txn) own(op string, id flashgate.OrderID, user flashgate.UserID) (flashgate.Order, error) {
	o, err := scanOrder(t.row("order_lock", id))
	if errors.Is(err, sql.ErrNoRows) || err == nil && o.User != user {
		return flashgate.Order{}, notFound(op, "order")
	}
	return o, err
}

// Pay locks the order and nothing else: the stock does not change. What it reads of the
// sale, for the event, it reads without a lock.
func (s *Store) Pay(ctx context.Context, id flashgate.OrderID, user flashgate.UserID) (flashgate.Order, error) {
	const op = "mysql.Pay"
	return write(ctx, s, op, repeatable, func(t *txn) (flashgate.Order, error) {
		o, err := t.own(op, id, user)
		if err != nil || o.Status == flashgate.StatusPaid {
			return o, err
		}
		l := locked{Sale: flashgate.Sale{ID: o.Sale}}
		if err := t.row("seq_now", o.Sale).Scan(&l.Seq, &l.at); err != nil {
			return o, err
		}
		n, err := t.exec(query("order_pay"), l.at, id, l.at)
		if err != nil {
			return o, err
		}
		if n == 0 {
			return o, flashgate.Errorf(flashgate.CodeWrongState, op, "The order is %s and cannot be paid any more.", stateOf(o))
		}
		if err := t.insert("events_put", [][]any{l.event(flashgate.EventPaid, id, user, int64(o.Units))}); err != nil {
			return o, err
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

// Cancel gives units and share back.
func (s *Store) Cancel(ctx context.Context, id flashgate.OrderID, user flashgate.UserID) (flashgate.Order, error) {
	const op = "mysql.Cancel"
	return write(ctx, s, op, repeatable, func(t *txn) (flashgate.Order, error) {
		l, err := t.lock(id.Sale())
		if errors.Is(err, sql.ErrNoRows) {
			return flashgate.Order{}, notFound(op, "order")
		}
		if err != nil {
			return flashgate.Order{}, err
		}
		o, err := t.own(op, id, user)
		if err != nil || o.Status == flashgate.StatusCancelled {
			return o, err
		}
		if o.Status != flashgate.StatusPending {
			return o, flashgate.Errorf(flashgate.CodeWrongState, op, "The order is %s and cannot be cancelled.", stateOf(o))
		}
		if err := t.cancel(l, flashgate.ReasonUser, []flashgate.Order{o}); err != nil {
			return o, err
		}
		return scanOrder(t.row("order", id))
	})
}

// cancel moves pending orders of one sale, all locked, to cancelled and gives
// everything back.
func (t *txn) cancel(l locked, reason string, os []flashgate.Order) error {
	ids := make([]any, len(os))
	var units int64
	var changes []flashgate.Change
	var events [][]any
	l.Seq++
	for i, o := range os {
		ids[i] = o.ID
		units += int64(o.Units)
		changes = append(changes, flashgate.Change{Kind: flashgate.ChangeCancelled, Order: o.ID, User: o.User, Units: int64(o.Units)})
		events = append(events, l.event(flashgate.EventCancelled, o.ID, o.User, int64(o.Units)))
	}
	n, err := t.exec(lists("orders_cancel", len(ids)), append([]any{reason, l.at}, ids...)...)
	if err != nil {
		return err
	}
	if n != int64(len(os)) {
		return flashgate.Errorf(flashgate.CodeInternal, "mysql.cancel", "%d of %d orders were pending under their lock", n, len(os))
	}
	if _, err := t.exec(lists("buyers_back", len(ids)), ids...); err != nil {
		return err
	}
	if _, err := t.exec(query("sale_give_back"), units, l.ID); err != nil {
		return err
	}
	l.StockLeft += units
	if err := t.log(l.Sale, changes); err != nil {
		return err
	}
	return t.insert("events_put", events)
}

var _ flashgate.OrderStore = (*Store)(nil)
