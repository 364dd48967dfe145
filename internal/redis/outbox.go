package redis

import (
	"context"
	"time"

	"flashgate"
)

var (
	publishedScript = mustScript("head", "published")
	leaseScript     = mustScript("head", "lease")
	waitingScript   = mustScript("head", "waiting")
	requeueScript   = mustScript("head", "requeue")
)

// Published takes ids out of the outbox. CodeSaleClosed when the sale is not open.
func (s *Store) Published(ctx context.Context, sale flashgate.SaleID, ids []flashgate.OrderID) error {
	_, err := s.verb(ctx, "redis.Published", publishedScript, sale, orders(ids)...)
	return err
}

func (s *Store) publishedIfAny(ctx context.Context, sale flashgate.SaleID, ids []flashgate.OrderID) error {
	if len(ids) == 0 {
		return nil
	}
	return s.Published(ctx, sale, ids)
}

// Lease leases what waits in the outbox. CodeSaleClosed when the sale is not open.
//
// When go-redis repeats it because the first reply was lost, the first lease is
// nobody's, as after a time-out: what was in it is given out again when it has ended.
func (s *Store) Lease(ctx context.Context, sale flashgate.SaleID, age, lease time.Duration, most int) ([]flashgate.Reservation, error) {
	const op = "redis.Lease"
	reply, err := s.verb(ctx, op, leaseScript, sale, age.Microseconds(), lease.Microseconds(), max(most, 0))
	if err != nil {
		return nil, err
	}
	texts, err := list(op, reply)
	if err != nil {
		return nil, err
	}
	return readRecords(op, texts)
}

// waitingPage is how many of held one script looks at, so that no other call has to
// wait for more than about a millisecond.
const waitingPage = 500

// Waiting looks through held page by page, so it is not one step: what was held all
// the time is looked at, what comes or goes meanwhile may be.
func (s *Store) Waiting(ctx context.Context, sale flashgate.SaleID, age time.Duration, most int) ([]flashgate.Reservation, error) {
	const op = "redis.Waiting"
	var out []flashgate.Reservation
	seen := map[flashgate.OrderID]bool{} // a scan may show one twice
	cursor := "0"
	for {
		reply, err := s.verb(ctx, op, waitingScript, sale, cursor, age.Microseconds(), waitingPage)
		if err != nil {
			return nil, err
		}
		texts, err := list(op, reply)
		if err != nil {
			return nil, err
		}
		if len(texts) == 0 {
			return nil, unexpected(op, reply)
		}
		rs, err := readRecords(op, texts[1:])
		if err != nil {
			return nil, err
		}
		for _, r := range rs {
			if len(out) < most && !seen[r.Order] {
				seen[r.Order] = true
				out = append(out, r)
			}
		}
		if cursor = texts[0]; cursor == "0" || len(out) >= most {
			return out, nil
		}
	}
}

// Requeue puts ids back into the outbox. CodeSaleClosed when the sale is not open.
func (s *Store) Requeue(ctx context.Context, sale flashgate.SaleID, ids []flashgate.OrderID) error {
	_, err := s.verb(ctx, "redis.Requeue", requeueScript, sale, orders(ids)...)
	return err
}

var _ flashgate.Outbox = (*Store)(nil)
