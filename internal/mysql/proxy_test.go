package mysql_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"flashgate/internal/mysql"
)

// cut is what a proxy does with a COMMIT.
type cut int32

const (
	pass       cut = iota
	cutBefore      // the connection breaks before the server has it
	cutAfter       // the server has it, and the client never learns
	cutEvery       // as cutAfter, every time
	cutRefused     // as cutBefore, every time
	cutFrozen      // the server hears no more of it, and the connection stays
)

// proxy sits between a Store and its server, and can break a connection at COMMIT.
type proxy struct {
	listener net.Listener
	server   string
	mode     atomic.Int32
	commits  atomic.Int32
	wg       sync.WaitGroup
	end      chan struct{}
}

// behindProxy is a Store that reaches its server through a proxy.
func behindProxy(t testing.TB, dsn string) (*mysql.Store, *proxy) {
	t.Helper()
	_, rest, _ := strings.Cut(dsn, "tcp(")
	server, _, _ := strings.Cut(rest, ")")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, server: server, end: make(chan struct{})}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		l.Close()
		close(p.end)
		p.wg.Wait()
	})
	return openOnly(t, strings.Replace(dsn, server, l.Addr().String(), 1)), p
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(client) })
	}
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer server.Close()
	var toClient sync.WaitGroup
	var deaf atomic.Bool
	toClient.Go(func() {
		defer client.Close()
		b := make([]byte, 64<<10)
		for {
			n, err := server.Read(b)
			if deaf.Load() {
				return // the answer to a COMMIT: the client does not get it
			}
			if _, werr := client.Write(b[:n]); err != nil || werr != nil {
				return
			}
		}
	})
	defer toClient.Wait()
	defer server.Close()
	for {
		packet, err := readPacket(client)
		if err != nil {
			return
		}
		if bytes.Equal(packet[4:], []byte("\x03COMMIT")) {
			p.commits.Add(1)
			switch mode := cut(p.mode.Load()); mode {
			case cutFrozen:
				deaf.Store(true)
				<-p.end
				return
			case cutBefore, cutRefused:
				if mode == cutBefore {
					p.mode.Store(int32(pass))
				}
				return
			case cutAfter, cutEvery:
				if mode == cutAfter {
					p.mode.Store(int32(pass))
				}
				deaf.Store(true)
				if _, err := server.Write(packet); err == nil {
					toClient.Wait() // until the server has answered
				}
				return
			}
		}
		if _, err := server.Write(packet); err != nil {
			return
		}
	}
}

// readPacket reads one packet of the protocol with its header: three bytes of length
// and a number.
func readPacket(r io.Reader) ([]byte, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	n := int(binary.LittleEndian.Uint32(head) & 0xFFFFFF)
	packet := make([]byte, 4+n)
	copy(packet, head)
	_, err := io.ReadFull(r, packet[4:])
	return packet, err
}
