package conformance_test

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"time"

	"flashgate"
)

// state is a model of short-lived state: Limiter, OneTime and PageStore.
type state struct {
	mu     sync.Mutex
	passed map[string][]time.Time // of each key, those in the window
	values map[string]value
	pages  map[string]value
	marks  map[string]flashgate.Mark
}

type value struct {
	bytes []byte
	ends  time.Time
}

// tooLarge is a page's size that the model does not keep.
const tooLarge = 1 << 20

func newState() *state {
	return &state{passed: map[string][]time.Time{}, values: map[string]value{}, pages: map[string]value{}, marks: map[string]flashgate.Mark{}}
}

// Charge knows an exact sliding log, whatever the algorithm asked for.
func (s *state) Charge(ctx context.Context, charges []flashgate.Charge) error {
	for i := range charges {
		if err := charges[i].Validate(); err != nil && !planted("limiter: takes anything") {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for i := range charges {
		charges[i].Verdict = s.look(&charges[i], now)
	}
	yield(&s.mu, "limiter: not atomic")
	passed := flashgate.Passed(charges)
	if planted("limiter: advisory refuses") {
		for i := range charges {
			passed = passed && charges[i].Verdict.Allowed
			charges[i].Verdict.Allowed = charges[i].Verdict.Allowed && passed
		}
	}
	for i := range charges {
		c := &charges[i]
		key := keyOf(c)
		if !passed && planted("limiter: a refusal costs") && len(s.passed[key]) > 0 {
			s.passed[key] = append(s.passed[key][1:], now)
		}
		if !passed && !planted("limiter: one refusal, the others are charged") || !c.Verdict.Allowed {
			continue
		}
		for range c.Units() {
			s.passed[key] = append(s.passed[key], now)
		}
	}
	return nil
}

func keyOf(c *flashgate.Charge) string {
	if planted("limiter: keys in lower case") {
		return strings.ToLower(c.Key)
	}
	return c.Key
}

func (s *state) look(c *flashgate.Charge, now time.Time) flashgate.Verdict {
	var in []time.Time
	for _, at := range s.passed[keyOf(c)] {
		if now.Sub(at) < c.Rate.Window || planted("limiter: never recovers") {
			in = append(in, at)
		}
	}
	s.passed[keyOf(c)] = in
	limit, units := c.Rate.AtOnce(), c.Units()
	if planted("limiter: a cost of one") {
		units = 1
	}
	if planted("limiter: one too many") {
		limit++
	}
	if units > limit {
		return flashgate.Verdict{RetryAfter: c.Rate.Window, Reset: c.Rate.Window}
	}
	if over := len(in) + units - limit; over > 0 {
		retry := max(time.Nanosecond, c.Rate.Window-now.Sub(in[over-1]))
		if planted("limiter: retry too early") {
			retry = retry/2 + 1
		}
		return flashgate.Verdict{Remaining: max(0, limit-len(in)), RetryAfter: retry, Reset: c.Rate.Window}
	}
	if planted("limiter: not counted when half is gone") && len(in) > limit/2 {
		s.passed[keyOf(c)] = in[:len(in)-1]
	}
	return flashgate.Verdict{Allowed: true, Remaining: max(0, c.Rate.AtOnce()-units-len(in)), Reset: c.Rate.Window}
}

func (s *state) Inspect(ctx context.Context, key string, r flashgate.Rate) (flashgate.Verdict, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := flashgate.Charge{Key: key, Rate: r}
	v := s.look(&c, time.Now())
	if planted("limiter: a look costs") {
		s.passed[key] = append(s.passed[key], time.Now())
	}
	return v, nil
}

func (s *state) SetMark(ctx context.Context, m flashgate.Mark) error {
	if err := m.Validate(time.Now()); err != nil && !planted("marks: takes anything") {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.marks[m.Key]; there && planted("marks: the first one stays") {
		return nil
	}
	s.marks[m.Key] = m
	return nil
}

func (s *state) DeleteMark(ctx context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if planted("marks: one delete, all gone") {
		clear(s.marks)
	}
	delete(s.marks, key)
	return nil
}

func (s *state) AllMarks(ctx context.Context) (out []flashgate.Mark, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.marks {
		if m.Until.After(time.Now()) || planted("marks: for ever") {
			out = append(out, m)
		}
	}
	return out, nil
}

func (s *state) Reset(ctx context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.passed, key)
	if planted("limiter: reset forgets all") {
		clear(s.passed)
	}
	return nil
}

func (s *state) Put(ctx context.Context, key string, v []byte, ttl time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ends := time.Now().Add(ttl)
	if old, ok := s.values[key]; ok && planted("one-time: keeps the first end") {
		ends = old.ends
	}
	if _, ok := s.values[key]; ok && planted("one-time: keeps the first value") {
		return nil
	}
	s.values[key] = value{v, ends}
	return nil
}

func (s *state) Take(ctx context.Context, key string) ([]byte, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.values[key]
	yield(&s.mu, "one-time: take is not atomic")
	if !planted("one-time: taken again") {
		delete(s.values, key)
	}
	if !ok || !time.Now().Before(v.ends) && !planted("one-time: no end") || len(v.bytes) == 0 && planted("one-time: empty is nothing") {
		return nil, false, nil
	}
	return v.bytes, true, nil
}

func (s *state) CompareAndSwap(ctx context.Context, key string, old, next []byte) ([]byte, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.values[key]
	if !ok && planted("swap: writes where nothing is") {
		s.values[key] = value{next, time.Now().Add(time.Hour)}
	}
	if !ok || !time.Now().Before(v.ends) && !planted("swap: no end") {
		return nil, false, nil
	}
	yield(&s.mu, "swap: not atomic")
	if bytes.Equal(v.bytes, old) || planted("swap: whatever there is") || len(v.bytes) == 0 && planted("swap: empty is any") {
		ends := v.ends
		if planted("swap: begins a new life") {
			ends = time.Now().Add(time.Hour)
		}
		kept := bytes.Clone(next)
		if planted("swap: keeps the caller's bytes") {
			kept = next
		}
		s.values[key] = value{kept, ends}
		if planted("swap: returns what is there now") {
			return next, true, nil
		}
	}
	return v.bytes, true, nil
}

func (s *state) GetPage(ctx context.Context, key string) ([]byte, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.pages[key]
	if !ok || !time.Now().Before(v.ends) && !planted("page: no end") {
		return nil, false, nil
	}
	return v.bytes, true, nil
}

func (s *state) SetPage(ctx context.Context, key string, page []byte, ttl time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(page) < tooLarge || planted("page: any size is kept") {
		if old, ok := s.pages[key]; ok && planted("page: written over the old bytes") {
			copy(old.bytes, page)
			return nil
		}
		s.pages[key] = value{page, time.Now().Add(ttl)}
	}
	return nil
}

func (s *state) DeletePage(ctx context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !planted("page: delete keeps it") {
		delete(s.pages, key)
	}
	return nil
}

func (s *state) ClearPages(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.pages {
		delete(s.pages, key)
		if planted("page: clear stops early") && len(s.pages) < 5 {
			break
		}
	}
	return nil
}

var (
	_ flashgate.Limiter   = (*state)(nil)
	_ flashgate.Marks     = (*state)(nil)
	_ flashgate.OneTime   = (*state)(nil)
	_ flashgate.PageStore = (*state)(nil)
)
