// Package gather lets calls share round trips: while one is under way, the next calls
// gather and travel together in the one that follows. The load sets how many they are, not
// a timer: a lone call waits for nobody.
//
// Adapters use it for what they ask a server. It knows no server and imports nothing of
// flashgate.
package gather

import "sync"

// Config is what New needs.
type Config[C any] struct {
	// Run sends a batch, and answers each call in it in a way that its caller knows. It is
	// nobody's request: it bounds its own time.
	Run func(batch []C)
	// Most bounds a batch: so many calls, or so much of Cost. One call that costs more
	// travels alone.
	Most int
	// InFlight is how many batches are under way at once; default 1.
	InFlight int
	// Cost is what a call counts against Most; default 1.
	Cost func(C) int
}

// Group gathers calls. It is safe for concurrent use, and runs goroutines only while calls
// wait.
type Group[C any] struct {
	cfg Config[C]

	mu       sync.Mutex
	queue    []C
	inFlight int
}

// New makes a group.
func New[C any](cfg Config[C]) *Group[C] {
	if cfg.InFlight < 1 {
		cfg.InFlight = 1
	}
	if cfg.Cost == nil {
		cfg.Cost = func(C) int { return 1 }
	}
	return &Group[C]{cfg: cfg}
}

// Join sends the call with the next batch, and returns at once.
func (g *Group[C]) Join(c C) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.queue = append(g.queue, c)
	if g.inFlight < g.cfg.InFlight {
		g.inFlight++
		go g.work()
	}
}

// work sends batches until nobody waits.
func (g *Group[C]) work() {
	for {
		batch := g.next()
		if len(batch) == 0 {
			return
		}
		g.cfg.Run(batch)
	}
}

// next takes the oldest calls. Without any, the one who asks has to end.
func (g *Group[C]) next() []C {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, cost := 0, 0
	for ; n < len(g.queue); n++ {
		if cost += g.cfg.Cost(g.queue[n]); n > 0 && cost > g.cfg.Most {
			break
		}
	}
	if n == 0 {
		g.inFlight--
		return nil
	}
	batch := append([]C(nil), g.queue[:n]...)
	rest := copy(g.queue, g.queue[n:])
	clear(g.queue[rest:])
	g.queue = g.queue[:rest]
	return batch
}
