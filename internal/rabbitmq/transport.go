package rabbitmq

import (
	"net"
	"sync/atomic"
	"time"
)

// transport is the TCP connection below AMQP, and below TLS. It bounds every write,
// which the library does not: a context does not interrupt one, and a broker that
// reads no more would hold it for ever.
type transport struct {
	net.Conn
	timeout  time.Duration
	born     time.Time
	lastRead atomic.Int64 // time of the last byte from the broker, since born
}

func newTransport(c net.Conn, timeout time.Duration) *transport {
	return &transport{Conn: c, timeout: timeout, born: time.Now()}
}

// Read notes when the broker gave a sign of life.
func (t *transport) Read(b []byte) (int, error) {
	n, err := t.Conn.Read(b)
	if n > 0 {
		t.lastRead.Store(int64(time.Since(t.born)))
	}
	return n, err
}

// Write breaks the connection when it does not end within the timeout. A part of a
// frame may have gone out: nothing can follow it.
func (t *transport) Write(b []byte) (int, error) {
	if err := t.Conn.SetWriteDeadline(time.Now().Add(t.timeout)); err != nil {
		return 0, err
	}
	n, err := t.Conn.Write(b)
	if err != nil {
		t.abort()
	}
	return n, err
}

// silentSince reports whether nothing was read after a moment.
func (t *transport) silentSince(at time.Time) bool {
	return time.Duration(t.lastRead.Load()) < at.Sub(t.born)
}

// abort ends the connection without the kernel's usual patience (SO_LINGER 0): what
// it has not sent yet is thrown away, instead of reaching the broker at some later
// time.
func (t *transport) abort() {
	if c, ok := t.Conn.(*net.TCPConn); ok {
		_ = c.SetLinger(0)
	}
	_ = t.Conn.Close()
}
