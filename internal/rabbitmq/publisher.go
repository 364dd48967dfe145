package rabbitmq

import (
	"context"
	"crypto/rand"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"flashgate"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Publisher publishes orders, fences and events. It is safe for concurrent use; what
// one caller publishes one after another for a sale keeps its order.
//
// Two limits to what a client can promise. Bytes that the broker's kernel has taken
// are read by the broker when it pleases: a broker that was frozen, or that blocks
// publishers for want of memory, may take a message in later than Timeout. And
// nothing is in order across two connections: what was unknown when a connection
// ended may come behind what is published on the next one. Whoever sends a fence
// therefore waits longer than flashgate.PublishWindow first.
type Publisher struct {
	settings *settings
	link     *link[*outlet]
	life     string        // begins the ids of this Publisher's messages
	count    atomic.Uint64 // ends them
}

// outlet is a Publisher's session: a lane for each queue, and one for events.
type outlet struct {
	*connection
	orders []*lane
	events *lane
	wg     sync.WaitGroup
}

// OpenPublisher makes a Publisher. It dials nobody: a broker that is away shows in the
// first call. CodeInvalid names what is wrong with the configuration, and never
// repeats the password.
func OpenPublisher(cfg Config) (*Publisher, error) {
	s, err := newSettings(cfg, "rabbitmq.OpenPublisher", "flashgate publisher")
	if err != nil {
		return nil, err
	}
	open := func(ctx context.Context) (*outlet, error) { return openOutlet(ctx, s) }
	return &Publisher{settings: s, link: newLink(s.Logger, open), life: rand.Text()}, nil
}

func openOutlet(ctx context.Context, s *settings) (_ *outlet, err error) {
	conn, err := dial(ctx, s)
	if err != nil {
		return nil, err
	}
	o := &outlet{connection: conn}
	defer context.AfterFunc(ctx, func() { conn.fail(errClosed) })()
	for range s.Queues + 1 {
		l, err := openLane(conn)
		if err != nil {
			conn.fail(err)
			o.close()
			return nil, err
		}
		o.orders = append(o.orders, l)
		o.wg.Go(l.run)
	}
	o.events, o.orders = o.orders[s.Queues], o.orders[:s.Queues]
	return o, nil
}

func (o *outlet) over() <-chan struct{} { return o.ended }

func (o *outlet) close() {
	o.connection.close()
	o.wg.Wait()
}

// Close ends the connection. What is being published at that moment is unknown.
func (p *Publisher) Close() error {
	p.link.close()
	return nil
}

// Check asks the broker for a sign of life. It also fails when the broker is there
// and takes no messages (connection.blocked), or refuses the queues.
func (p *Publisher) Check(ctx context.Context) error {
	const op = "rabbitmq.Check"
	ctx, cancel := context.WithTimeout(ctx, p.settings.Timeout)
	defer cancel()
	o, err := p.link.get(ctx)
	if err != nil {
		return unavailable(op, err)
	}
	if err := o.err(); err != nil {
		return unavailable(op, err)
	}
	return unavailable(op, o.check(ctx))
}

// Publish sends one message into its sale's queue. The package comment says what its
// errors mean. It takes Config.Timeout or until the context's deadline, and afterwards
// nothing of the message is written any more. A context that is cancelled while the
// message waits to be written ends the call; once it is written, the call still waits
// for the confirm: the message is out, and knowing what became of it is worth more
// than a quick return.
func (p *Publisher) Publish(ctx context.Context, m flashgate.Message) error {
	begin := time.Now()
	body, err := flashgate.EncodeMessage(m)
	if err != nil {
		return err
	}
	return p.publish(ctx, "rabbitmq.Publish", begin, m.Sale, body)
}

// PublishRaw sends a body as it is, readable or not, into a sale's queue. Tools and
// tests need it.
func (p *Publisher) PublishRaw(ctx context.Context, sale flashgate.SaleID, body []byte) error {
	const op = "rabbitmq.PublishRaw"
	if len(body) > flashgate.MaxMessageBytes {
		return flashgate.Errorf(flashgate.CodeTooLarge, op, "The message has %d bytes, at most %d are allowed.", len(body), flashgate.MaxMessageBytes)
	}
	return p.publish(ctx, op, time.Now(), sale, body)
}

// SendFence sends the fence on the lane of its sale, behind what this Publisher has
// published for the sale, and, at the broker, behind everything that was confirmed.
func (p *Publisher) SendFence(ctx context.Context, sale flashgate.SaleID, fence uint64) error {
	begin := time.Now()
	m := flashgate.NewMessage(sale, fence)
	m.Fence = true
	body, err := flashgate.EncodeMessage(m)
	if err != nil {
		return err
	}
	return p.publish(ctx, "rabbitmq.SendFence", begin, sale, body)
}

func (p *Publisher) publish(ctx context.Context, op string, begin time.Time, sale flashgate.SaleID, body []byte) error {
	deadline := begin.Add(p.settings.Timeout)
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	deadline, _ = ctx.Deadline() // ours or the caller's, whichever is sooner
	o, err := p.session(ctx, op)
	if err != nil {
		return err
	}
	i := p.settings.partition(sale)
	j := &job{
		ctx: ctx, op: op, deadline: deadline, answer: make(chan error, 1),
		exchange: p.settings.ordersExchange(), key: p.settings.orderQueue(i), mandatory: true,
		message: amqp.Publishing{
			ContentType: "application/json", DeliveryMode: amqp.Persistent,
			MessageId: p.life + "." + strconv.FormatUint(p.count.Add(1), 10), Body: body,
		},
	}
	if err := o.orders[i].hand(ctx, j); err != nil {
		return err
	}
	return within(context.WithoutCancel(ctx), deadline, j.wait)
}

// session returns the connection, if there is one or the first is being made.
func (p *Publisher) session(ctx context.Context, op string) (*outlet, error) {
	if ctx.Err() != nil {
		return nil, unavailable(op, errors.Join(errLate, context.Cause(ctx)))
	}
	o, err := p.link.get(ctx)
	return o, unavailable(op, err)
}

var (
	_ flashgate.Publisher      = (*Publisher)(nil)
	_ flashgate.Fencer         = (*Publisher)(nil)
	_ flashgate.EventPublisher = (*Publisher)(nil)
	_ flashgate.Checker        = (*Publisher)(nil)
)
