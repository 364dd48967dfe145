package redis_test

import (
	"bytes"
	"net"
	"sync"
	"testing"
)

// proxy stands between a Store and its server and can break what passes.
type proxy struct {
	listener net.Listener
	target   string

	mu     sync.Mutex
	frozen chan struct{} // closed when it thaws; nil while it flows
	cut    []byte        // the reply to the next request with this text is lost with its connection
	hold   *held
	conns  map[net.Conn]bool
	done   sync.WaitGroup
}

// held is a reply that waits.
type held struct {
	request  []byte
	there    chan struct{} // closed when it has come
	released chan struct{}
}

func newProxy(t testing.TB, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, target: target, conns: map[net.Conn]bool{}}
	p.done.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.Thaw()
		p.Break()
		p.done.Wait()
	})
	return p
}

func (p *proxy) URL() string { return "redis://" + p.listener.Addr().String() }

// Freeze stops everything in both directions; connections stay open.
func (p *proxy) Freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.frozen == nil {
		p.frozen = make(chan struct{})
	}
}

func (p *proxy) Thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.frozen != nil {
		close(p.frozen)
		p.frozen = nil
	}
}

// CutReply lets the next request that contains the text pass and closes its connection
// instead of the reply. Stores send more than the test does: they subscribe, for one.
func (p *proxy) CutReply(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = []byte(text)
}

// Hold keeps back the reply to the next request that contains the text, and what
// follows on its connection.
func (p *proxy) Hold(text string) *held {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold = &held{request: []byte(text), there: make(chan struct{}), released: make(chan struct{})}
	return p.hold
}

// Break closes all connections.
func (p *proxy) Break() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

func (p *proxy) accept() {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = in.Close()
			continue
		}
		p.mu.Lock()
		p.conns[in], p.conns[out] = true, true
		p.mu.Unlock()
		holds, cuts := make(chan *held, 1), make(chan struct{}, 1)
		p.done.Go(func() { p.copy(out, in, false, holds, cuts) })
		p.done.Go(func() { p.copy(in, out, true, holds, cuts) })
	}
}

func (p *proxy) copy(to, from net.Conn, reply bool, holds chan *held, cuts chan struct{}) {
	defer func() {
		_, _ = to.Close(), from.Close()
		p.mu.Lock()
		delete(p.conns, from)
		p.mu.Unlock()
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		p.mu.Lock()
		frozen := p.frozen
		if p.cut != nil && !reply && bytes.Contains(buf[:n], p.cut) {
			p.cut = nil
			cuts <- struct{}{}
		}
		if h := p.hold; h != nil && !reply && bytes.Contains(buf[:n], h.request) {
			p.hold = nil
			holds <- h
		}
		p.mu.Unlock()
		if reply {
			select {
			case <-cuts:
				return
			default:
			}
			select {
			case h := <-holds:
				close(h.there)
				<-h.released
			default:
			}
		}
		if frozen != nil {
			<-frozen
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}
