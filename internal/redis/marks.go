package redis

import (
	"context"
	"encoding/json"
	"time"

	"flashgate"
)

// The marks are one hash: key → JSON. It ends with the last of them.
func (s *Store) marksKey() string { return s.key("limit", "marks") + ":all" }

// SetMark writes a mark.
func (s *Store) SetMark(ctx context.Context, m flashgate.Mark) error {
	const op = "redis.SetMark"
	if err := m.Validate(time.Now()); err != nil {
		return err
	}
	text, err := json.Marshal(m)
	if err != nil {
		return &flashgate.Error{Code: flashgate.CodeInternal, Op: op, Err: err}
	}
	// Reading them drops those that are over.
	all, err := s.AllMarks(ctx)
	if err != nil {
		return err
	}
	if len(all) >= flashgate.MaxMarks {
		there, err := s.client.HExists(ctx, s.marksKey(), m.Key).Result()
		if err != nil {
			return unavailable(op, err)
		}
		if !there {
			return flashgate.Errorf(flashgate.CodeTooLarge, op, "There are %d bans and exemptions already; delete some.", flashgate.MaxMarks)
		}
	}
	p := s.client.TxPipeline()
	p.HSet(ctx, s.marksKey(), m.Key, text)
	p.ExpireNX(ctx, s.marksKey(), time.Until(m.Until)+time.Second)
	p.ExpireGT(ctx, s.marksKey(), time.Until(m.Until)+time.Second)
	_, err = p.Exec(ctx)
	return unavailable(op, err)
}

// DeleteMark removes a mark.
func (s *Store) DeleteMark(ctx context.Context, key string) error {
	return unavailable("redis.DeleteMark", s.client.HDel(ctx, s.marksKey(), key).Err())
}

// AllMarks lists those that hold, and removes the others.
func (s *Store) AllMarks(ctx context.Context) ([]flashgate.Mark, error) {
	const op = "redis.AllMarks"
	texts, err := s.client.HGetAll(ctx, s.marksKey()).Result()
	if err != nil {
		return nil, unavailable(op, err)
	}
	var out []flashgate.Mark
	var over []string
	for key, text := range texts {
		var m flashgate.Mark
		if json.Unmarshal([]byte(text), &m) != nil || m.Key != key || !m.Until.After(time.Now()) {
			over = append(over, key)
			continue
		}
		out = append(out, m)
	}
	if len(over) > 0 {
		err = s.client.HDel(ctx, s.marksKey(), over...).Err()
	}
	return out, unavailable(op, err)
}

var _ flashgate.Marks = (*Store)(nil)
