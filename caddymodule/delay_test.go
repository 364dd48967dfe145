package caddymodule_test

import (
	"bytes"
	"net"
	"sync"
	"testing"
)

// delay stands between a gateway and a server and can keep a reply back.
type delay struct {
	listener net.Listener
	target   string
	done     sync.WaitGroup

	mu    sync.Mutex
	hold  *heldReply
	conns map[net.Conn]bool
}

// heldReply is a reply that waits, with what follows on its connection.
type heldReply struct {
	request  []byte        // a part of the request
	there    chan struct{} // closed when it has come
	released chan struct{}
}

func newDelay(t *testing.T, target string) *delay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &delay{listener: l, target: target, conns: map[net.Conn]bool{}}
	d.done.Go(d.accept)
	t.Cleanup(func() {
		_ = l.Close()
		d.mu.Lock()
		for c := range d.conns {
			_ = c.Close()
		}
		d.mu.Unlock()
		d.done.Wait()
	})
	return d
}

func (d *delay) URL() string { return "redis://" + d.listener.Addr().String() }

// Hold keeps back the reply to the next request that contains the text.
func (d *delay) Hold(text string) *heldReply {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hold = &heldReply{request: []byte(text), there: make(chan struct{}), released: make(chan struct{})}
	return d.hold
}

func (d *delay) accept() {
	for {
		in, err := d.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", d.target)
		if err != nil {
			_ = in.Close()
			continue
		}
		d.mu.Lock()
		d.conns[in], d.conns[out] = true, true
		d.mu.Unlock()
		holds := make(chan *heldReply, 1)
		d.done.Go(func() { d.copy(out, in, func(b []byte) { d.asked(b, holds) }) })
		d.done.Go(func() {
			d.copy(in, out, func([]byte) {
				select {
				case h := <-holds:
					close(h.there)
					<-h.released
				default:
				}
			})
		})
	}
}

// asked looks at what a gateway sends.
func (d *delay) asked(b []byte, holds chan<- *heldReply) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if h := d.hold; h != nil && bytes.Contains(b, h.request) {
		d.hold = nil
		holds <- h
	}
}

func (d *delay) copy(to, from net.Conn, look func([]byte)) {
	defer func() {
		_, _ = to.Close(), from.Close()
		d.mu.Lock()
		delete(d.conns, from)
		d.mu.Unlock()
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		look(buf[:n])
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}
