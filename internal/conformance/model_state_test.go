package conformance_test

import (
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
}

type value struct {
	bytes []byte
	ends  time.Time
}

// tooLarge is a page's size that the model does not keep.
const tooLarge = 1 << 20

func newState() *state {
	return &state{passed: map[string][]time.Time{}, values: map[string]value{}, pages: map[string]value{}}
}

func (s *state) Allow(ctx context.Context, key string, r flashgate.Rate) (flashgate.Verdict, error) {
	if planted("limiter: keys in lower case") {
		key = strings.ToLower(key)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	var in []time.Time
	for _, at := range s.passed[key] {
		if now.Sub(at) < r.Window || planted("limiter: never recovers") {
			in = append(in, at)
		}
	}
	yield(&s.mu, "limiter: not atomic")
	limit := r.Limit
	if planted("limiter: one too many") {
		limit++
	}
	if len(in) >= limit {
		if planted("limiter: a refusal costs") {
			s.passed[key] = append(in[1:], now)
		}
		retry := max(time.Nanosecond, r.Window-now.Sub(in[0]))
		if planted("limiter: retry too early") {
			retry = retry/2 + 1
		}
		return flashgate.Verdict{RetryAfter: retry}, nil
	}
	if planted("limiter: not counted when half is gone") && len(in) > limit/2 {
		in = in[:len(in)-1]
	}
	s.passed[key] = append(in, now)
	return flashgate.Verdict{Allowed: true, Remaining: max(0, r.Limit-1-len(in))}, nil
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
	_ flashgate.OneTime   = (*state)(nil)
	_ flashgate.PageStore = (*state)(nil)
)
