package rabbitmq_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/rabbitmq"
	"flashgate/internal/servers/serverstest"

	amqp "github.com/rabbitmq/amqp091-go"
	"go.uber.org/goleak"
)

// Every message that was answered with nil is in the queue, whatever else its
// neighbours on the channel are doing.
func TestPublishConcurrently(t *testing.T) {
	t.Parallel()
	const callers, each = 64, 30
	cfg := config(t)
	p := openPublisher(t, cfg)
	sales := []flashgate.SaleID{newSale(), newSale(), newSale(), newSale()}
	sent := make([][]flashgate.Message, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for range each {
				m := message(sales[i%len(sales)])
				if err := p.Publish(t.Context(), m); err != nil {
					t.Errorf("Publish: %v", err)
					return
				}
				sent[i] = append(sent[i], m)
			}
		})
	}
	wg.Wait()
	position := map[flashgate.OrderID]int{}
	c := openConsumer(t, cfg)
	for len(position) < callers*each {
		for _, d := range receive(t, c, 1) {
			position[order(t, d)] = len(position)
			ack(t, c, d)
		}
	}
	for i, ms := range sent {
		last := -1
		for _, m := range ms {
			at, ok := position[m.Reservations[0].Order]
			switch {
			case !ok:
				t.Errorf("caller %d: a confirmed message is not in the queue", i)
			case at < last:
				t.Errorf("caller %d: messages changed places", i)
			}
			last = at
		}
	}
}

// A message for a queue that is gone is returned, and acked all the same. The
// publisher makes the queue again by itself.
func TestUnroutable(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	p := openPublisher(t, cfg)
	sale := newSale()
	publish(t, p, message(sale))
	if _, err := channel(t, cfg.URL).QueueDelete(rabbitmq.OrderQueue(p, sale), false, false, false); err != nil {
		t.Fatal(err)
	}
	err := p.Publish(t.Context(), message(sale))
	wantCode(t, err, flashgate.CodeUnknownOutcome, "Publish to a deleted queue")
	if err != nil && !strings.Contains(err.Error(), "returned") {
		t.Errorf("not because it was returned: %v", err)
	}
	m := message(sale)
	eventually(t, "the queue is there again", func() bool { return p.Publish(t.Context(), m) == nil })
	wantOrders(t, receive(t, openConsumer(t, cfg), 1), []flashgate.Message{m}, "after the queue was made again")
}

// Of many unroutable messages in flight at once, none is taken for published.
func TestUnroutableConcurrently(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	p := openPublisher(t, cfg)
	sale := newSale()
	publish(t, p, message(sale))
	ch := channel(t, cfg.URL)
	key := rabbitmq.OrderQueue(p, sale)
	for range 10 {
		if err := ch.QueueUnbind(key, key, cfg.Prefix+".orders", nil); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				// The first that comes back ends the connection, and the next one binds the
				// queue: what comes so late may be published.
				o := p.Outlet()
				if err := p.Publish(t.Context(), message(sale)); err == nil && o != nil && o == p.Outlet() {
					t.Error("a message that was returned counts as published")
				}
			})
		}
		wg.Wait()
		eventually(t, "the queue is bound again", func() bool { return p.Publish(t.Context(), message(sale)) == nil })
	}
}

// A full queue answers with nack.
func TestNack(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	p := openPublisher(t, cfg)
	sale := newSale()
	publish(t, p, message(sale))
	r := serverstest.RabbitMQ(t)
	pattern := "^" + cfg.Prefix + `\.orders\.`
	if _, err := r.Ctl("set_policy", cfg.Prefix, pattern, `{"max-length":3}`, "--apply-to", "queues"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := r.Ctl("clear_policy", cfg.Prefix); err != nil {
			t.Error(err)
		}
	})
	o := p.Outlet()
	eventually(t, "a message is refused", func() bool {
		err := p.Publish(t.Context(), message(sale))
		if err != nil && (flashgate.ErrorCode(err) != flashgate.CodeUnknownOutcome || !strings.Contains(err.Error(), "refused")) {
			t.Fatalf("got %v, want a refused message and code unknown_outcome", err)
		}
		return err != nil
	})
	if o != p.Outlet() {
		t.Error("a refused message ended the connection")
	}
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	p := openPublisher(t, config(t))
	publish(t, p, message(newSale()))
	sale := newSale()
	m := message(sale)
	for range flashgate.MaxMessageReservations {
		m.Reservations = append(m.Reservations, message(sale).Reservations...)
	}
	wantCode(t, p.Publish(t.Context(), m), flashgate.CodeInvalid, "too many reservations")
	wantCode(t, p.PublishRaw(t.Context(), sale, make([]byte, flashgate.MaxMessageBytes+1)), flashgate.CodeTooLarge, "too many bytes")
}

// Without a broker the first call waits for the dial, the next ones do not.
func TestBrokerAway(t *testing.T) {
	t.Parallel()
	// A listener that is closed at once leaves a port that refuses; one that never
	// answers holds the dial.
	refusing, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	refusing.Close()

	p := openPublisher(t, rabbitmq.Config{URL: fmt.Sprintf("amqp://%s/", refusing.Addr())})
	for range 20 {
		begin := time.Now()
		wantCode(t, p.Publish(t.Context(), message(newSale())), flashgate.CodeUnavailable, "Publish")
		wantCode(t, p.SendFence(t.Context(), newSale(), 1), flashgate.CodeUnavailable, "SendFence")
		wantCode(t, p.PublishEvents(t.Context(), []flashgate.Event{{ID: 1, Kind: flashgate.EventPaid}}), flashgate.CodeUnavailable, "PublishEvents")
		wantCode(t, p.Check(t.Context()), flashgate.CodeUnavailable, "Check")
		if took := time.Since(begin); took > time.Second {
			t.Errorf("it took %v to know that the broker is away", took)
		}
	}

	p = openPublisher(t, rabbitmq.Config{URL: fmt.Sprintf("amqp://%s/", silent.Addr())})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begin := time.Now()
	wantCode(t, p.Publish(ctx, message(newSale())), flashgate.CodeUnavailable, "Publish while the first dial runs")
	if took := time.Since(begin); took < 90*time.Millisecond || took > time.Second {
		t.Errorf("it took %v, want the context's 100 ms", took)
	}
	closed(t, p) // at once, although the dial still runs
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("Close took %v", took)
	}
	wantCode(t, p.Publish(t.Context(), message(newSale())), flashgate.CodeUnavailable, "Publish after Close")
}

func TestWrongPassword(t *testing.T) {
	t.Parallel()
	url := strings.Replace(serverstest.RabbitMQ(t).URL(), "guest:guest", "guest:pa55word", 1)
	p := openPublisher(t, rabbitmq.Config{URL: url})
	var err error
	eventually(t, "the broker has refused", func() bool { // it takes its time
		err = p.Check(t.Context())
		wantCode(t, err, flashgate.CodeUnavailable, "Check")
		return err != nil && strings.Contains(err.Error(), "403")
	})
	if strings.Contains(err.Error(), "pa55word") {
		t.Errorf("the error repeats the password: %v", err)
	}
}

// A lost connection is made again, and the lanes work on it.
func TestReconnect(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	p, c := openPublisher(t, cfg), openConsumer(t, cfg)
	sale := newSale()
	for range 3 {
		m := message(sale)
		eventually(t, "publishing again", func() bool { return p.Publish(t.Context(), m) == nil })
		ds := receive(t, c, 1)
		for order(t, ds[0]) != m.Reservations[0].Order { // an ack that was lost
			ack(t, c, ds...)
			ds = receive(t, c, 1)
		}
		if !p.Break() || !c.Break() {
			t.Fatal("there was no connection")
		}
		ack(t, c, ds...) // stale: no error
	}
}

// Checks say what the broker says.
func TestCheck(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	p, c := openPublisher(t, cfg), openConsumer(t, cfg)
	wantCode(t, p.Ready(), flashgate.CodeUnavailable, "Ready before the first use")
	for range 3 {
		if err := p.Check(t.Context()); err != nil {
			t.Error(err)
		}
		if err := c.Check(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if err := channel(t, cfg.URL).ExchangeDelete(cfg.Prefix+".orders", false, false); err != nil {
		t.Fatal(err)
	}
	wantCode(t, p.Check(t.Context()), flashgate.CodeUnavailable, "Check without the exchange")
	eventually(t, "it was made again", func() bool { return p.Check(t.Context()) == nil })
	if err := p.Ready(); err != nil {
		t.Errorf("Ready after a good Check: %v", err)
	}
	p.Break()
	wantCode(t, p.Ready(), flashgate.CodeUnavailable, "Ready without a connection")
}

// Not parallel: it counts the goroutines of the process.
func TestCloseLeavesNothing(t *testing.T) {
	url := serverstest.RabbitMQ(t).URL()
	before := goleak.IgnoreCurrent()
	func() {
		cfg := own(t, url)
		for _, broken := range []bool{false, true} {
			p, c := openPublisher(t, cfg), openConsumer(t, cfg)
			publish(t, p, message(newSale()), message(newSale()))
			receive(t, c, 2)
			if broken {
				p.Break()
				c.Break()
			}
			closed(t, p)
			closed(t, c)
		}
		away := openPublisher(t, rabbitmq.Config{URL: "amqp://127.0.0.1:1/"})
		wantCode(t, away.Check(t.Context()), flashgate.CodeUnavailable, "Check")
		closed(t, away)
	}()
	goleak.VerifyNone(t, before)
}

// Events reach a queue that somebody has bound, in order, in the documented form.
func TestEvents(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	p := openPublisher(t, cfg)
	if err := p.Check(t.Context()); err != nil { // makes the exchange
		t.Fatal(err)
	}
	ch := channel(t, cfg.URL)
	q, err := ch.QueueDeclare("", false, true, true, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := ch.QueueBind(q.Name, "order.*", cfg.Prefix+".events", false, nil); err != nil {
		t.Fatal(err)
	}
	got, err := ch.Consume(q.Name, "", true, true, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.FixedZone("", 3600))
	es := []flashgate.Event{
		{ID: 7, Kind: flashgate.EventPlaced, Sale: "1", Order: "o", User: "u", Units: 1, Seq: 12, At: at},
		{ID: 8, Kind: flashgate.EventSoldOut, Sale: "1", Seq: 12, At: at}, // not bound
	}
	for i := range 1000 { // more than the window
		es = append(es, flashgate.Event{ID: uint64(9 + i), Kind: flashgate.EventPaid, Sale: "1", Units: 1, Seq: 13, At: at})
	}
	if err := p.PublishEvents(t.Context(), es); err != nil {
		t.Fatal(err)
	}
	if err := p.PublishEvents(t.Context(), nil); err != nil {
		t.Errorf("no events: %v", err)
	}
	next := func() amqp.Delivery {
		select {
		case d := <-got:
			return d
		case <-time.After(patience):
			t.Fatal("an event does not come")
			panic("not reached")
		}
	}
	first := next()
	const want = `{"id":7,"kind":"order.placed","sale":"1","order":"o","user":"u","units":1,"seq":12,"at":"2026-01-02T02:04:05.678Z"}`
	if string(first.Body) != want {
		t.Errorf("the body is\n%s\nwant\n%s", first.Body, want)
	}
	if first.RoutingKey != "order.placed" || first.MessageId != "7" || first.Type != "order.placed" || first.DeliveryMode != amqp.Persistent {
		t.Errorf("properties: %+v", first)
	}
	for i := range 1000 {
		if d := next(); d.MessageId != fmt.Sprint(9+i) {
			t.Fatalf("event %s comes as number %d", d.MessageId, i)
		}
	}
}
