// Package gather lets calls share round trips: while one is under way, the next calls
// gather and travel together in the one that follows. The load sets how many they are, not
// a timer: a lone call waits for nobody.
//
// Adapters use it for what they ask a server. It knows no server and imports nothing of
// flashgate.
package gather

import (
	"runtime"
	"sync"
)

// Config is what New needs.
type Config[C any] struct {
	// Run sends a batch, and answers each call in it in a way that its caller knows. It is
	// nobody's request: it bounds its own time.
	Run func(batch []C)
	// Most bounds a batch: so many calls, or so much of Cost. One call that costs more
	// travels alone.
	Most int
	// AtOnce is how much may be under way without making the next call wait, counted as
	// Most is: a few calls then wait for nobody, and many still travel together. Default 1:
	// what comes while a batch is under way waits for its end.
	AtOnce int
	// Cost is what a call counts against Most and AtOnce, at least 1; default 1.
	Cost func(C) int
}

// Group gathers calls. It is safe for concurrent use, and runs goroutines only while calls
// wait.
type Group[C any] struct {
	cfg Config[C]

	mu       sync.Mutex
	queue    []C
	underway int // cost of what Run has
}

// New makes a group.
func New[C any](cfg Config[C]) *Group[C] {
	cfg.AtOnce = max(cfg.AtOnce, 1)
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
	if batch, cost := g.next(); cost > 0 {
		go g.work(batch, cost)
	}
}

// work sends batches until nobody waits. Between two it lets those run who are ready to:
// they have more to ask, so that under load fewer and larger batches travel, and with no load
// nobody is there to wait for.
func (g *Group[C]) work(batch []C, cost int) {
	for cost > 0 {
		g.cfg.Run(batch)
		runtime.Gosched()
		g.mu.Lock()
		g.underway -= cost
		batch, cost = g.next()
		g.mu.Unlock()
	}
}

// next takes the oldest calls, with mu held; none while enough are under way.
func (g *Group[C]) next() (batch []C, cost int) {
	if g.underway >= g.cfg.AtOnce {
		return nil, 0
	}
	n := 0
	for ; n < len(g.queue); n++ {
		one := g.cfg.Cost(g.queue[n])
		if n > 0 && cost+one > g.cfg.Most {
			break
		}
		cost += one
	}
	batch = append([]C(nil), g.queue[:n]...)
	rest := copy(g.queue, g.queue[n:])
	clear(g.queue[rest:])
	g.queue = g.queue[:rest]
	g.underway += cost
	return batch, cost
}
