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
	switch {
	case taken+r.Units > sale.PerUser:
		return flashgate.ReasonAlreadyBought, nil
	case int64(r.Units) > sale.StockLeft:
		return flashgate.ReasonSoldOut, nil
	default:
		return "", nil
	}
}

var _ flashgate.Placer = (*Store)(nil)
