package redis

import (
	"context"
	"strconv"
	"time"

	"flashgate"
)

var backlogScript = mustScript("head", "backlog")

// backlogPages is how many parts of held one Backlog looks at, each of waitingPage.
const backlogPages = 8

// Backlog looks at the outbox by one script, and at some 4,000 of held: a script for
// every 500, so that no other call has to wait for more than about a millisecond.
// Of the leased ones in the outbox it sees the 500 whose leases end first.
func (s *Store) Backlog(ctx context.Context, sale flashgate.SaleID, cursor string, except []flashgate.OrderID) (out flashgate.Backlog, err error) {
	const op = "redis.Backlog"
	if cursor == "" {
		cursor = "0"
	}
	if _, err := strconv.ParseUint(cursor, 10, 64); err != nil {
		return out, flashgate.Invalid(op, "cursor", "is %.32q, which no call returned", cursor)
	}
	for page := range backlogPages {
		first := 0
		if page == 0 {
			first = 1
		}
		reply, err := s.verb(ctx, op, backlogScript, sale, orders(except, cursor, waitingPage, first)...)
		if err != nil {
			return flashgate.Backlog{}, err
		}
		texts, err := list(op, reply)
		if err != nil {
			return flashgate.Backlog{}, err
		}
		if len(texts) != 5 {
			return flashgate.Backlog{}, unexpected(op, reply)
		}
		var now, waiting int64
		if err := numbers(op, texts[:2], &now, &waiting); err != nil {
			return flashgate.Backlog{}, err
		}
		out.Now = time.UnixMicro(now)
		if page == 0 {
			out.Outbox = int(waiting)
			if out.OldestOutbox, err = entered(op, texts[2], out.OldestOutbox); err != nil {
				return flashgate.Backlog{}, err
			}
		}
		if out.OldestHeld, err = entered(op, texts[4], out.OldestHeld); err != nil {
			return flashgate.Backlog{}, err
		}
		if cursor = texts[3]; cursor == "0" {
			return out, nil
		}
	}
	out.Next = cursor
	return out, nil
}

// entered is the older of a time in microseconds, empty for none, and another.
func entered(op, text string, or time.Time) (time.Time, error) {
	if text == "" {
		return or, nil
	}
	var us int64
	if err := numbers(op, []string{text}, &us); err != nil {
		return or, err
	}
	if at := time.UnixMicro(us); or.IsZero() || at.Before(or) {
		return at, nil
	}
	return or, nil
}

var _ flashgate.BacklogReader = (*Store)(nil)
