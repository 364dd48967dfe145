package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"flashgate"
)

// Decide decides a batch; database and gate change in the same transaction.
func (s *Store) Decide(ctx context.Context, sale flashgate.SaleID, rs []flashgate.Reservation, ttl time.Duration) ([]flashgate.Decision, error) {
	return write(ctx, s, "sqlite.Decide", func(t *txn) ([]flashgate.Decision, error) { return t.decide(sale, rs, ttl) })
}

// batch is what the reservations of one Decide share.
type batch struct {
	*txn
	sale  flashgate.Sale
	known bool // the sale is in the database
	seq   uint64
	at    int64
	ttl   time.Duration
	wrote bool
}

func (t *txn) decide(id flashgate.SaleID, rs []flashgate.Reservation, ttl time.Duration) ([]flashgate.Decision, error) {
	sale, err := scanSale(t.row("sale", id))
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	b := &batch{txn: t, sale: sale, known: err == nil, seq: sale.Seq + 1, at: now(), ttl: ttl}
	b.sale.ID = id
	out := make([]flashgate.Decision, len(rs))
	for i, r := range rs {
		if out[i], err = b.one(r); err != nil {
			return nil, err
		}
	}
	if b.wrote {
		if _, err := t.exec("sale_decided", id); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (b *batch) one(r flashgate.Reservation) (flashgate.Decision, error) {
	row, err := scanOrder(b.row("order", r.Order))
	switch {
	case err == nil && row.User == r.User && row.Units == r.Units && row.Sale == b.sale.ID:
		return flashgate.Decision{Order: r.Order, Status: row.Status, Reason: row.Reason, Duplicate: true, Seq: row.Seq}, nil
	case err == nil:
		return b.dead(r, flashgate.ReasonMismatch, "another reservation has this order id: drop the dead letter, the order stands")
	case !errors.Is(err, sql.ErrNoRows):
		return flashgate.Decision{}, err
	}
	if dl, err := scanDeadLetter(b.row("dead_letter", r.Order)); err == nil {
		return flashgate.Decision{Order: r.Order, Status: flashgate.StatusDeadLettered, Reason: dl.Reason, Duplicate: true, DeadLettered: true}, nil
	} else if !errors.Is(err, sql.ErrNoRows) {
		return flashgate.Decision{}, err
	}
	if err := r.Validate(); err != nil || r.Order.Sale() != b.sale.ID {
		return b.dead(r, flashgate.ReasonInvalid, fmt.Sprintf("not a valid reservation of sale %s (%v): drop it", b.sale.ID, err))
	}
	if !b.known {
		return b.dead(r, flashgate.ReasonNoSale, "the sale is not in the database: create it and replay, or drop")
	}
	var taken int
	if err := b.row("buyer", b.sale.ID, r.User).Scan(&taken); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return flashgate.Decision{}, err
	}
	if taken+r.Units > b.sale.PerUser {
		return b.reject(r, flashgate.ReasonAlreadyBought)
	}
	// The conditional update is what keeps P1, whatever the gate believed.
	n, err := b.exec("sale_take", b.sale.ID, r.Units)
	if err != nil {
		return flashgate.Decision{}, err
	}
	if n == 0 {
		return b.reject(r, flashgate.ReasonSoldOut)
	}
	if _, err := b.exec("buyer_add", b.sale.ID, r.User, r.Units); err != nil {
		return flashgate.Decision{}, err
	}
	if err := b.settled(b.sale.ID, r); err != nil {
		return flashgate.Decision{}, err
	}
	return b.put(r, flashgate.StatusPending, "", b.at+b.ttl.Milliseconds())
}

func (b *batch) reject(r flashgate.Reservation, reason string) (flashgate.Decision, error) {
	if err := b.released(b.sale.ID, r); err != nil {
		return flashgate.Decision{}, err
	}
	return b.put(r, flashgate.StatusRejected, reason, b.at)
}

func (b *batch) put(r flashgate.Reservation, status flashgate.Status, reason string, expires int64) (flashgate.Decision, error) {
	b.wrote = true
	_, err := b.exec("order_put", r.Order, b.sale.ID, r.User, r.Units, b.sale.FlashPrice, status, reason, b.seq, b.at, expires)
	return flashgate.Decision{Order: r.Order, Status: status, Reason: reason, Seq: b.seq}, err
}

// dead keeps what cannot be decided. What it holds at the gate stays held until an
// operator has spoken.
func (b *batch) dead(r flashgate.Reservation, reason, detail string) (flashgate.Decision, error) {
	record, err := json.Marshal(r)
	if err != nil {
		return flashgate.Decision{}, err
	}
	_, err = b.exec("dead_letter_put", r.Order, b.sale.ID, record, reason, detail, b.at)
	return flashgate.Decision{Order: r.Order, Status: flashgate.StatusDeadLettered, Reason: reason, DeadLettered: true}, err
}

// DeadLetter keeps a message that could not be read.
func (s *Store) DeadLetter(ctx context.Context, d flashgate.DeadLetter) error {
	const op = "sqlite.DeadLetter"
	if d.Order == "" || d.Reason == "" {
		return flashgate.Invalid(op, "order", "a dead letter needs an id and a reason")
	}
	_, err := write(ctx, s, op, func(t *txn) (int64, error) {
		return t.exec("dead_letter_put", d.Order, d.Sale, notNil(d.Record), d.Reason, d.Detail, now())
	})
	return err
}

func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// Expire cancels what was not paid in time, and gives units and share back.
func (s *Store) Expire(ctx context.Context, max int) (int, time.Time, error) {
	const op = "sqlite.Expire"
	// A look without a write first: most calls find nothing.
	next, err := s.nextExpiry(ctx)
	if err != nil || next.IsZero() || next.UnixMilli() > now() {
		return 0, next, unavailable(op, err)
	}
	n, err := write(ctx, s, op, func(t *txn) (int, error) {
		due, err := rows(t, scanOrder, "orders_expired", now(), max)
		if err != nil {
			return 0, err
		}
		n := 0
		for _, o := range due {
			done, err := t.cancel(o, flashgate.ReasonExpired)
			if err != nil {
				return 0, err
			}
			if done {
				n++
			}
		}
		return n, nil
	})
	if err != nil {
		return 0, time.Time{}, err
	}
	next, err = s.nextExpiry(ctx)
	return n, next, unavailable(op, err)
}

func (s *Store) nextExpiry(ctx context.Context) (time.Time, error) {
	var ms sql.NullInt64
	if err := s.row(ctx, "orders_next_expiry").Scan(&ms); err != nil || !ms.Valid {
		return time.Time{}, err
	}
	return toTime(ms.Int64), nil
}

var _ flashgate.Ledger = (*Store)(nil)
