package challenge

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// Media is how a challenge is presented.
type Media int

// The media of a Kind.
const (
	Image Media = iota
	Audio
	media // how many there are
)

// String is the name of a media, as metrics have it.
func (m Media) String() string { return [...]string{"image", "audio"}[m] }

// ErrBusy is Take's error when the pool is empty and enough others wait for a drawing.
var ErrBusy = errors.New("the pool of challenges is empty and too many are being drawn")

// Source is where Take had a challenge from.
type Source string

// The sources; Refused is none.
const (
	FromPool Source = "pool"
	Drawn    Source = "drawn"
	Refused  Source = "refused"
)

// Meter is told what a Pool does. Its methods are called with no lock held, from any
// goroutine.
type Meter interface {
	// Made counts a challenge that was drawn, ahead or because somebody waits for it.
	Made(m Media, ahead bool)
	// Held changes how many challenges the pool has, and their bytes.
	Held(m Media, challenges, bytes int)
	// Taken counts an answer of Take.
	Taken(m Media, from Source)
}

// PoolConfig of a Pool.
type PoolConfig struct {
	Kind Kind
	// MaxBytes bounds what is drawn ahead: bodies and what their entries cost. A quarter
	// is for sounds. 0: nothing is drawn ahead.
	MaxBytes int
	// Percent of one core that drawing ahead may take: 1 to 100.
	Percent int
	// Drawers is how many challenges are drawn at once for those who find the pool empty;
	// at least 1.
	Drawers int
	// Waiting is how many more may wait for their turn.
	Waiting int
	Meter   Meter // nil: nobody is told
}

// entryBytes is about what a challenge costs beside its body.
const entryBytes = 160

// Pool has challenges drawn ahead, so that drawing costs nothing when many are asked for
// at once. Each challenge is given out once. It is safe for concurrent use.
type Pool struct {
	cfg     PoolConfig
	bound   [media]int
	drawing chan struct{} // a token for each that is being drawn
	waiting chan struct{} // and for each that is being drawn or waits

	mu     sync.Mutex
	ready  [media][]Challenge
	bytes  [media]int
	wide   [media]int // the largest so far: the next may be as large
	closed bool

	start sync.Once
	wake  chan struct{} // something was taken
	stop  chan struct{}
	done  sync.WaitGroup
}

// NewPool makes an empty pool. It draws nothing ahead before Start.
func NewPool(cfg PoolConfig) *Pool {
	if cfg.Meter == nil {
		cfg.Meter = nobody{}
	}
	return &Pool{
		cfg: cfg, bound: [media]int{Image: cfg.MaxBytes - cfg.MaxBytes/4, Audio: cfg.MaxBytes / 4},
		drawing: make(chan struct{}, cfg.Drawers), waiting: make(chan struct{}, cfg.Drawers+cfg.Waiting),
		wake: make(chan struct{}, 1), stop: make(chan struct{}),
	}
}

// Start draws ahead, in the background, until Close. Idempotent.
func (p *Pool) Start() {
	p.start.Do(func() { p.done.Go(p.fill) })
}

// Close ends the drawing ahead and lets go of what was drawn. Take still works: it draws.
func (p *Pool) Close() {
	p.mu.Lock()
	first := !p.closed
	p.closed = true
	p.mu.Unlock()
	if !first {
		return
	}
	p.start.Do(func() {}) // from here on it never starts
	close(p.stop)
	p.done.Wait()
	for m := range media {
		p.mu.Lock()
		n, bytes := len(p.ready[m]), p.bytes[m]
		p.ready[m], p.bytes[m] = nil, 0
		p.mu.Unlock()
		p.cfg.Meter.Held(m, -n, -bytes)
	}
}

// Take gives a challenge: one that is there, else one that is drawn now. ErrBusy when
// too many wait for that already, the context's cause when it ends first.
func (p *Pool) Take(ctx context.Context, m Media) (Challenge, error) {
	if c, ok := p.pop(m); ok {
		p.cfg.Meter.Taken(m, FromPool)
		return c, nil
	}
	select {
	case p.waiting <- struct{}{}:
		defer func() { <-p.waiting }()
	default:
		p.cfg.Meter.Taken(m, Refused)
		return Challenge{}, ErrBusy
	}
	select {
	case p.drawing <- struct{}{}:
		defer func() { <-p.drawing }()
	case <-ctx.Done():
		p.cfg.Meter.Taken(m, Refused)
		return Challenge{}, context.Cause(ctx)
	}
	c, err := p.draw(m)
	if err != nil {
		p.cfg.Meter.Taken(m, Refused)
		return Challenge{}, err
	}
	p.cfg.Meter.Made(m, false)
	p.cfg.Meter.Taken(m, Drawn)
	return c, nil
}

func (p *Pool) draw(m Media) (Challenge, error) {
	if m == Audio {
		return p.cfg.Kind.Audio(NewSeed())
	}
	return p.cfg.Kind.Image(NewSeed())
}

// pop takes the newest: the oldest pages of the pool may stay out of the caches.
func (p *Pool) pop(m Media) (Challenge, bool) {
	p.mu.Lock()
	n := len(p.ready[m])
	if n == 0 {
		p.mu.Unlock()
		return Challenge{}, false
	}
	c := p.ready[m][n-1]
	p.ready[m][n-1] = Challenge{} // the body is the receiver's
	p.ready[m] = p.ready[m][:n-1]
	weight := weigh(c)
	p.bytes[m] -= weight
	p.mu.Unlock()
	p.cfg.Meter.Held(m, -1, -weight)
	select {
	case p.wake <- struct{}{}:
	default:
	}
	return c, true
}

func weigh(c Challenge) int { return cap(c.Body) + entryBytes }

// fill draws while there is room, and rests in proportion to the time that drawing took:
// that is at least the time on a core.
func (p *Pool) fill() {
	for {
		m, ok := p.wanted()
		if !ok {
			select {
			case <-p.wake:
				continue
			case <-p.stop:
				return
			}
		}
		began := time.Now()
		c, err := p.draw(m)
		took := time.Since(began)
		if err != nil {
			took = time.Second // whoever asks is told; there is no hurry here
		} else {
			p.cfg.Meter.Made(m, true)
			p.push(m, c)
		}
		select {
		case <-time.After(took * time.Duration(100-p.cfg.Percent) / time.Duration(p.cfg.Percent)):
		case <-p.stop:
			return
		}
		select {
		case <-p.stop:
			return
		default:
		}
	}
}

// wanted is the media that has the most room for its size.
func (p *Pool) wanted() (best Media, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	most := 0.0
	for m := range media {
		if p.bound[m] == 0 || p.bytes[m]+max(p.wide[m], entryBytes) > p.bound[m] {
			continue
		}
		if room := 1 - float64(p.bytes[m])/float64(p.bound[m]); room > most {
			best, most, ok = m, room, true
		}
	}
	return best, ok
}

// push keeps a challenge if there is room.
func (p *Pool) push(m Media, c Challenge) {
	c.Body = slices.Clone(c.Body)[:len(c.Body):len(c.Body)]
	weight := weigh(c)
	p.mu.Lock()
	p.wide[m] = max(p.wide[m], weight)
	kept := !p.closed && p.bytes[m]+weight <= p.bound[m]
	if kept {
		p.ready[m] = append(p.ready[m], c)
		p.bytes[m] += weight
	}
	p.mu.Unlock()
	if kept {
		p.cfg.Meter.Held(m, 1, weight)
	}
}

type nobody struct{}

func (nobody) Made(Media, bool)     {}
func (nobody) Held(Media, int, int) {}
func (nobody) Taken(Media, Source)  {}
