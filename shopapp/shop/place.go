package shop

import (
	"context"
	"time"

	"flashgate"
)

// Direct lets the shop place orders itself, as a shop without a gate and without a queue
// does: each in the request, by a transaction of its own that waits for the sale's row.
// The demo has it for measurements of what gate and queue are good for.
type Direct struct {
	Placer   flashgate.Placer
	OrderTTL time.Duration // how long an unpaid order is kept; above zero
}

// PlacesOrders reports whether Place may be called.
func (s *Service) PlacesOrders() bool { return s.cfg.Direct != nil }

// Place places an order of one unit for the user. id is one that the gateway has minted
// for this user and sale, or empty for a new one; a repeat of an id gives the same order.
//
// Errors are those of a purchase: CodeNotStarted, CodeEnded, CodeSoldOut,
// CodeAlreadyBought with the earlier order, CodePathInvalid for an id that is not the
// user's, CodeNotFound without such a sale. CodeUnknownOutcome carries the order: the
// database has not said whether it is placed.
func (s *Service) Place(ctx context.Context, sale flashgate.SaleID, id flashgate.OrderID, user flashgate.UserID) (flashgate.Order, error) {
	const op = "shop.Place"
	switch {
	case id == "":
		id = s.cfg.Keys.Keyring().MintOrder(sale, user)
	case id.Sale() != sale || s.cfg.Keys.Keyring().VerifyOrder(id, user) != nil:
		return flashgate.Order{}, flashgate.Errorf(flashgate.CodePathInvalid, op, "Ask for a new address and use it in time.")
	}
	v, err := s.cfg.Sales.Sale(ctx, sale)
	if err != nil {
		return flashgate.Order{}, err
	}
	now := time.Now()
	switch phase := flashgate.PhaseAt(now, v.Starts, v.Ends); {
	case phase == flashgate.PhaseUpcoming:
		return flashgate.Order{}, &flashgate.Error{Code: flashgate.CodeNotStarted, Op: op, RetryAfter: v.Starts.Sub(now)}
	case phase == flashgate.PhaseEnded:
		return flashgate.Order{}, &flashgate.Error{Code: flashgate.CodeEnded, Op: op}
	case v.StockLeft < 1:
		return flashgate.Order{}, &flashgate.Error{Code: flashgate.CodeSoldOut, Op: op}
	}
	d, err := s.cfg.Direct.Placer.Place(ctx, sale, flashgate.Reservation{Order: id, User: user, Units: 1, At: now.UnixMilli()}, s.cfg.Direct.OrderTTL)
	switch flashgate.ErrorCode(err) {
	case "":
	case flashgate.CodeInvalid, flashgate.CodeNotFound:
		return flashgate.Order{}, err
	default:
		return flashgate.Order{}, &flashgate.Error{Code: flashgate.CodeUnknownOutcome, Op: op, Order: id, RetryAfter: time.Second, Err: err,
			Message: "The order may have been placed: ask for its state."}
	}
	return s.placed(ctx, sale, user, d)
}

// placed turns what the database has decided into an order or a refusal.
func (s *Service) placed(ctx context.Context, sale flashgate.SaleID, user flashgate.UserID, d flashgate.Decision) (flashgate.Order, error) {
	const op = "shop.Place"
	switch {
	case d.Status == flashgate.StatusRejected && d.Reason == flashgate.ReasonAlreadyBought:
		prior, err := s.live(ctx, sale, user)
		if err != nil {
			return flashgate.Order{}, err
		}
		return flashgate.Order{}, &flashgate.Error{Code: flashgate.CodeAlreadyBought, Op: op, Order: prior}
	case d.Status == flashgate.StatusRejected:
		return flashgate.Order{}, &flashgate.Error{Code: flashgate.CodeSoldOut, Op: op}
	default:
		return flashgate.Order{ID: d.Order, Sale: sale, User: user, Units: 1, Status: d.Status, Reason: d.Reason, Seq: d.Seq}, nil
	}
}

// live finds an order by which the user holds units of the sale; empty when it is over
// by now.
func (s *Service) live(ctx context.Context, sale flashgate.SaleID, user flashgate.UserID) (flashgate.OrderID, error) {
	orders, err := s.OrdersOf(ctx, user)
	if err != nil {
		return "", err
	}
	for _, o := range orders {
		if o.Sale == sale && o.Status.Live() {
			return o.ID, nil
		}
	}
	return "", nil
}
