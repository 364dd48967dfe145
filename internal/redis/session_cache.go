package redis

import (
	"crypto/rand"
	"sync"
	"sync/atomic"
	"time"

	"flashgate"

	"github.com/maypok86/otter/v2"
)

// How a logout empties every gateway's cache:
//
// An entry is trusted for a second at the most, counted from before its read was
// sent. A cache takes entries only while it holds a lease: it is then in a register
// in Redis and subscribed to a channel. Who deletes a session deletes it in Redis
// first, then publishes it on the channel and reads the register in one script, and
// returns when every cache in it has answered that it has dropped the session; or
// else after that second, when nobody trusts an entry from before. So the promise
// does not hang on the delivery of a message; only the speed does. The register is
// believed only when it is older, in the server's present run, than any lease that
// it could lack.
const (
	sessionTrust = time.Second
	sessionLease = 3 * time.Second
	leaseEvery   = sessionLease / 3
)

// shards is how many epochs there are. A drop makes all entries of its key's shard
// invalid: with 10,000 entries that is two or three too many.
const shards = 4096

// sessionCache is the local cache of sessions and its part in the protocol above.
// Without entries it takes part all the same, so that it can end sessions quickly.
type sessionCache struct {
	store   *Store
	id      string                                            // of this cache, in every term
	entries *otter.Cache[flashgate.SessionKey, cachedSession] // nil for none

	epochs [shards]atomic.Uint64
	lease  atomic.Pointer[lease] // nil: nothing is trusted

	watch   watch
	waiting waiting
}

// lease is the right to take entries.
type lease struct {
	term  uint64 // of one subscription; entries of another term are worthless
	until time.Time
}

// ticket is what must not have changed since a read was sent.
type ticket struct {
	term, epoch uint64
	sent, until time.Time // until is zero when the answer may not be kept
}

// cachedSession is valid while its ticket is.
type cachedSession struct {
	session flashgate.Session
	ticket  ticket
}

func newSessionCache(s *Store) (*sessionCache, error) {
	c := &sessionCache{store: s, id: rand.Text(), waiting: waiting{calls: map[string]*drop{}}}
	if s.cfg.SessionCache < 0 {
		return c, nil
	}
	var err error
	c.entries, err = otter.New(&otter.Options[flashgate.SessionKey, cachedSession]{MaximumSize: s.cfg.SessionCache})
	if err != nil {
		return nil, &flashgate.Error{Code: flashgate.CodeInternal, Op: "redis.Open", Err: err}
	}
	return c, nil
}

// get answers from the cache, if that may be trusted.
func (c *sessionCache) get(key flashgate.SessionKey) (flashgate.Session, bool) {
	if c.entries == nil {
		return flashgate.Session{}, false
	}
	now := time.Now()
	e, ok := c.entries.GetIfPresent(key)
	if !ok || !now.Before(e.ticket.until) || !c.valid(key, e.ticket) {
		return flashgate.Session{}, false
	}
	return e.session, true
}

func (c *sessionCache) valid(key flashgate.SessionKey, t ticket) bool {
	l := c.lease.Load()
	return l != nil && l.term == t.term && c.epochs[hash(key)%shards].Load() == t.epoch
}

// ticket is taken before a read is sent. A logout that comes while the read is under
// way moves the epoch on, so the answer is not kept.
func (c *sessionCache) ticket(key flashgate.SessionKey) ticket {
	if c.entries == nil {
		return ticket{}
	}
	c.watch.begin(c.keepWatching)
	l := c.lease.Load()
	if l == nil {
		return ticket{}
	}
	now := time.Now()
	t := ticket{term: l.term, epoch: c.epochs[hash(key)%shards].Load(), sent: now, until: now.Add(sessionTrust)}
	if l.until.Before(t.until) {
		t.until = l.until
	}
	return t
}

// put keeps what a read gave, for at most that long since it was sent.
func (c *sessionCache) put(t ticket, ses flashgate.Session, most time.Duration) {
	if t.until.IsZero() {
		return
	}
	if end := t.sent.Add(most); end.Before(t.until) {
		t.until = end
	}
	if time.Now().Before(t.until) && c.valid(ses.Key, t) {
		c.entries.Set(ses.Key, cachedSession{session: ses, ticket: t})
	}
}

// drop makes entries worthless.
func (c *sessionCache) drop(hashes []uint32) {
	for _, h := range hashes {
		c.epochs[h%shards].Add(1)
	}
}

// empty makes all entries worthless, until the next term.
func (c *sessionCache) empty() {
	c.lease.Store(nil)
	if c.entries != nil {
		c.entries.InvalidateAll()
	}
}

func (c *sessionCache) close() { c.watch.end() }

// hash is part of the protocol between gateways: FNV-1a, 32 bits. It is written out
// because it is on the path of every request, where hash/fnv would allocate.
func hash(key flashgate.SessionKey) uint32 {
	h := uint32(2166136261)
	for i := range len(key) {
		h = (h ^ uint32(key[i])) * 16777619
	}
	return h
}

func hashes(keys []flashgate.SessionKey) []uint32 {
	out := make([]uint32, len(keys))
	for i, key := range keys {
		out[i] = hash(key)
	}
	return out
}

// drop is one deletion that waits for the other caches.
type drop struct {
	acked   map[string]bool
	changed chan struct{} // of capacity one
}

// waiting are the deletions of this Store that are under way, by their number.
type waiting struct {
	mu    sync.Mutex
	calls map[string]*drop
}

func (w *waiting) add(number string) *drop {
	d := &drop{acked: map[string]bool{}, changed: make(chan struct{}, 1)}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls[number] = d
	return d
}

func (w *waiting) remove(number string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.calls, number)
}

// ack notes that a cache has dropped what a deletion named.
func (w *waiting) ack(number, member string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.calls[number]
	if d == nil {
		return // too late
	}
	d.acked[member] = true
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

// all reports whether each of the members has answered.
func (w *waiting) all(d *drop, members []string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range members {
		if !d.acked[m] {
			return false
		}
	}
	return true
}
