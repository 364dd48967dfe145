package stockmachine

import (
	"context"
	"slices"
	"strings"

	"flashgate"
)

// CreateSale writes a sale in epoch 1.
func (ts *Tables) CreateSale(_ context.Context, s flashgate.Sale) error {
	if err := s.Validate(); err != nil {
		return err
	}
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.sales[s.ID] != nil {
		return flashgate.Invalid("stockmachine.Tables", "id", "there is a sale %s already", s.ID)
	}
	s.StockLeft, s.Seq, s.Epoch = s.Seeded, 0, 1
	ts.sales[s.ID] = &table{Sale: s, orders: map[flashgate.OrderID]*flashgate.Order{}, taken: map[flashgate.UserID]int{}}
	return nil
}

func (ts *Tables) sale(id flashgate.SaleID) (*table, error) {
	if tb := ts.sales[id]; tb != nil {
		return tb, nil
	}
	return nil, tablesError(flashgate.CodeNotFound, "no such sale")
}

// Sale reads one.
func (ts *Tables) Sale(_ context.Context, id flashgate.SaleID) (flashgate.Sale, error) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	tb, err := ts.sale(id)
	if err != nil {
		return flashgate.Sale{}, err
	}
	return tb.Sale, nil
}

// Sales reads all by id.
func (ts *Tables) Sales(context.Context) ([]flashgate.Sale, error) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	var out []flashgate.Sale
	for _, tb := range ts.sales {
		out = append(out, tb.Sale)
	}
	slices.SortFunc(out, func(a, b flashgate.Sale) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return out, nil
}

// ChangeSale restocks or moves the window.
func (ts *Tables) ChangeSale(_ context.Context, id flashgate.SaleID, c flashgate.SaleChange) (flashgate.Sale, error) {
	if err := c.Validate(); err != nil {
		return flashgate.Sale{}, err
	}
	ts.mu.Lock()
	defer ts.mu.Unlock()
	tb, err := ts.sale(id)
	if err != nil {
		return flashgate.Sale{}, err
	}
	moved := tb.Sale
	if c.Starts != nil {
		moved.Starts = *c.Starts
	}
	if c.Ends != nil {
		moved.Ends = *c.Ends
	}
	if at := instant(); c.Close && at.Before(moved.Ends) {
		moved.Ends = at
	}
	if !moved.Starts.Before(moved.Ends) {
		return flashgate.Sale{}, flashgate.Invalid("stockmachine.Tables", "ends_at", "must be later than starts_at")
	}
	var changes []flashgate.Change
	if moved != tb.Sale {
		changes = append(changes, flashgate.Change{Kind: flashgate.ChangeWindow})
	}
	tb.Sale = moved
	if c.Restock > 0 {
		tb.Seeded += c.Restock
		tb.StockLeft += c.Restock
		changes = append(changes, flashgate.Change{Kind: flashgate.ChangeRestock, Units: c.Restock})
	}
	if len(changes) > 0 {
		tb.tell(changes...)
	}
	return tb.Sale, nil
}

// Order reads a row, or the dead letter where there is none.
func (ts *Tables) Order(_ context.Context, id flashgate.OrderID) (flashgate.Order, error) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	return ts.order(id)
}

func (ts *Tables) order(id flashgate.OrderID) (flashgate.Order, error) {
	if tb := ts.sales[id.Sale()]; tb != nil && tb.orders[id] != nil {
		return *tb.orders[id], nil
	}
	i := ts.findDead(id)
	if i < 0 {
		return flashgate.Order{}, tablesError(flashgate.CodeNotFound, "no such order")
	}
	d := ts.dead[i]
	o := flashgate.Order{ID: id, Sale: d.Sale, Status: flashgate.StatusDeadLettered, Reason: d.Reason, Created: d.Created, Updated: d.Created}
	if r, ok := d.Reservation(); ok {
		o.User, o.Units = r.User, r.Units
	}
	return o, nil
}

// Orders reads those that exist.
func (ts *Tables) Orders(_ context.Context, ids []flashgate.OrderID) (out []flashgate.Order, _ error) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for _, id := range ids {
		if o, err := ts.order(id); err == nil {
			out = append(out, o)
		}
	}
	return out, nil
}

// OrdersOf reads a user's, newest first.
func (ts *Tables) OrdersOf(_ context.Context, user flashgate.UserID, max int) (out []flashgate.Order, _ error) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for _, tb := range ts.sales {
		for _, o := range tb.orders {
			if o.User == user {
				out = append(out, *o)
			}
		}
	}
	slices.SortFunc(out, func(a, b flashgate.Order) int { return b.Created.Compare(a.Created) })
	return out[:min(max, len(out))], nil
}

// own finds an order for its owner.
func (ts *Tables) own(id flashgate.OrderID, user flashgate.UserID) (*table, *flashgate.Order, error) {
	tb := ts.sales[id.Sale()]
	if tb == nil || tb.orders[id] == nil || tb.orders[id].User != user {
		return nil, nil, tablesError(flashgate.CodeNotFound, "no such order")
	}
	return tb, tb.orders[id], nil
}

// Pay pays what is pending and unexpired.
func (ts *Tables) Pay(_ context.Context, id flashgate.OrderID, user flashgate.UserID) (flashgate.Order, error) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	_, o, err := ts.own(id, user)
	switch {
	case err != nil:
		return flashgate.Order{}, err
	case o.Status == flashgate.StatusPaid:
	case o.Status == flashgate.StatusPending && o.Expires.After(instant()):
		o.Status, o.Updated = flashgate.StatusPaid, instant()
	default:
		return flashgate.Order{}, tablesError(flashgate.CodeWrongState, "it cannot be paid")
	}
	return *o, nil
}

// Cancel gives back what is pending.
func (ts *Tables) Cancel(_ context.Context, id flashgate.OrderID, user flashgate.UserID) (flashgate.Order, error) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	tb, o, err := ts.own(id, user)
	switch {
	case err != nil:
		return flashgate.Order{}, err
	case o.Status == flashgate.StatusCancelled:
	case o.Status == flashgate.StatusPending:
		tb.tell(tb.giveBack(o, flashgate.ReasonUser))
	default:
		return flashgate.Order{}, tablesError(flashgate.CodeWrongState, "it cannot be cancelled")
	}
	return *o, nil
}

// Entries reads the log.
func (ts *Tables) Entries(_ context.Context, sale flashgate.SaleID, after uint64, max int) (out []flashgate.LogEntry, _ error) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if tb := ts.sales[sale]; tb != nil {
		for _, e := range tb.log {
			if e.Seq > after && len(out) < max {
				out = append(out, e)
			}
		}
	}
	return out, nil
}

// RaiseEpoch is a compare-and-set.
func (ts *Tables) RaiseEpoch(_ context.Context, sale flashgate.SaleID, from uint64) (bool, error) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	tb, err := ts.sale(sale)
	if err != nil || tb.Epoch != from {
		return false, err
	}
	tb.Epoch++
	return true, nil
}

// Snapshot reads a sale with all that belongs to it.
func (ts *Tables) Snapshot(_ context.Context, sale flashgate.SaleID) (flashgate.Snapshot, error) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	tb, err := ts.sale(sale)
	if err != nil {
		return flashgate.Snapshot{}, err
	}
	out := flashgate.Snapshot{Sale: tb.Sale}
	for _, id := range tb.byAge {
		o := tb.orders[id]
		out.Orders = append(out.Orders, flashgate.SnapshotOrder{Order: id, User: o.User, Units: o.Units, Live: o.Status.Live()})
	}
	for _, d := range ts.dead {
		if _, ok := d.Reservation(); ok && d.Sale == sale {
			out.Dead = append(out.Dead, d.Order)
		}
	}
	return out, nil
}

// Audit writes a row.
func (ts *Tables) Audit(_ context.Context, a flashgate.Audit) error {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	a.At = instant()
	ts.audits = append(ts.audits, a)
	return nil
}

// Audits reads the newest first.
func (ts *Tables) Audits(_ context.Context, sale flashgate.SaleID, max int) (out []flashgate.Audit, _ error) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for _, a := range slices.Backward(ts.audits) {
		if (sale == "" || a.Sale == sale) && len(out) < max {
			out = append(out, a)
		}
	}
	return out, nil
}
