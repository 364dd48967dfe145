package redis

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"flashgate"
)

var limitAllow = mustScript("limit_allow")

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

// Allow counts one request. It is sent once: sent again after a lost reply it would
// count twice. So a reply that is lost is CodeUnavailable, and the request may be
// counted.
func (s *Store) Allow(ctx context.Context, key string, r flashgate.Rate) (flashgate.Verdict, error) {
	const op = "redis.Allow"
	if err := r.Validate(); err != nil {
		return flashgate.Verdict{}, err
	}
	reply, err := limitAllow.run(ctx, onceScripter{s.client}, []string{s.limitKey(key)}, r.Limit, r.Window.Microseconds()).Int64Slice()
	if err == nil && len(reply) != 3 {
		err = errors.New("a verdict has three numbers")
	}
	if err != nil {
		return flashgate.Verdict{}, unavailable(op, err)
	}
	return flashgate.Verdict{
		Allowed:    reply[0] == 1,
		Remaining:  int(reply[1]),
		RetryAfter: time.Duration(reply[2]) * time.Microsecond,
	}, nil
}

// Reset forgets a limit.
func (s *Store) Reset(ctx context.Context, key string) error {
	return unavailable("redis.Reset", s.client.Unlink(ctx, s.limitKey(key)).Err())
}

func (s *Store) limitKey(key string) string { return s.key("limit", boundedID(key)) }

var _ flashgate.Limiter = (*Store)(nil)
