package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"flashgate"
)

// RemoveSale deletes a sale on both sides.
func (s *Store) RemoveSale(ctx context.Context, r flashgate.SaleRemoval) error {
	const op = "sqlite.RemoveSale"
	_, err := write(ctx, s, op, func(t *txn) (struct{}, error) {
		if err := t.mayRemove(op, r); err != nil {
			return struct{}{}, err
		}
		for _, name := range []string{"remove_orders", "remove_gate_orders", "remove_dead_letters", "remove_buyers", "remove_gate_buyers", "remove_gate", "remove_sale"} {
			if _, err := t.exec(name, r.Sale); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	})
	return err
}

func (t *txn) mayRemove(op string, r flashgate.SaleRemoval) error {
	refuse := func(format string, args ...any) error {
		return flashgate.Errorf(flashgate.CodeWrongState, op, format, args...)
	}
	buyers, err := rows(t, scanUser, "removal_buyers", r.Sale)
	if err != nil {
		return err
	}
	letters, err := rows(t, scanDeadLetter, "removal_letters", r.Sale)
	if err != nil {
		return err
	}
	if user, ok := r.Stranger(buyers, letters); ok {
		return flashgate.Errorf(flashgate.CodeForbidden, op, "Sale %s has an order of user %s, who is not among its buyers.", r.Sale, user)
	}
	sale, err := scanSale(t.row("sale", r.Sale))
	switch {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		return err
	case now() < sale.Ends.UnixMilli():
		return refuse("Sale %s has not ended: close it first.", r.Sale)
	case r.At != flashgate.Position{Epoch: sale.Epoch, Applied: sale.Seq}:
		return refuse("Sale %s has changed meanwhile: look again.", r.Sale)
	}
	var held int
	if err := t.row("removal_held", r.Sale).Scan(&held); err != nil {
		return err
	}
	if held > 0 {
		return refuse("%d reservations of sale %s are not decided: wait for the order worker.", held, r.Sale)
	}
	bodies, err := rows(t, scanBody, "removal_queue")
	if err != nil {
		return err
	}
	for _, body := range bodies {
		// One that cannot be read becomes a dead letter of no sale.
		if m, _, err := flashgate.DecodeSplit(body); err == nil && m.Sale == r.Sale {
			return refuse("A message of sale %s is in the queue: wait for the order worker.", r.Sale)
		}
	}
	return nil
}

func scanUser(r scanner) (user flashgate.UserID, err error) {
	err = r.Scan(&user)
	return user, err
}

func scanBody(r scanner) (body []byte, err error) {
	err = r.Scan(&body)
	return body, err
}

// RemoveUsers deletes users.
func (s *Store) RemoveUsers(ctx context.Context, ids []flashgate.UserID) error {
	_, err := write(ctx, s, "sqlite.RemoveUsers", func(t *txn) (int64, error) { return t.exec("remove_users", list(ids)) })
	return err
}

var (
	_ flashgate.SaleRemover = (*Store)(nil)
	_ flashgate.UserRemover = (*Store)(nil)
)
