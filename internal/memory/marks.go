package memory

import (
	"context"
	"sync"
	"time"

	"flashgate"
)

// marks are the keys that are banned or let pass.
type marks struct {
	mu sync.Mutex
	of map[string]flashgate.Mark
}

// SetMark writes a mark.
func (s *Store) SetMark(ctx context.Context, m flashgate.Mark) error {
	const op = "memory.SetMark"
	now := s.now()
	if err := m.Validate(now); err != nil {
		return err
	}
	if err := ended(ctx, op); err != nil {
		return err
	}
	s.marks.mu.Lock()
	defer s.marks.mu.Unlock()
	s.marks.drop(now)
	if _, there := s.marks.of[m.Key]; !there && len(s.marks.of) >= flashgate.MaxMarks {
		return flashgate.Errorf(flashgate.CodeTooLarge, op, "There are %d bans and exemptions already; delete some.", flashgate.MaxMarks)
	}
	if s.marks.of == nil {
		s.marks.of = map[string]flashgate.Mark{}
	}
	s.marks.of[m.Key] = m
	return nil
}

// DeleteMark removes a mark.
func (s *Store) DeleteMark(ctx context.Context, key string) error {
	if err := ended(ctx, "memory.DeleteMark"); err != nil {
		return err
	}
	s.marks.mu.Lock()
	defer s.marks.mu.Unlock()
	delete(s.marks.of, key)
	return nil
}

// AllMarks lists those that hold.
func (s *Store) AllMarks(ctx context.Context) ([]flashgate.Mark, error) {
	if err := ended(ctx, "memory.AllMarks"); err != nil {
		return nil, err
	}
	s.marks.mu.Lock()
	defer s.marks.mu.Unlock()
	s.marks.drop(s.now())
	out := make([]flashgate.Mark, 0, len(s.marks.of))
	for _, m := range s.marks.of {
		out = append(out, m)
	}
	return out, nil
}

// drop removes what is over, with mu held.
func (m *marks) drop(now time.Time) {
	for key, one := range m.of {
		if !one.Until.After(now) {
			delete(m.of, key)
		}
	}
}
