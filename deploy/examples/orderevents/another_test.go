package main_test

import (
	"fmt"
	"maps"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"flashgate"
	"flashgate/internal/rabbitmq"
	"flashgate/internal/servers/serverstest"
)

// Events come in another order than they happened, twice, of a kind that is not known,
// and with members that are not; and what cannot be read stops nothing.
func TestUnusualEvents(t *testing.T) {
	broker := serverstest.RabbitMQ(t)
	prefix := "x" + flashgate.NewKey()[:12]
	x := newExample(t, broker.URL(), "-exchange", prefix+".events", "-queue", prefix+".example")
	must(t, x.Launch()) // before anything else of flashgate is there
	eventually(t, "the example waits for events", func() bool { return x.out.count("waiting for events") > 0 })
	p, err := rabbitmq.OpenPublisher(rabbitmq.Config{URL: broker.URL(), Prefix: prefix, Queues: 1})
	must(t, err)
	t.Cleanup(func() { must(t, p.Close()) })

	order := func(id uint64, kind flashgate.EventKind, order flashgate.OrderID) flashgate.Event {
		return flashgate.Event{ID: id, Kind: kind, Sale: "1", Order: order, User: "u", Units: 1, Seq: 1, At: time.Now()}
	}
	sale := func(id uint64, kind flashgate.EventKind, sale flashgate.SaleID, seq uint64) flashgate.Event {
		return flashgate.Event{ID: id, Kind: kind, Sale: sale, Units: 1, Seq: seq, At: time.Now()}
	}
	es := []flashgate.Event{
		order(2, flashgate.EventPaid, "1.a"), order(1, flashgate.EventPlaced, "1.a"),
		order(4, flashgate.EventCancelled, "1.b"), order(3, flashgate.EventPlaced, "1.b"),
		order(5, flashgate.EventPlaced, "1.c"), order(6, "order.shipped", "1.c"),
		sale(8, flashgate.EventSoldOut, "late", 9), sale(7, flashgate.EventRestocked, "late", 5),
		sale(9, flashgate.EventSoldOut, "more", 9), sale(10, flashgate.EventRestocked, "more", 10),
	}
	publish := func(es ...flashgate.Event) {
		t.Helper()
		eventually(t, "the events are sent", func() bool { return p.PublishEvents(t.Context(), es) == nil })
	}
	publish(es...)
	ch := channel(t, broker)
	for _, text := range []string{"{", `{"id":11,"kind":"order.paid","sale":"1"}`, `{"kind":"sale.sold_out","sale":"1"}`} {
		must(t, ch.PublishWithContext(t.Context(), prefix+".events", "order.paid", true, false, amqp.Publishing{MessageId: "bad", Body: []byte(text)}))
	}
	must(t, ch.PublishWithContext(t.Context(), prefix+".events", "order.placed", true, false, amqp.Publishing{
		Body: fmt.Appendf(nil, `{"id":12,"kind":"order.placed","sale":"1","order":"1.d","user":"u","price":990,"units":1,"seq":1,"at":%q}`, time.Now().Format(time.RFC3339)),
	}))
	publish(es...)
	publish(order(13, flashgate.EventRejected, "1.e"))
	eventually(t, "the last event is handled", func() bool { return x.out.count("13 order.rejected") == 1 })
	must(t, x.Stop(10*time.Second))

	if got, want := states(t, x.read(t), "SELECT id, state FROM orders"), map[string]string{
		"1.a": "paid", "1.b": "cancelled", "1.c": "placed", "1.d": "placed", "1.e": "rejected",
	}; !maps.Equal(got, want) {
		t.Errorf("the orders are %v, want %v", got, want)
	}
	if got, want := states(t, x.read(t), "SELECT id, sold_out FROM sales"), map[string]string{"late": "1", "more": "0"}; !maps.Equal(got, want) {
		t.Errorf("the sales that are sold out: %v, want %v", got, want)
	}
	if n := x.handled(t); n != len(es)+2 {
		t.Errorf("%d events were handled, want %d", n, len(es)+2)
	}
	if n := x.out.count("again, dropped"); n != len(es) {
		t.Errorf("%d repeats were dropped, want %d", n, len(es))
	}
	if n := x.out.count(`message "bad" cannot be read`); n != 3 {
		t.Errorf("%d unreadable messages were told of, want 3", n)
	}
	eventually(t, "its queue is empty", func() bool {
		q, err := ch.QueueDeclarePassive(prefix+".example", true, false, false, false, nil)
		return err == nil && q.Messages == 0
	})
}
