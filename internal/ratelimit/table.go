package ratelimit

import (
	"hash/maphash"
	"slices"
	"sync"

	"flashgate"
)

// Sizes of a Table. A bucket has a few places; a shard is a power of two of buckets and
// grows by doubling until its share of the bound is reached.
const (
	shards    = 256
	placesIn  = 8
	firstSize = 2 // buckets of a shard that has begun
)

// PlaceBytes is what a place in a table takes. A table that has just doubled is about
// three eighths full.
const PlaceBytes = 40

// MinKeys is the smallest bound of a Table.
const MinKeys = shards * placesIn

// Table keeps the counters of many keys in bounded memory, without a pointer in it, so
// that it costs the garbage collector nothing. It is safe for concurrent use.
//
// A key is known by its 64-bit hash under a seed that the process draws: two keys share
// a counter with a probability of n²/2^65, for a million keys 1 in 37 million, and
// nobody outside can look for such a pair.
//
// At the bound a new key takes one of the sixteen places that its hash allows: of a counter
// that is over, else of the one of which the least is in use, and of these the one that
// ends first. One that is used up is the last to go. So a flood of new keys pushes out
// itself: a key that is refused stays so until it may pass, unless as many others are used
// up, and one that asks often stays counted.
type Table struct {
	seed   maphash.Seed
	most   int // buckets of a shard
	shards [shards]shard
}

type shard struct {
	mu      sync.Mutex
	buckets []bucket
	_       [32]byte // shards do not share a cache line
}

type bucket [placesIn]place

type place struct {
	hash  uint64 // 0 is nobody's
	state State
}

// NewTable makes an empty table for at most about maxKeys counters, at least MinKeys:
// it is rounded down to a power of two.
func NewTable(maxKeys int) *Table {
	t := &Table{seed: maphash.MakeSeed(), most: 1}
	for t.most*2*shards*placesIn <= maxKeys {
		t.most *= 2
	}
	return t
}

// MaxKeys is the bound.
func (t *Table) MaxKeys() int { return t.most * shards * placesIn }

func (t *Table) hash(key string) uint64 { return max(1, maphash.String(t.seed, key)) }

// Charge decides one request in one atomic step, and sets the verdicts. now is in
// nanoseconds, not before 1. The charges must be valid.
func (t *Table) Charge(charges []flashgate.Charge, now int64) {
	if len(charges) == 1 {
		t.chargeOne(&charges[0], now)
		return
	}
	// Shards are locked in their order, so that two requests never wait for each other.
	var buf [8]uint64
	hashes := buf[:0]
	var locks [8]int
	locked := locks[:0]
	for i := range charges {
		h := t.hash(charges[i].Key)
		hashes = append(hashes, h)
		locked = append(locked, int(h%shards))
	}
	slices.Sort(locked)
	locked = slices.Compact(locked)
	for _, n := range locked {
		t.shards[n].mu.Lock()
	}
	defer func() {
		for _, n := range locked {
			t.shards[n].mu.Unlock()
		}
	}()
	var next [8]State
	states := next[:0]
	for i := range charges {
		c := &charges[i]
		var s State
		s, c.Verdict = t.shards[hashes[i]%shards].find(hashes[i]).Take(c.Rate, c.Units(), now)
		states = append(states, s)
	}
	if !flashgate.Passed(charges) {
		return
	}
	for i, s := range states {
		if charges[i].Verdict.Allowed {
			t.shards[hashes[i]%shards].put(hashes[i], s, now, t.most)
		}
	}
}

func (t *Table) chargeOne(c *flashgate.Charge, now int64) {
	h := t.hash(c.Key)
	s := &t.shards[h%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	var next State
	if next, c.Verdict = s.find(h).Take(c.Rate, c.Units(), now); c.Verdict.Allowed {
		s.put(h, next, now, t.most)
	}
}

// Inspect says what a charge of 1 would be told.
func (t *Table) Inspect(key string, r flashgate.Rate, now int64) flashgate.Verdict {
	_, v := t.get(key).Take(r, 1, now)
	return v
}

// Reset forgets a key.
func (t *Table) Reset(key string) {
	h := t.hash(key)
	s := &t.shards[h%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.place(h); p != nil {
		*p = place{}
	}
}

// Clear forgets all keys and gives the memory back.
func (t *Table) Clear() {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		s.buckets = nil
		s.mu.Unlock()
	}
}

// Len counts the keys whose counters are not over at the moment now. It looks at all of
// them.
func (t *Table) Len(now int64) (n int) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		for b := range s.buckets {
			for _, p := range &s.buckets[b] {
				if p.hash != 0 && p.state.Ends() > now {
					n++
				}
			}
		}
		s.mu.Unlock()
	}
	return n
}

// Places is how many counters the memory that is in use has room for.
func (t *Table) Places() (n int) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		n += len(s.buckets) * placesIn
		s.mu.Unlock()
	}
	return n
}

// bucketsOf are the two buckets that a key may be in, chosen by other bits of the hash
// than the shard. With two, a shard is three quarters full before it has to grow
// (Azar, Broder, Karlin, Upfal, "Balanced Allocations", 1999).
func (s *shard) bucketsOf(h uint64) [2]*bucket {
	mask := uint64(len(s.buckets) - 1)
	return [2]*bucket{&s.buckets[h>>32&mask], &s.buckets[h*0x9e3779b97f4a7c15>>32&mask]}
}

func (s *shard) place(h uint64) *place {
	if len(s.buckets) == 0 {
		return nil
	}
	for _, b := range s.bucketsOf(h) {
		for i := range b {
			if b[i].hash == h {
				return &b[i]
			}
		}
	}
	return nil
}

func (s *shard) find(h uint64) State {
	if p := s.place(h); p != nil {
		return p.state
	}
	return State{}
}

func (s *shard) put(h uint64, state State, now int64, most int) {
	if len(s.buckets) == 0 {
		s.buckets = make([]bucket, min(firstSize, most))
	}
	p := s.place(h)
	for p == nil {
		var over bool
		if p, over = s.vacant(h, now); !over && len(s.buckets) < most {
			s.grow(now, most)
			p = nil
		}
	}
	p.hash, p.state = h, state
}

// vacant is the place whose counter may be forgotten first; over says that nothing is
// lost with it. Of two buckets with room it is in the emptier one.
func (s *shard) vacant(h uint64, now int64) (_ *place, over bool) {
	var free [2]*place
	var rooms [2]int
	var best *place
	for k, b := range s.bucketsOf(h) {
		for i := range b {
			p := &b[i]
			if p.hash == 0 || p.state.Ends() <= now {
				free[k] = p
				rooms[k]++
				continue
			}
			if best == nil {
				best = p
			} else if w, v := p.state.weight(now), best.state.weight(now); w < v || w == v && p.state.Ends() < best.state.Ends() {
				best = p
			}
		}
	}
	switch {
	case rooms[0] == 0 && rooms[1] == 0:
		return best, false
	case rooms[1] > rooms[0]:
		return free[1], true
	default:
		return free[0], true
	}
}

// grow doubles the shard; once more where chance would have it that some counter finds
// its two buckets full all the same.
func (s *shard) grow(now int64, most int) {
	old := s.buckets
	for size := 2 * len(old); ; size *= 2 {
		s.buckets = make([]bucket, size)
		if s.fill(old, now) || size == most {
			return
		}
	}
}

// fill moves counters into the shard and reports whether none was lost.
func (s *shard) fill(old []bucket, now int64) bool {
	whole := true
	for i := range old {
		for _, p := range &old[i] {
			if p.hash != 0 && p.state.Ends() > now {
				to, over := s.vacant(p.hash, now)
				*to, whole = p, whole && over
			}
		}
	}
	return whole
}
