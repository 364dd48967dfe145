package redis

import (
	"context"
	"errors"
	"time"

	"flashgate"

	goredis "github.com/redis/go-redis/v9"
)

// Put writes a one-time value. The end of its life is by Redis' clock, in whole
// milliseconds, rounded up.
func (s *Store) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	const op = "redis.Put"
	if ttl <= 0 {
		return flashgate.Invalid(op, "ttl", "must be positive")
	}
	return unavailable(op, s.client.Do(ctx, "set", s.valueKey(key), value, "px", milliseconds(ttl)).Err())
}

// Take removes a one-time value. It is sent once: sent again after a lost reply it
// would find nothing and say that there was none. So a reply that is lost is
// CodeUnavailable, and the value may be gone.
func (s *Store) Take(ctx context.Context, key string) (value []byte, ok bool, err error) {
	const keyPos = 1
	text, err := doOnce(ctx, s.client, keyPos, "getdel", s.valueKey(key)).Text()
	if errors.Is(err, goredis.Nil) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, unavailable("redis.Take", err)
	}
	return []byte(text), true, nil
}

// CompareAndSwap writes next in the place of old and returns what was there before. It
// may be sent twice: the second finds next, which the caller knows.
func (s *Store) CompareAndSwap(ctx context.Context, key string, old, next []byte) (before []byte, ok bool, err error) {
	text, err := swapScript.run(ctx, s.client, []string{s.valueKey(key)}, old, next).Text()
	if errors.Is(err, goredis.Nil) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, unavailable("redis.CompareAndSwap", err)
	}
	return []byte(text), true, nil
}

var swapScript = mustScript("compare_and_swap")

func (s *Store) valueKey(key string) string { return s.key("once", boundedID(key)) }

var _ flashgate.OneTime = (*Store)(nil)
