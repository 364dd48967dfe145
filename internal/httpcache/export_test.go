package httpcache

import (
	"net/http"
	"time"
)

// Stored is an entry for tests.
type Stored struct {
	Born                   time.Time
	Lifetime, SWR, SIE     time.Duration
	Shared, Strict, Tagged bool
	Source                 string
	Status                 int
	Header                 http.Header
	Body                   []byte
	First, Size            int64    // of partial content
	Variants               bool     // a record of them, with
	Names                  []string // what they vary by
}

// Encode writes the stored form.
func Encode(s Stored) []byte {
	if s.Variants {
		return (&variants{generation: uint64(s.Status), names: s.Names}).encode()
	}
	return (&entry{
		born: s.Born, lifetime: s.Lifetime, swr: s.SWR, sie: s.SIE, shared: s.Shared, strict: s.Strict, tagged: s.Tagged,
		source: s.Source, status: s.Status, header: s.Header, body: s.Body, part: span{s.First, s.Size},
	}).encode()
}

// Decode reads it.
func Decode(b []byte) (Stored, error) {
	form, err := decode(b)
	if err != nil {
		return Stored{}, err
	}
	switch f := form.(type) {
	case *variants:
		return Stored{Variants: true, Status: int(f.generation), Names: f.names}, nil
	case *entry:
		return Stored{
			Born: f.born, Lifetime: f.lifetime, SWR: f.swr, SIE: f.sie, Shared: f.shared, Strict: f.strict, Tagged: f.tagged,
			Source: f.source, Status: f.status, Header: f.header, Body: f.body, First: f.part.first, Size: f.part.size,
		}, nil
	}
	panic("unknown form")
}

// ParseDate reads an HTTP-date.
func ParseDate(s string, now time.Time) (time.Time, bool) { return parseDate(s, now) }

// Normal makes one text of a field that answers vary by.
func Normal(name string, values ...string) string { return normal(name, values) }

// Off takes one of the defences away.
func (c *Cache) Off(defence string) {
	switch defence {
	case "paths":
		c.guards.paths = false
	case "types":
		c.guards.types = false
	case "headers":
		c.guards.headers = false
	case "query":
		c.guards.query = false
	default:
		panic(defence)
	}
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
