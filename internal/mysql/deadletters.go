package mysql

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
	ds, err := collect(ctx, s.db, scanDeadLetter, query("dead_letters"), max)
	return ds, failure("mysql.DeadLetters", err)
}

// letter locks the sale that a dead letter is of, and then the dead letter.
func (t *txn) letter(op string, id flashgate.OrderID) (flashgate.DeadLetter, error) {
	if sale := id.Sale(); sale != "" {
		if _, err := t.lock(sale); err != nil && !errors.Is(err, sql.ErrNoRows) {
			return flashgate.DeadLetter{}, err
		}
	}
	d, err := scanDeadLetter(t.row("dead_letter_lock", id))
	if errors.Is(err, sql.ErrNoRows) {
		return d, notFound(op, "dead letter")
	}
	return d, err
}

// Replay decides it again. If that leads to a dead letter once more, everything is
// undone and the old one stays.
func (s *Store) Replay(ctx context.Context, id flashgate.OrderID, ttl time.Duration) (flashgate.Decision, error) {
	const op = "mysql.Replay"
	return write(ctx, s, op, onlyOnce, func(t *txn) (flashgate.Decision, error) {
		d, err := t.letter(op, id)
		if err != nil {
			return flashgate.Decision{}, err
		}
		r, ok := d.Reservation()
		if !ok {
			return flashgate.Decision{}, flashgate.Errorf(flashgate.CodeWrongState, op, "The record cannot be read as a reservation: drop it.")
		}
		if _, err := t.exec(query("dead_letter_drop"), id); err != nil {
			return flashgate.Decision{}, err
		}
		ds, err := t.decide(r.Order.Sale(), []flashgate.Reservation{r}, ttl, false)
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
	const op = "mysql.Drop"
	_, err := write(ctx, s, op, onlyOnce, func(t *txn) (struct{}, error) {
		d, err := t.letter(op, id)
		if err != nil {
			return struct{}{}, err
		}
		if _, err := t.exec(query("dead_letter_drop"), id); err != nil {
			return struct{}{}, err
		}
		r, ok := d.Reservation()
		if !ok {
			return struct{}{}, nil
		}
		b, err := t.begin(r.Order.Sale(), 0)
		if err != nil {
			return struct{}{}, err
		}
		if err := t.read(b, []flashgate.Reservation{r}); err != nil {
			return struct{}{}, err
		}
		if _, there := b.rows[id]; there {
			return struct{}{}, nil // the id has a row: that one stands
		}
		b.reject(r, flashgate.ReasonDropped)
		return struct{}{}, t.flush(b)
	})
	return err
}

var _ flashgate.DeadLetterStore = (*Store)(nil)
