package shop

import (
	"context"

	"flashgate"
)

// OrdersOf lists a user's orders, newest first.
func (s *Service) OrdersOf(ctx context.Context, user flashgate.UserID) ([]flashgate.Order, error) {
	return s.cfg.Orders.OrdersOf(ctx, user, 100)
}

// Order reads an order of the user. An id that was minted for the user and has no
// row is undecided while the gate holds it, and while the gate has lost its memory
// and is being opened again; everything else that is not the user's own row is
// CodeNotFound. A row stays its user's when the key of its id has ended.
func (s *Service) Order(ctx context.Context, id flashgate.OrderID, user flashgate.UserID) (flashgate.Order, error) {
	if s.cfg.Keys.Keyring().VerifyOrder(id, user) != nil {
		return s.own(ctx, id, user)
	}
	st, err := s.stand(ctx, id)
	if err != nil {
		return flashgate.Order{}, err
	}
	undecided := flashgate.Order{ID: id, Sale: id.Sale(), User: user, Status: flashgate.StatusUndecided}
	if !st.found && !st.waits {
		// It is nowhere. That counts only if the gate was open, and the same, before
		// and after a look: else what it held may be on its way to the database.
		before, open, err := s.open(ctx, id.Sale())
		if err != nil {
			return flashgate.Order{}, err
		}
		if !open {
			return undecided, nil
		}
		if st, err = s.stand(ctx, id); err != nil {
			return flashgate.Order{}, err
		}
		after, open, err := s.open(ctx, id.Sale())
		if err != nil {
			return flashgate.Order{}, err
		}
		if !st.found && !st.waits && (!open || before != after) {
			return undecided, nil
		}
	}
	switch {
	case st.found && (st.order.User == user || st.order.Status == flashgate.StatusDeadLettered):
		return st.order, nil
	case st.waits && st.held.User == user:
		undecided.Units = st.held.Units
		return undecided, nil
	default:
		return flashgate.Order{}, flashgate.Errorf(flashgate.CodeNotFound, "shop.Order", "There is no such order.")
	}
}

// own reads the user's row of an id that no key vouches for: its key may have ended since.
func (s *Service) own(ctx context.Context, id flashgate.OrderID, user flashgate.UserID) (flashgate.Order, error) {
	if _, err := flashgate.ParseOrderID(string(id)); err != nil {
		return flashgate.Order{}, err
	}
	o, err := s.cfg.Orders.Order(ctx, id)
	if err == nil && o.User != user {
		err = flashgate.Errorf(flashgate.CodeNotFound, "shop.Order", "There is no such order.")
	}
	if err != nil {
		return flashgate.Order{}, err
	}
	return o, nil
}

// Watched reads the rows of many ids at once, for event streams.
func (s *Service) Watched(ctx context.Context, ids []flashgate.OrderID) ([]flashgate.Order, error) {
	return s.cfg.Orders.Orders(ctx, ids)
}

// SimulatedPayment marks the user's order as paid. No money moves anywhere: a real
// shop puts its payment provider here, and pays back when the order turns out to be
// past paying.
func (s *Service) SimulatedPayment(ctx context.Context, id flashgate.OrderID, user flashgate.UserID) (flashgate.Order, error) {
	if _, err := flashgate.ParseOrderID(string(id)); err != nil {
		return flashgate.Order{}, err
	}
	return s.cfg.Orders.Pay(ctx, id, user)
}

// Cancel gives the user's order back. When it returns, the units can be bought
// again, unless the gate is away.
func (s *Service) Cancel(ctx context.Context, id flashgate.OrderID, user flashgate.UserID) (flashgate.Order, error) {
	if _, err := flashgate.ParseOrderID(string(id)); err != nil {
		return flashgate.Order{}, err
	}
	o, err := s.cfg.Orders.Cancel(ctx, id, user)
	if err == nil {
		s.reached(ctx, id.Sale())
	}
	return o, err
}
