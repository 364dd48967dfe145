package redis

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"flashgate"
)

// maxID is the longest caller's key that is part of a Redis key as it is.
const maxID = 128

// boundedID is a caller's key, or its SHA-256 if it is long; a # marks that, and so a
// key that begins with one is hashed too.
func boundedID(key string) string {
	if len(key) <= maxID && (key == "" || key[0] != '#') {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return "#" + hex.EncodeToString(sum[:])
}

// localKeys bounds what the store remembers of limits by itself: about 10 MB.
const localKeys = 1 << 16

// since is the clock of what is remembered: monotonic, not before 1.
func (s *Store) since() int64 { return int64(time.Since(s.begin)) + 1 }

// Charge decides one request. What is known to be refused, or is paid from a lease, costs
// no round trip; everything else that comes while one is under way travels together
// with the next. It is sent once: sent again after a lost reply it would count twice. So a
// reply that is lost is CodeUnavailable, and the request may be counted.
func (s *Store) Charge(ctx context.Context, charges []flashgate.Charge) error {
	for i := range charges {
		if err := charges[i].Validate(); err != nil {
			return err
		}
	}
	now := s.since()
	if s.refused(charges, now) {
		return nil
	}
	ask, paid := s.spend(charges, now)
	if len(ask) == 0 {
		return nil
	}
	err := s.limits.decide(ctx, ask)
	if err != nil || !flashgate.Passed(charges) {
		for _, c := range paid {
			s.local.Back(c, s.since())
		}
	}
	return err
}

// refused reports whether a limit is known to refuse, and sets its verdict; nothing is
// known of the others then, and they say that there is room.
func (s *Store) refused(charges []flashgate.Charge, now int64) (refused bool) {
	for i := range charges {
		c := &charges[i]
		c.Verdict = flashgate.Verdict{Allowed: true}
		if until := s.local.Denied(c, now); until > 0 {
			left := time.Duration(until - now)
			c.Verdict = flashgate.Verdict{RetryAfter: left, Reset: left}
			refused = refused || !c.Advisory
		}
	}
	return refused
}

// spend pays what it can from leases and returns what has to be asked for.
func (s *Store) spend(charges []flashgate.Charge, now int64) (ask, paid []*flashgate.Charge) {
	for i := range charges {
		c := &charges[i]
		if !c.Verdict.Allowed {
			continue // advisory, and known to be over
		}
		if c.Lease > 1 {
			if left, ok := s.local.Spend(c, now); ok {
				c.Verdict = flashgate.Verdict{Allowed: true, Remaining: left, Reset: c.Rate.Window}
				paid = append(paid, c)
				continue
			}
		}
		ask = append(ask, c)
	}
	return ask, paid
}

// Inspect says what a charge of 1 would be told. It travels with a second charge that
// never passes, so nothing is taken.
func (s *Store) Inspect(ctx context.Context, key string, r flashgate.Rate) (flashgate.Verdict, error) {
	const op = "redis.Inspect"
	if err := r.Validate(); err != nil {
		return flashgate.Verdict{}, err
	}
	ask := &flashgate.Charge{Key: key, Rate: r}
	args := appendCharge(appendCharge([]any{2}, 1, ask), 1, &flashgate.Charge{Rate: flashgate.Rate{Limit: 1, Window: r.Window, Algorithm: r.Algorithm}, Cost: maxUnits})
	reply, err := limitCharge.run(ctx, s.client, []string{s.limitKey(key)}, args...).Int64Slice()
	if err == nil && len(reply) != 10 {
		err = errShort
	}
	if err != nil {
		return flashgate.Verdict{}, unavailable(op, err)
	}
	return verdictOf(reply), nil
}

// maxUnits is more than any rate lets pass at once but for the largest, whose limit is
// not 1.
const maxUnits = 1_000_000

// Reset forgets a limit, here and on every other gateway.
func (s *Store) Reset(ctx context.Context, key string) error {
	const op = "redis.Reset"
	if err := s.client.Unlink(ctx, s.limitKey(key)).Err(); err != nil {
		return unavailable(op, err)
	}
	s.local.Forget(key)
	return unavailable(op, s.client.Publish(ctx, s.resetChannel(), keyReset+key).Err())
}

func (s *Store) limitKey(key string) string { return s.key("limit", boundedID(key)) }

// What a message on the reset channel begins with; the rest is the key.
const (
	keyReset    = "r" // somebody has reset it
	keyRefunded = "g" // it was given something back: who was refused meanwhile may pass
)

func (s *Store) resetChannel() string { return s.key("limit", "reset") + ":channel" }

var _ flashgate.Limiter = (*Store)(nil)
