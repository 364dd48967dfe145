package pagestore

import (
	"context"
	"hash/maphash"
	"sync"
	"time"

	"flashgate"
)

// Pages go to the shared store in the background, those of a key in order. What does not
// fit into the queue is not written: another gateway then asks the origin once more.
const (
	writers    = 4
	maxQueued  = 256 // pages, of each writer
	writeLimit = 2 * time.Second
)

type writer struct {
	store  *Store
	seed   maphash.Seed
	queues [writers]queue
}

type queue struct {
	mu     sync.Mutex
	pages  map[string]*flashgate.Page // by key: a newer one takes the place of an older one
	order  []string
	busy   string // the key that is being written
	redo   bool   // it was cancelled meanwhile
	wakeup chan struct{}
}

func newWriter(s *Store) *writer {
	w := &writer{store: s, seed: maphash.MakeSeed()}
	for i := range w.queues {
		q := &w.queues[i]
		q.pages, q.wakeup = map[string]*flashgate.Page{}, make(chan struct{}, 1)
		s.done.Go(func() { w.run(q) })
	}
	return w
}

func (w *writer) of(key string) *queue {
	return &w.queues[maphash.String(w.seed, key)%writers]
}

func (w *writer) add(p *flashgate.Page) {
	q := w.of(p.Key)
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, ok := q.pages[p.Key]; !ok {
		if len(q.order) >= maxQueued {
			w.store.counts.dropped.Add(1)
			return
		}
		q.order = append(q.order, p.Key)
	}
	q.pages[p.Key] = p
	select {
	case q.wakeup <- struct{}{}:
	default:
	}
}

// cancel takes a page out of the queue; one that is being written is deleted after it.
func (w *writer) cancel(key string) {
	q := w.of(key)
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, ok := q.pages[key]; ok {
		q.pages[key] = nil
	}
	if q.busy == key {
		q.redo = true
	}
}

func (q *queue) next() (key string, p *flashgate.Page, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.busy, q.redo = "", false
	if len(q.order) == 0 {
		return "", nil, false
	}
	key, q.order = q.order[0], q.order[1:]
	p = q.pages[key]
	delete(q.pages, key)
	q.busy = key
	return key, p, true
}

func (q *queue) cancelled() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.redo
}

func (w *writer) run(q *queue) {
	for {
		for {
			key, p, ok := q.next()
			if !ok {
				break
			}
			if p != nil {
				w.write(q, key, p)
			}
		}
		select {
		case <-q.wakeup:
		case <-w.store.ended.Done():
			return
		}
	}
}

func (w *writer) write(q *queue, key string, p *flashgate.Page) {
	s := w.store
	s.meet(s.ended)
	if dead, _ := s.judge(p); dead {
		return
	}
	log, base := s.position()
	ttl := p.Ends.Sub(s.cfg.Now())
	if log == "" || p.Seen < base || ttl < time.Millisecond {
		return
	}
	ctx, cancel := context.WithTimeout(s.ended, writeLimit)
	defer cancel()
	if err := s.cfg.Shared.SetPage(ctx, key, seal(p, log, p.Seen-base), ttl); err != nil {
		s.counts.dropped.Add(1)
		s.cfg.Failed("write", err)
		return
	}
	if q.cancelled() {
		// Another gateway may have read it already.
		s.invalidate(ctx, key, p.URL)
	}
}
