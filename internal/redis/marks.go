package redis

import (
	"context"
	"encoding/json"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"flashgate"
)

var marksDrop = mustScript("marks_drop")

// The marks are one hash: key → JSON. It ends with the last of them. Their ends are
// written by the server's clock, as those of the gateways may differ: one that is ahead
// would end the bans of all of them.
func (s *Store) marksKey() string { return s.key("limit", "marks") + ":all" }

// sameClock is how far two clocks may be apart to be taken for the same: the way to the
// server takes time, too.
const sameClock = time.Second

// ahead says how far this machine's clock is ahead of the server's, which has answered
// now between two moments.
func ahead(before, server, after time.Time) time.Duration {
	// Wall clocks: without the monotonic reading, which a clock that was set keeps.
	before, after = before.Round(0), after.Round(0)
	if d := before.Add(after.Sub(before) / 2).Sub(server); d.Abs() >= sameClock {
		return d
	}
	return 0
}

// withTime asks along for the server's time and returns how far this clock is ahead.
func (s *Store) withTime(ctx context.Context, ask func(goredis.Pipeliner)) (time.Duration, error) {
	p := s.client.Pipeline()
	server := p.Time(ctx)
	ask(p)
	before := time.Now()
	if _, err := p.Exec(ctx); err != nil {
		return 0, err
	}
	return ahead(before, server.Val(), time.Now()), nil
}

// SetMark writes a mark.
func (s *Store) SetMark(ctx context.Context, m flashgate.Mark) error {
	const op = "redis.SetMark"
	if err := m.Validate(time.Now()); err != nil {
		return err
	}
	hold := time.Until(m.Until)
	var count *goredis.IntCmd
	var there *goredis.BoolCmd
	off, err := s.withTime(ctx, func(p goredis.Pipeliner) {
		count, there = p.HLen(ctx, s.marksKey()), p.HExists(ctx, s.marksKey(), m.Key)
	})
	if err != nil {
		return unavailable(op, err)
	}
	if count.Val() >= flashgate.MaxMarks && !there.Val() {
		all, err := s.AllMarks(ctx) // drops those that are over
		if err != nil {
			return err
		}
		if len(all) >= flashgate.MaxMarks {
			return flashgate.Errorf(flashgate.CodeTooLarge, op, "There are %d bans and exemptions already; delete some.", flashgate.MaxMarks)
		}
	}
	m.Until = m.Until.Add(-off)
	text, err := json.Marshal(m)
	if err != nil {
		return &flashgate.Error{Code: flashgate.CodeInternal, Op: op, Err: err}
	}
	p := s.client.TxPipeline()
	p.HSet(ctx, s.marksKey(), m.Key, text)
	p.ExpireNX(ctx, s.marksKey(), hold+time.Second)
	p.ExpireGT(ctx, s.marksKey(), hold+time.Second)
	_, err = p.Exec(ctx)
	return unavailable(op, err)
}

// DeleteMark removes a mark.
func (s *Store) DeleteMark(ctx context.Context, key string) error {
	return unavailable("redis.DeleteMark", s.client.HDel(ctx, s.marksKey(), key).Err())
}

// AllMarks lists those that hold, with their ends by this machine's clock, and removes the
// others.
func (s *Store) AllMarks(ctx context.Context) ([]flashgate.Mark, error) {
	const op = "redis.AllMarks"
	var texts *goredis.MapStringStringCmd
	off, err := s.withTime(ctx, func(p goredis.Pipeliner) { texts = p.HGetAll(ctx, s.marksKey()) })
	if err != nil {
		return nil, unavailable(op, err)
	}
	now := time.Now()
	var out []flashgate.Mark
	var over []any
	for key, text := range texts.Val() {
		var m flashgate.Mark
		if json.Unmarshal([]byte(text), &m) != nil || m.Key != key || !m.Until.Add(off).After(now) {
			over = append(over, key, text)
			continue
		}
		m.Until = m.Until.Add(off)
		out = append(out, m)
	}
	if len(over) > 0 {
		err = marksDrop.run(ctx, s.client, []string{s.marksKey()}, over...).Err()
	}
	return out, unavailable(op, err)
}

var _ flashgate.Marks = (*Store)(nil)
