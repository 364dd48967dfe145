package redis

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	goredis "github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"flashgate"
)

var (
	purgeAppend = mustScript("purge_append")
	purgesAfter = mustScript("purges_after")
)

// maxPurgeLog bounds the purges that are kept, below the 8,000 values that Lua unpacks. A
// gateway that has missed more gives up all that it has.
const maxPurgeLog = 4000

// What is said on the channel of the purges.
const (
	saidPurged      = "purged"
	saidInvalidated = "invalidated " // and the key
)

// The log has no end of its own: it is bounded, and the pages that it speaks of end.
func (s *Store) purgeKeys() []string {
	return []string{s.key("purges", "log"), s.key("purgelist", "log")}
}

func (s *Store) purgeChannel() string {
	return fmt.Sprintf("%s:purges:%d", s.cfg.Prefix, s.db)
}

// AppendPurge appends a purge and tells those who watch. A call whose reply is lost may
// have it appended twice.
func (s *Store) AppendPurge(ctx context.Context, p flashgate.Purge) error {
	const op = "redis.AppendPurge"
	if err := p.Validate(); err != nil {
		return err
	}
	text, err := json.Marshal(p)
	if err != nil {
		return &flashgate.Error{Code: flashgate.CodeInternal, Op: op, Err: err}
	}
	return unavailable(op, purgeAppend.run(ctx, s.client, s.purgeKeys(), rand.Text(), text, maxPurgeLog, s.purgeChannel()).Err())
}

// PurgesAfter reads the purges of a log after a number.
func (s *Store) PurgesAfter(ctx context.Context, log string, after uint64) (flashgate.Purges, error) {
	const op = "redis.PurgesAfter"
	reply, err := purgesAfter.run(ctx, s.client, s.purgeKeys(), rand.Text(), log, after).Slice()
	if err != nil {
		return flashgate.Purges{}, unavailable(op, err)
	}
	if len(reply) < 2 {
		return flashgate.Purges{}, unexpected(op, reply)
	}
	name, ok1 := reply[0].(string)
	first, ok2 := reply[1].(int64)
	if !ok1 || !ok2 || first < 0 {
		return flashgate.Purges{}, unexpected(op, reply)
	}
	out := flashgate.Purges{Log: name, After: uint64(first)}
	for _, r := range slices.Backward(reply[2:]) {
		var p flashgate.Purge
		if text, _ := r.(string); json.Unmarshal([]byte(text), &p) != nil || p.Validate() != nil {
			// A newer version's, or damaged: what it meant may be anything.
			p = flashgate.Purge{Kind: flashgate.PurgeAll}
		}
		out.List = append(out.List, p)
	}
	return out, nil
}

// WatchPurges lasts as long as its connection.
func (s *Store) WatchPurges(ctx context.Context, purged func(), invalidated func(key string)) error {
	ps := s.client.Subscribe(ctx, s.purgeChannel())
	group, ctx := errgroup.WithContext(ctx)
	closed := context.AfterFunc(ctx, func() { _ = ps.Close() }) // wakes the receiver
	defer func() { closed(); _ = ps.Close() }()
	reply, err := ps.ReceiveTimeout(ctx, s.cfg.Timeout)
	if err != nil {
		return unavailable("redis.WatchPurges", err)
	}
	if _, ok := reply.(*goredis.Subscription); !ok {
		return unexpected("redis.WatchPurges", reply)
	}
	purged()
	group.Go(func() error {
		for {
			reply, err := ps.ReceiveTimeout(ctx, freedDead)
			if err != nil {
				return err
			}
			switch m := reply.(type) {
			case *goredis.Subscription:
				return errResubscribed
			case *goredis.Message:
				if key, ok := strings.CutPrefix(m.Payload, saidInvalidated); ok {
					invalidated(key)
				} else {
					purged()
				}
			}
		}
	})
	group.Go(func() error { return ping(ctx, ps) })
	if err := group.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return unavailable("redis.WatchPurges", err)
	}
	return nil
}

// InvalidatePage deletes a page and tells those who watch, who may have it in memory.
func (s *Store) InvalidatePage(ctx context.Context, key string) error {
	_, err := s.client.Pipelined(ctx, func(p goredis.Pipeliner) error {
		p.Unlink(ctx, s.pageKey(key))
		p.Publish(ctx, s.purgeChannel(), saidInvalidated+key)
		return nil
	})
	return unavailable("redis.InvalidatePage", err)
}

var _ flashgate.PurgeLog = (*Store)(nil)
