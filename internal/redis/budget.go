package redis

import (
	"sync"
	"time"
)

// pageOverhead is what Redis needs for a page beside its bytes, roughly.
const pageOverhead = 256

// budget bounds the bytes of pages that this process has in Redis at a time. Pages
// lie beside stock and sessions there, on a server that must evict nothing, and any
// visitor can ask for pages that nobody has seen before.
type budget struct {
	mu     sync.Mutex
	limit  int64
	used   int64
	expiry map[int64]int64 // bytes by the second in which they have expired
	swept  int64           // second up to which expiry is empty
}

// take takes n bytes for ttl, unless that is more than is left.
func (b *budget) take(n int64, ttl time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now().Unix()
	if b.swept < now {
		for second, bytes := range b.expiry {
			if second <= now {
				b.used -= bytes
				delete(b.expiry, second)
			}
		}
		b.swept = now
	}
	n += pageOverhead
	if b.used+n > b.limit {
		return false
	}
	if b.expiry == nil {
		b.expiry = map[int64]int64{}
	}
	b.used += n
	b.expiry[now+int64(ttl/time.Second)+1] += n
	return true
}
