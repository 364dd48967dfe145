package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	// handshakeTimeout bounds connecting, up to the end of AMQP's handshake.
	handshakeTimeout = 5 * time.Second
	// closeTimeout bounds the farewell.
	closeTimeout = time.Second
)

// connection is one life of the connection to the broker. When it has ended, for
// whatever reason, ended is closed and everything that was opened on it is void.
type connection struct {
	*settings
	amqp      *amqp.Connection
	transport *transport
	probes    chan chan error
	wg        sync.WaitGroup

	ended chan struct{}
	mu    sync.Mutex
	cause error  // why it ended
	block string // why the broker takes no publishes at present; empty when it does
}

// dial connects and declares the topology. The context ends it early.
func dial(ctx context.Context, s *settings) (_ *connection, err error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	var t *transport
	stopWatch := func() bool { return true }
	defer func() {
		if !stopWatch() && err == nil {
			err = context.Cause(ctx)
		}
		if err != nil && t != nil {
			t.abort()
		}
	}()
	config := amqp.Config{
		Heartbeat:  s.Heartbeat,
		Properties: amqp.NewConnectionProperties(),
		Dial: func(network, addr string) (net.Conn, error) {
			raw, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			t = newTransport(raw, s.Timeout)
			stopWatch = context.AfterFunc(ctx, t.abort)
			// The library lifts it after the handshake.
			return t, raw.SetReadDeadline(time.Now().Add(handshakeTimeout))
		},
	}
	config.Properties.SetClientConnectionName(s.role)
	if s.tls != nil {
		config.TLSClientConfig = s.tls.Clone()
	}
	c, err := amqp.DialConfig(s.address, config)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	conn := &connection{settings: s, amqp: c, transport: t, probes: make(chan chan error), ended: make(chan struct{})}
	if err := s.declare(c); err != nil {
		return nil, err
	}
	prober, err := c.Channel()
	if err != nil {
		return nil, fmt.Errorf("opening a channel: %w", err)
	}
	closes := c.NotifyClose(make(chan *amqp.Error, 1))
	blocks := c.NotifyBlocked(make(chan amqp.Blocking, 8))
	conn.wg.Go(func() { conn.watch(closes, blocks) })
	conn.wg.Go(func() { conn.probe(prober) })
	return conn, nil
}

// watch takes what the library tells about the connection, until it is closed.
func (c *connection) watch(closes <-chan *amqp.Error, blocks <-chan amqp.Blocking) {
	for {
		select {
		case err := <-closes: // nil after an orderly close
			if err == nil {
				c.fail(errClosed)
			} else {
				c.fail(err)
			}
			return
		case b, ok := <-blocks:
			if !ok {
				blocks = nil
				continue
			}
			c.mu.Lock()
			c.block = ""
			if b.Active {
				c.block = "blocked by the broker: " + b.Reason
			}
			c.mu.Unlock()
		}
	}
}

// fail ends the connection at once; the first cause counts.
func (c *connection) fail(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause == nil {
		c.cause = cause
		close(c.ended)
		c.transport.abort()
	}
}

// err is why the connection has ended or why nothing can be published at present; nil
// when it works as far as is known.
func (c *connection) err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause == nil && c.block != "" {
		return errors.New(c.block)
	}
	return c.cause
}

// close says farewell, and ends the connection in any case.
func (c *connection) close() {
	stop := time.AfterFunc(closeTimeout, c.transport.abort)
	defer stop.Stop()
	_ = c.amqp.CloseDeadline(time.Now().Add(closeTimeout))
	c.fail(errClosed)
	c.wg.Wait()
}

// probe asks the broker something that it answers from memory, for everybody who
// wants to know whether it still does. The call cannot be cancelled; it ends with
// the connection.
func (c *connection) probe(ch *amqp.Channel) {
	for {
		select {
		case <-c.ended:
			return
		case reply := <-c.probes:
			err := ch.ExchangeDeclarePassive(c.ordersExchange(), amqp.ExchangeDirect, true, false, false, false, nil)
			if err != nil {
				c.fail(fmt.Errorf("asking for a sign of life: %w", err))
			}
			reply <- err
		}
	}
}

// provoke makes a healthy broker send something, and does not wait for it.
func (c *connection) provoke() {
	select {
	case c.probes <- make(chan error, 1):
	default: // one is on its way
	}
}

// check waits for a sign of life.
func (c *connection) check(ctx context.Context) error {
	reply := make(chan error, 1)
	select {
	case c.probes <- reply:
	case <-c.ended:
		return c.err()
	case <-ctx.Done():
		return errors.Join(errNoReply, context.Cause(ctx))
	}
	select {
	case err := <-reply:
		return err
	case <-c.ended:
		return c.err()
	case <-ctx.Done():
		return errors.Join(errNoReply, context.Cause(ctx))
	}
}
