package ratelimit

import "flashgate"

// Local is what a gateway knows by itself of limits that a server counts: who is refused
// until when, and what it has leased. Both are bounded as a Table is; what is forgotten
// costs a round trip and no right decision.
type Local struct {
	denied *Table
	leased *Table
}

// NewLocal makes an empty one for at most about maxKeys keys of each kind.
func NewLocal(maxKeys int) *Local {
	return &Local{denied: NewTable(maxKeys), leased: NewTable(maxKeys)}
}

// note is a State that says something until a moment. It is for one rate only: a key
// whose limit or burst was changed is asked for anew.
func note(r flashgate.Rate, units int, until int64) State {
	return State{start: until, last: lastOf(r, until), current: int32(units), previous: int32(r.Limit), form: form(r)}
}

func (s State) isFor(r flashgate.Rate, now int64) bool {
	return s.form == form(r) && s.previous == int32(r.Limit) && s.last == lastOf(r, s.start) && s.start > now
}

// lastOf is the field last of a note: of a token bucket, whose states do not use it, the
// burst.
func lastOf(r flashgate.Rate, until int64) int64 {
	if r.Algorithm == flashgate.TokenBucket {
		return int64(r.AtOnce())
	}
	return until
}

// Deny remembers that a charge is refused until a moment.
func (l *Local) Deny(c *flashgate.Charge, until, now int64) {
	l.denied.set(c.Key, note(c.Rate, c.Units(), until), now)
}

// Denied returns until when a charge is known to be refused; 0 when it is not.
func (l *Local) Denied(c *flashgate.Charge, now int64) int64 {
	s := l.denied.get(c.Key)
	if !s.isFor(c.Rate, now) || c.Units() < int(s.current) {
		return 0
	}
	return s.start
}

// Pardon forgets that a key is refused.
func (l *Local) Pardon(key string) { l.denied.Reset(key) }

// Grant adds units of a lease that ends at a moment; what was left of the one before is
// gone.
func (l *Local) Grant(c *flashgate.Charge, units int, until, now int64) {
	l.leased.set(c.Key, note(c.Rate, units, until), now)
}

// Spend takes a charge from a lease, if there is enough in it, and returns what is left.
func (l *Local) Spend(c *flashgate.Charge, now int64) (left int, ok bool) {
	l.leased.change(c.Key, func(s State) State {
		if ok = s.isFor(c.Rate, now) && c.Units() <= int(s.current); ok {
			s.current -= int32(c.Units())
			left = int(s.current)
		}
		return s
	})
	return left, ok
}

// Back puts a charge back into its lease, if that still runs.
func (l *Local) Back(c *flashgate.Charge, now int64) {
	l.leased.change(c.Key, func(s State) State {
		if s.isFor(c.Rate, now) {
			s.current += int32(c.Units())
		}
		return s
	})
}

// Forget drops what is known of a key.
func (l *Local) Forget(key string) {
	l.denied.Reset(key)
	l.leased.Reset(key)
}

// Clear drops everything.
func (l *Local) Clear() {
	l.denied.Clear()
	l.leased.Clear()
}

func (t *Table) get(key string) State {
	h := t.hash(key)
	s := &t.shards[h%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(h)
}

func (t *Table) set(key string, state State, now int64) {
	h := t.hash(key)
	s := &t.shards[h%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(h, state, now, t.most)
}

// change changes what is there; a key that is not is not made.
func (t *Table) change(key string, change func(State) State) {
	h := t.hash(key)
	s := &t.shards[h%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.place(h); p != nil {
		p.state = change(p.state)
	}
}
