//go:build unix

package rabbitmq_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/servers/serverstest"
)

// valve is a TCP proxy in front of a broker that can stop taking from its clients.
type valve struct {
	listener net.Listener
	broker   string
	wg       sync.WaitGroup

	mu    sync.Mutex
	open  *sync.Cond
	shut  bool
	conns []net.Conn
}

func newValve(t *testing.T, broker string) *valve {
	t.Helper()
	// Little room in the kernel, so that a client's write soon blocks. A connection takes
	// it over from the listener; later would be too late for the first window.
	small := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) {
			failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096)
		})
		return errors.Join(err, failed)
	}}
	l, err := small.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	v := &valve{listener: l, broker: broker}
	v.open = sync.NewCond(&v.mu)
	v.wg.Go(v.accept)
	t.Cleanup(func() {
		l.Close()
		v.set(false)
		v.mu.Lock()
		for _, c := range v.conns {
			c.Close()
		}
		v.mu.Unlock()
		v.wg.Wait()
	})
	return v
}

func (v *valve) accept() {
	for {
		client, err := v.listener.Accept()
		if err != nil {
			return
		}
		broker, err := net.Dial("tcp", v.broker)
		if err != nil {
			client.Close()
			continue
		}
		v.mu.Lock()
		v.conns = append(v.conns, client, broker)
		v.mu.Unlock()
		v.wg.Go(func() { v.forward(broker, client) })
		v.wg.Go(func() {
			_, _ = io.Copy(client, broker)
			client.Close()
		})
	}
}

// forward takes from the client while the valve is open.
func (v *valve) forward(broker, client net.Conn) {
	defer broker.Close()
	b := make([]byte, 4096)
	for {
		v.mu.Lock()
		for v.shut {
			v.open.Wait()
		}
		v.mu.Unlock()
		n, err := client.Read(b)
		if n > 0 {
			if _, err := broker.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (v *valve) set(shut bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.shut = shut
	v.open.Broadcast()
}

// A message whose write is blocked at its deadline never arrives, also when the way
// is free again: the publisher's own deadline, or the caller's, if that is sooner.
func TestNothingArrivesLate(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]time.Duration{"publisher": 0, "caller": 150 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nothingArrivesLate(t, limit)
		})
	}
}

func nothingArrivesLate(t *testing.T, limit time.Duration) {
	broker := serverstest.RabbitMQ(t)
	cfg := config(t)
	c := openConsumer(t, cfg)
	v := newValve(t, broker.Addr())
	cfg.URL = strings.Replace(cfg.URL, broker.Addr(), v.listener.Addr().String(), 1)
	p := openPublisher(t, cfg)
	sale := newSale()
	publish(t, p, message(sale))
	ack(t, c, receive(t, c, 1)...)

	v.set(true)
	var wg sync.WaitGroup
	// More than the kernel takes, and each more than passes the valve.
	body := []byte(strings.Repeat("x", 20<<10))
	for range 200 {
		wg.Go(func() {
			ctx, cancel := t.Context(), func() {}
			if limit > 0 {
				ctx, cancel = context.WithTimeout(ctx, limit)
			}
			defer cancel()
			if err := p.PublishRaw(ctx, sale, body); err == nil {
				t.Error("a message that nobody took was confirmed")
			}
		})
	}
	wg.Wait()
	if limit > 0 {
		// Later than the caller's deadline, and long before the publisher's.
		<-time.After(limit)
	} else {
		eventually(t, "the connection is given up", func() bool {
			return flashgate.ErrorCode(p.Publish(t.Context(), message(sale))) == flashgate.CodeUnavailable
		})
	}
	v.set(false)
	m := message(sale)
	eventually(t, "publishing again", func() bool { return p.Publish(t.Context(), m) == nil })
	for quiet := false; !quiet; {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		ds, err := c.Receive(ctx, 100)
		cancel()
		quiet = err != nil
		for _, d := range ds {
			if len(d.Body) == len(body) {
				t.Error("a message arrived after its time")
			}
		}
	}
}
