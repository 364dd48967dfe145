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
// row is undecided while the gate holds it; everything else that is not the user's
// own row is CodeNotFound.
func (s *Service) Order(ctx context.Context, id flashgate.OrderID, user flashgate.UserID) (flashgate.Order, error) {
	if err := s.cfg.Keys.VerifyOrder(id, user); err != nil {
		return flashgate.Order{}, err
	}
	// Held before the row: an order that is decided in between is found by the second
	// look, whereas the other way round it would be in neither.
	held, isHeld, heldErr := s.cfg.Stock.Held(ctx, id)
	o, err := s.cfg.Orders.Order(ctx, id)
	switch flashgate.ErrorCode(err) {
	case "":
		if o.User != user && o.Status != flashgate.StatusDeadLettered {
			return flashgate.Order{}, flashgate.Errorf(flashgate.CodeNotFound, "shop.Order", "There is no such order.")
		}
		return o, nil
	case flashgate.CodeNotFound:
	default:
		return flashgate.Order{}, err
	}
	if heldErr != nil {
		// Without the gate nobody can say that there is no such order.
		return flashgate.Order{}, heldErr
	}
	if !isHeld || held.User != user {
		return flashgate.Order{}, err
	}
	return flashgate.Order{ID: id, Sale: id.Sale(), User: user, Units: held.Units, Status: flashgate.StatusUndecided}, nil
}

// Watched reads the rows of many ids at once, for event streams.
func (s *Service) Watched(ctx context.Context, ids []flashgate.OrderID) ([]flashgate.Order, error) {
	return s.cfg.Orders.Orders(ctx, ids)
}

// SimulatedPayment marks the user's order as paid. No money moves anywhere: a real
// shop puts its payment provider here, and pays back when the order turns out to be
// past paying.
func (s *Service) SimulatedPayment(ctx context.Context, id flashgate.OrderID, user flashgate.UserID) (flashgate.Order, error) {
	if err := s.cfg.Keys.VerifyOrder(id, user); err != nil {
		return flashgate.Order{}, err
	}
	return s.cfg.Orders.Pay(ctx, id, user)
}

// Cancel gives the user's order back.
func (s *Service) Cancel(ctx context.Context, id flashgate.OrderID, user flashgate.UserID) (flashgate.Order, error) {
	if err := s.cfg.Keys.VerifyOrder(id, user); err != nil {
		return flashgate.Order{}, err
	}
	return s.cfg.Orders.Cancel(ctx, id, user)
}
