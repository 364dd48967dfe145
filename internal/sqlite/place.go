package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"flashgate"
)

// Place decides one reservation and writes it, unless it would be rejected. There is one
// writer at a time, so what was read here is still so when it is decided.
func (s *Store) Place(ctx context.Context, sale flashgate.SaleID, r flashgate.Reservation, ttl time.Duration) (flashgate.Decision, error) {
	const op = "sqlite.Place"
	if err := r.Validate(); err != nil {
		return flashgate.Decision{}, err
	}
	if r.Order.Sale() != sale {
		return flashgate.Decision{}, flashgate.Invalid(op, "order", "is not an order id of sale %s", sale)
	}
	return write(ctx, s, op, func(t *txn) (flashgate.Decision, error) {
		row, err := scanOrder(t.row("order", r.Order))
		switch {
		case errors.Is(err, sql.ErrNoRows):
			if reason, err := t.refusal(op, sale, r); reason != "" || err != nil {
				return flashgate.Decision{Order: r.Order, Status: flashgate.StatusRejected, Reason: reason}, err
			}
		case err != nil:
			return flashgate.Decision{}, err
		case row.User != r.User || row.Units != r.Units:
			return flashgate.Decision{}, flashgate.Invalid(op, "order", "is the id of another order")
		}
		ds, err := t.decide(sale, []flashgate.Reservation{r}, ttl)
		if err != nil {
			return flashgate.Decision{}, err
		}
		return ds[0], nil
	})
}

// refusal is why a new order would be rejected; empty when it would not.
func (t *txn) refusal(op string, id flashgate.SaleID, r flashgate.Reservation) (string, error) {
	sale, err := scanSale(t.row("sale", id))
	if errors.Is(err, sql.ErrNoRows) {
		return "", notFound(op, "sale")
	}
	if err != nil {
		return "", err
	}
	var taken int
	if err := t.row("buyer", id, r.User).Scan(&taken); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", err
	}
	free := sale.StockLeft
	known, held, err := t.gateOrder(r.Order)
	switch {
	case err != nil:
		return "", err
	case held && (known.User != r.User || known.Units != r.Units):
		return "", flashgate.Invalid(op, "order", "is the id of another order")
	case !held:
		// What the gate has promised to others, and to this user, is theirs.
		if taken, free, err = t.promised(id, r.User); err != nil {
			return "", err
		}
	}
	switch {
	case taken+r.Units > sale.PerUser:
		return flashgate.ReasonAlreadyBought, nil
	case int64(r.Units) > free:
		return flashgate.ReasonSoldOut, nil
	default:
		return "", nil
	}
}

// promised is a user's share with what is held for them, and what the gate has free.
func (t *txn) promised(sale flashgate.SaleID, user flashgate.UserID) (taken int, free int64, err error) {
	g, err := scanGate(t.row("gate", sale))
	if err != nil {
		return 0, 0, err
	}
	var prior flashgate.OrderID
	err = t.row("gate_buyers", sale, list([]flashgate.UserID{user})).Scan(&user, &taken, &prior)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return taken, g.free, err
}

var _ flashgate.Placer = (*Store)(nil)
