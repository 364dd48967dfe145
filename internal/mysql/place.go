package mysql

import (
	"context"
	"time"

	"flashgate"
)

// Place decides one reservation and writes it, unless it would be rejected.
func (s *Store) Place(ctx context.Context, sale flashgate.SaleID, r flashgate.Reservation, ttl time.Duration) (flashgate.Decision, error) {
	const op = "mysql.Place"
	if err := r.Validate(); err != nil {
		return flashgate.Decision{}, err
	}
	if r.Order.Sale() != sale || len(r.Order) > maxID {
		return flashgate.Decision{}, flashgate.Invalid(op, "order", "is not an order id of sale %s", sale)
	}
	return write(ctx, s, op, repeatable, func(t *txn) (flashgate.Decision, error) {
		b, err := t.begin(sale, ttl)
		switch {
		case err != nil:
			return flashgate.Decision{}, err
		case !b.known:
			return flashgate.Decision{}, notFound(op, "sale")
		}
		if err := t.read(b, []flashgate.Reservation{r}); err != nil {
			return flashgate.Decision{}, err
		}
		if o, found := b.rows[r.Order]; found && (o.User != r.User || o.Units != r.Units) {
			return flashgate.Decision{}, flashgate.Invalid(op, "order", "is the id of another order")
		}
		d, err := b.one(r)
		switch {
		case err != nil || d.Duplicate:
			return d, err
		case d.Status == flashgate.StatusRejected:
			d.Seq = 0
			return d, nil
		default:
			return d, t.flush(b)
		}
	})
}

var _ flashgate.Placer = (*Store)(nil)
