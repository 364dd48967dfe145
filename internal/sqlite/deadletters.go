package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"flashgate"
)

func scanDeadLetter(r scanner) (d flashgate.DeadLetter, err error) {
	var created int64
	err = r.Scan(&d.Order, &d.Sale, &d.Record, &d.Reason, &d.Detail, &created)
	d.Created = toTime(created)
	return d, err
}

// DeadLetters lists the oldest first.
func (s *Store) DeadLetters(ctx context.Context, max int) ([]flashgate.DeadLetter, error) {
	ds, err := all(ctx, s, scanDeadLetter, "dead_letters", max)
	return ds, unavailable("sqlite.DeadLetters", err)
}

func (t *txn) deadLetter(op string, id flashgate.OrderID) (flashgate.DeadLetter, error) {
	d, err := scanDeadLetter(t.row("dead_letter", id))
	if errors.Is(err, sql.ErrNoRows) {
		return d, notFound(op, "dead letter")
	}
	return d, err
}

// Replay decides it again. If that leads to a dead letter once more, everything is
// undone and the old one stays.
func (s *Store) Replay(ctx context.Context, id flashgate.OrderID, ttl time.Duration) (flashgate.Decision, error) {
	const op = "sqlite.Replay"
	return write(ctx, s, op, func(t *txn) (flashgate.Decision, error) {
		d, err := t.deadLetter(op, id)
		if err != nil {
			return flashgate.Decision{}, err
		}
		r, ok := d.Reservation()
		if !ok {
			return flashgate.Decision{}, flashgate.Errorf(flashgate.CodeWrongState, op, "The record cannot be read as a reservation: drop it.")
		}
		if _, err := t.exec("dead_letter_drop", id); err != nil {
			return flashgate.Decision{}, err
		}
		ds, err := t.decide(r.Order.Sale(), []flashgate.Reservation{r}, ttl)
		if err != nil {
			return flashgate.Decision{}, err
		}
		if ds[0].DeadLettered {
			return flashgate.Decision{}, flashgate.Errorf(flashgate.CodeWrongState, op, "It still cannot be decided (%s).", ds[0].Reason)
		}
		return ds[0], nil
	})
}

// Drop ends it: rejected(dropped) for a readable one.
func (s *Store) Drop(ctx context.Context, id flashgate.OrderID) error {
	const op = "sqlite.Drop"
	_, err := write(ctx, s, op, func(t *txn) (struct{}, error) {
		d, err := t.deadLetter(op, id)
		if err != nil {
			return struct{}{}, err
		}
		if _, err := t.exec("dead_letter_drop", id); err != nil {
			return struct{}{}, err
		}
		r, ok := d.Reservation()
		if !ok {
			return struct{}{}, nil
		}
		_, err = scanOrder(t.row("order", id))
		if !errors.Is(err, sql.ErrNoRows) {
			return struct{}{}, err // the id has a row: that one stands
		}
		return struct{}{}, t.dropped(r)
	})
	return err
}

func (t *txn) dropped(r flashgate.Reservation) error {
	id := r.Order.Sale()
	sale, err := scanSale(t.row("sale", id))
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	sale.ID = id
	b := &batch{txn: t, sale: sale, seq: sale.Seq + 1, at: now()}
	if _, err := b.reject(r, flashgate.ReasonDropped); err != nil {
		return err
	}
	_, err = t.exec("sale_decided", id)
	return err
}

var _ flashgate.DeadLetterStore = (*Store)(nil)
