package httpcache

import (
	"net/http"
	"sync"
)

// body is an answer's body while it grows. The handler appends without ever waiting
// for the client, so a client that reads slowly holds up nobody else.
type body struct {
	mu    sync.Mutex
	data  []byte // bytes that are there never change
	flush bool
	ended bool
	wake  chan struct{} // has a place for one

	sent     chan struct{} // closed when send has ended; nil while nobody sends
	panicked any           // of send
}

func newBody(size int64) *body {
	return &body{data: make([]byte, 0, max(size, 0)), wake: make(chan struct{}, 1)}
}

func (b *body) change(f func()) {
	b.mu.Lock()
	f()
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *body) append(p []byte) { b.change(func() { b.data = append(b.data, p...) }) }
func (b *body) flushNow()       { b.change(func() { b.flush = true }) }

// sendTo starts a goroutine that writes the body to a client as it grows.
func (b *body) sendTo(w http.ResponseWriter) {
	b.sent = make(chan struct{})
	go func() {
		defer close(b.sent)
		defer func() { b.panicked = recover() }()
		b.send(w)
	}()
}

func (b *body) send(w http.ResponseWriter) {
	sent := 0
	for range b.wake {
		b.mu.Lock()
		data, flush, ended := b.data, b.flush, b.ended
		b.flush = false
		b.mu.Unlock()
		if len(data) > sent {
			if _, err := w.Write(data[sent:]); err != nil {
				return // the client has gone
			}
			sent = len(data)
		}
		if flush {
			_ = http.NewResponseController(w).Flush()
		}
		if ended {
			return
		}
	}
}

// join waits until all that is there was sent. A panic of the client's writer goes
// on in the caller.
func (b *body) join() {
	b.change(func() { b.ended = true })
	if b.sent == nil {
		return
	}
	<-b.sent
	if b.panicked != nil {
		panic(b.panicked)
	}
}
