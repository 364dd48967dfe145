package httpcache

import (
	"net/http"
	"time"
)

// Stored is an entry for tests.
type Stored struct {
	Born          time.Time
	Lifetime, SWR time.Duration
	Shared        bool
	Status        int
	Header        http.Header
	Body          []byte
	Names         []string // of variants
}

// Encode writes the stored form.
func Encode(s Stored) []byte {
	if len(s.Names) > 0 {
		return variants{uint64(s.Status), s.Names}.encode()
	}
	return (&entry{s.Born, s.Lifetime, s.SWR, s.Shared, s.Status, s.Header, s.Body}).encode()
}

// Decode reads it.
func Decode(b []byte) (Stored, error) {
	e, v, err := decode(b)
	if err != nil {
		return Stored{}, err
	}
	if e == nil {
		return Stored{Status: int(v.generation), Names: v.names}, nil
	}
	return Stored{e.born, e.lifetime, e.swr, e.shared, e.status, e.header, e.body, nil}, nil
}

// Waiters is how many requests wait for another one's answer.
func (c *Cache) Waiters() (n int) {
	c.flights.mu.Lock()
	defer c.flights.mu.Unlock()
	for f := range c.flights.all {
		n += f.waiters
	}
	return n
}

// Leaderless is how many flights go on without their first client.
func (c *Cache) Leaderless() (n int) {
	c.flights.mu.Lock()
	defer c.flights.mu.Unlock()
	for f := range c.flights.all {
		if f.gone {
			n++
		}
	}
	return n
}

// Flights is how many requests are at the origin whose answers may be kept.
func (c *Cache) Flights() int {
	c.flights.mu.Lock()
	defer c.flights.mu.Unlock()
	return len(c.flights.all)
}
