package redis

import (
	"context"
	"errors"
	"time"

	"flashgate"

	goredis "github.com/redis/go-redis/v9"
)

// scanCount is about how many keys one step of ClearPages looks at: tenths of a
// millisecond of the server's time.
const scanCount = 1000

// GetPage reads a page.
func (s *Store) GetPage(ctx context.Context, key string) ([]byte, bool, error) {
	page, err := s.client.Get(ctx, s.pageKey(key)).Bytes()
	if errors.Is(err, goredis.Nil) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, unavailable("redis.GetPage", err)
	}
	return page, true, nil
}

// SetPage writes a page; one that is larger than Config.MaxPageBytes, or for which
// Config.PageBudget has no room now, is not kept.
func (s *Store) SetPage(ctx context.Context, key string, page []byte, ttl time.Duration) error {
	const op = "redis.SetPage"
	if ttl <= 0 {
		return flashgate.Invalid(op, "ttl", "must be positive")
	}
	if len(page) > s.cfg.MaxPageBytes {
		return s.DeletePage(ctx, key) // what was there is outdated
	}
	if !s.pages.take(int64(len(page)+len(key)), ttl) {
		return s.DeletePage(ctx, key)
	}
	err := s.client.Do(ctx, "set", s.pageKey(key), page, "px", milliseconds(ttl)).Err()
	if goredis.HasErrorPrefix(err, "OOM") {
		return nil // it answers, and has no room for pages
	}
	return unavailable(op, err)
}

// DeletePage forgets a page.
func (s *Store) DeletePage(ctx context.Context, key string) error {
	return unavailable("redis.DeletePage", s.client.Unlink(ctx, s.pageKey(key)).Err())
}

// ClearPages forgets the pages that were there when it was called; one that is
// written meanwhile may stay. It walks all keys of the database in small steps, so
// the server goes on serving others, and touches those of pages alone.
func (s *Store) ClearPages(ctx context.Context) error {
	// Config allows no character in Prefix that means something in a pattern.
	pattern := s.cfg.Prefix + ":page:*"
	return unavailable("redis.ClearPages", s.eachPrimary(ctx, func(ctx context.Context, c goredis.Cmdable) error {
		for cursor := uint64(0); ; {
			keys, next, err := c.Scan(ctx, cursor, pattern, scanCount).Result()
			if err != nil {
				return err
			}
			if len(keys) > 0 {
				// One by one: in a Cluster they are in different slots.
				_, err = c.Pipelined(ctx, func(p goredis.Pipeliner) error {
					for _, key := range keys {
						p.Unlink(ctx, key)
					}
					return nil
				})
				if err != nil {
					return err
				}
			}
			if next == 0 {
				return nil
			}
			cursor = next
		}
	}))
}

func (s *Store) pageKey(key string) string { return s.key("page", boundedID(key)) }

var _ flashgate.PageStore = (*Store)(nil)
