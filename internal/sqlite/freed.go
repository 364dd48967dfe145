package sqlite

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"flashgate"
)

// freedAge is for how long a position that was read counts. A change by another process
// is seen so much later at the most; one by this process is seen at once.
const freedAge = 10 * time.Millisecond

// maxPositions bounds of how many sales a position is kept. Past it all are forgotten,
// which costs a query for each.
const maxPositions = 10_000

// positions are those of the sales that somebody asks about.
type positions struct {
	mu sync.RWMutex
	of map[flashgate.SaleID]*position
}

type position struct {
	last    atomic.Pointer[reading] // never nil
	reading sync.Mutex              // one asks the database, the others wait for its answer
}

// reading is what the database said. One with a zero until counts for nobody.
type reading struct {
	at    flashgate.Position
	until time.Time
}

func (ps *positions) find(sale flashgate.SaleID) *position {
	ps.mu.RLock()
	defer ps.mu.RUnlock()
	return ps.of[sale]
}

func (ps *positions) get(sale flashgate.SaleID) *position {
	if p := ps.find(sale); p != nil {
		return p
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := ps.of[sale]
	if p == nil {
		p = &position{}
		p.last.Store(new(reading))
		if ps.of == nil || len(ps.of) >= maxPositions {
			ps.of = map[flashgate.SaleID]*position{}
		}
		ps.of[sale] = p
	}
	return p
}

// raised forgets what was read of a sale, also by a query that is under way.
func (ps *positions) raised(sale flashgate.SaleID) {
	if p := ps.find(sale); p != nil {
		p.last.Store(new(reading))
	}
}

// raising are the statements that raise a sale's seq. Their first argument is the sale.
var raising = func() map[string]bool {
	names := map[string]bool{}
	for name, text := range queries {
		if strings.Contains(text, "seq = seq + 1") {
			names[name] = true
		}
	}
	return names
}()

// Freed is the sale's seq, which whatever frees units or moves the window raises in the
// same transaction, in this process or in another one on the same file. So it misses
// nothing and is always in the same term; what changes the sale without freeing anything
// counts as well. What was read counts for freedAge, until this process raises the seq.
func (s *Store) Freed(ctx context.Context, sale flashgate.SaleID) flashgate.Freed {
	p := s.positions.get(sale)
	if r := p.last.Load(); time.Now().Before(r.until) {
		return flashgate.Freed{Term: 1, Since: r.at}
	}
	p.reading.Lock()
	defer p.reading.Unlock()
	last, began := p.last.Load(), time.Now()
	if began.Before(last.until) {
		return flashgate.Freed{Term: 1, Since: last.at}
	}
	r := &reading{until: began.Add(freedAge)}
	if err := s.row(ctx, "gate_position", sale).Scan(&r.at.Epoch, &r.at.Applied); err != nil {
		return flashgate.Freed{}
	}
	p.last.CompareAndSwap(last, r) // not when the seq was raised since
	return flashgate.Freed{Term: 1, Since: r.at}
}

var _ flashgate.FreedWatcher = (*Store)(nil)
