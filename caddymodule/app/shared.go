package app

import (
	"sync"

	"flashgate/internal/gate"

	"github.com/caddyserver/caddy/v2"
)

// shared is one configuration's hold on a value of a usage pool. It opens the value
// when it is first needed, keeps it until release, and lets nobody close it under a
// call that is running.
type shared[T caddy.Destructor] struct {
	pool   *caddy.UsagePool
	module string // the guest module that opens it
	key    string
	open   func() (T, error)

	mu       sync.Mutex
	value    T
	held     bool // value is one reference to the pool
	calls    int
	released bool
}

// get opens the value, or finds it open.
func (s *shared[T]) get() error {
	_, err := s.enter()
	if err == nil {
		s.leave()
	}
	return err
}

// load is called with mu held.
func (s *shared[T]) load() (T, error) {
	if s.held {
		return s.value, nil
	}
	v, _, err := s.pool.LoadOrNew(s.key, func() (caddy.Destructor, error) { return s.open() })
	if err != nil {
		var none T
		return none, err
	}
	s.value, s.held = v.(T), true
	return s.value, nil
}

// enter is get, and keeps the value open until leave. After release it still
// works, for requests that outlive their configuration.
func (s *shared[T]) enter() (T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.load()
	if err == nil {
		s.calls++
	}
	return v, err
}

func (s *shared[T]) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls--
	// The last call of a configuration that is gone has nobody to tell.
	_ = s.letGo()
}

// release gives the reference back, at once or with the last call. Idempotent; nil
// holds nothing.
func (s *shared[T]) release() error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.released = true
	return s.letGo()
}

func (s *shared[T]) letGo() error {
	if !s.released || !s.held || s.calls > 0 {
		return nil
	}
	var none T
	s.value, s.held = none, false
	_, err := s.pool.Delete(s.key)
	return err
}

// away is the circuit's error. What is not open is not known to be away.
func (s *shared[T]) away() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.held {
		return nil
	}
	return circuitOf(s.value).Err()
}

// begin is enter for one call: it keeps the call away from a server that does not answer.
// Without an error leave must follow, and the circuit be told how the call ended.
func (s *shared[T]) begin() (T, *gate.Circuit, error) {
	var none T
	b, err := s.enter()
	if err != nil {
		return none, nil, err
	}
	circuit := circuitOf(b)
	if err := circuit.Err(); err != nil {
		s.leave()
		return none, nil, err
	}
	return b, circuit, nil
}

// through makes one call: it keeps the backend open meanwhile, also when its
// configuration has gone, and keeps the call away from a server that does not answer.
func through[T caddy.Destructor, R any](s *shared[T], call func(T) (R, error)) (R, error) {
	b, circuit, err := s.begin()
	if err != nil {
		var none R
		return none, err
	}
	defer s.leave()
	r, err := call(b)
	circuit.Note(err)
	return r, err
}

// do is through for a call without a result.
func do[T caddy.Destructor](s *shared[T], call func(T) error) error {
	_, err := through(s, func(b T) (struct{}, error) { return struct{}{}, call(b) })
	return err
}

// inUse reports whether any configuration of this process has the value open.
func (s *shared[T]) inUse() bool {
	_, ok := s.pool.References(s.key)
	return ok
}
