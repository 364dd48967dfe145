package main_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"maps"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"flashgate"
	"flashgate/internal/servers"
)

// body is an event with all the members that version 1 has, and no other.
type body struct {
	ID    uint64              `json:"id"`
	Kind  flashgate.EventKind `json:"kind"`
	Sale  flashgate.SaleID    `json:"sale"`
	Order flashgate.OrderID   `json:"order"`
	User  flashgate.UserID    `json:"user"`
	Units int64               `json:"units"`
	Seq   uint64              `json:"seq"`
	At    time.Time           `json:"at"`
}

// Customers buy, pay, cancel and let orders expire, while the example is killed again
// and again, the broker once, and the worker's commits are lost after it has sent
// events. In the end the example has handled every event, each once.
func TestNothingIsMissedOrHandledTwice(t *testing.T) {
	s := openShop(t)
	x := newExample(t, s.broker.URL())
	must(t, x.Launch())
	eventually(t, "the example waits for events", func() bool { return x.out.count("waiting for events") > 0 })
	witness(t, s.broker)
	s.work(t)
	s.work(t)
	plenty, scarce := s.newSale(t, 100_000), s.newSale(t, 10)

	selling, end := context.WithCancel(t.Context())
	defer end()
	var sold atomic.Int64
	var restocked int64
	var rest sync.WaitGroup
	defer rest.Wait()
	for _, sale := range []flashgate.SaleID{plenty, scarce} {
		rest.Go(func() { s.buys(selling, sale, &sold) })
	}
	rest.Go(func() {
		for pause(selling, 2*time.Second); selling.Err() == nil; pause(selling, 2*time.Second) {
			if _, err := s.database.ChangeSale(context.WithoutCancel(selling), scarce, flashgate.SaleChange{Restock: 2}); err != nil {
				t.Error(err)
			}
			restocked++
		}
	})

	const kills = 8
	for i := range kills {
		x.works(t)
		pause(t.Context(), upTo(300*time.Millisecond))
		must(t, x.Kill())
		pause(t.Context(), upTo(500*time.Millisecond)) // events wait in its queue
		must(t, x.Launch())
		if i == kills/2 {
			x.works(t)
			must(t, s.broker.Kill())
			must(t, s.broker.Start())
		}
	}
	x.works(t)
	end()
	rest.Wait()
	s.rests(t, plenty, scarce)

	events, copies := s.witnessed(t)
	if len(events) == copies {
		t.Error("no event was sent twice: nothing was to be deduplicated")
	}
	eventually(t, "the example has handled every event", func() bool { return x.handled(t) >= len(events) })
	must(t, x.Stop(10*time.Second))
	again := x.out.count("again, dropped")
	t.Logf("%d orders, %d events in %d messages, %d kills of the example, %d repeats dropped by it", sold.Load(), len(events), copies, kills, again)
	if again == 0 {
		t.Error("the example has dropped no repeat")
	}
	s.tellsTheTruth(t, events, restocked)
	x.hasHandled(t, events)
	x.knowsTheOrders(t, s.plain)
}

// witness declares a queue that gets all that the example gets, and nobody empties.
func witness(t *testing.T, broker *servers.RabbitMQ) {
	t.Helper()
	ch := channel(t, broker)
	_, err := ch.QueueDeclare("witness", true, false, false, false, amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeQuorum})
	must(t, err)
	must(t, ch.QueueBind("witness", "#", "flashgate.events", false, nil))
}

func channel(t *testing.T, broker *servers.RabbitMQ) *amqp.Channel {
	t.Helper()
	conn, err := amqp.Dial(broker.URL())
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	ch, err := conn.Channel()
	must(t, err)
	return ch
}

// rests waits until all orders are what they stay and all events are sent.
func (s *shop) rests(t *testing.T, sales ...flashgate.SaleID) {
	t.Helper()
	eventually(t, "nothing is held, nothing unpaid, nothing unsent", func() bool {
		for _, sale := range sales {
			v, err := s.gate.View(t.Context(), sale)
			if err != nil || !v.Open || v.Held != 0 {
				return false
			}
		}
		var pending, unsent int
		must(t, s.plain.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM orders WHERE status = 'pending'").Scan(&pending))
		must(t, s.plain.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM event").Scan(&unsent))
		return pending == 0 && unsent == 0
	})
}

// witnessed empties the witness' queue. Every message must be what the page and the
// schema say; copies of an event must be the same.
func (s *shop) witnessed(t *testing.T) (events map[uint64]body, messages int) {
	t.Helper()
	ch := channel(t, s.broker)
	schema := openSchema(t)
	events = map[uint64]body{}
	bodies := map[uint64][]byte{}
	for {
		d, ok, err := ch.Get("witness", true)
		must(t, err)
		if !ok {
			return events, messages
		}
		messages++
		if err := validate(schema, string(d.Body)); err != nil {
			t.Errorf("%s\n%v", d.Body, err)
		}
		var e body
		strict := json.NewDecoder(bytes.NewReader(d.Body))
		strict.DisallowUnknownFields()
		must(t, strict.Decode(&e))
		maps.DeleteFunc(d.Headers, func(name string, _ any) bool { return strings.HasPrefix(name, "x-") }) // the broker's own
		if d.Exchange != "flashgate.events" || d.RoutingKey != string(e.Kind) || d.Type != string(e.Kind) || d.MessageId != strconv.FormatUint(e.ID, 10) ||
			d.ContentType != "application/json" || d.DeliveryMode != amqp.Persistent || d.AppId != "flashgate" || d.Timestamp.Unix() != e.At.Unix() || len(d.Headers) != 0 {
			t.Errorf("event %+v has the properties %+v", e, d)
		}
		if before, seen := bodies[e.ID]; seen && !bytes.Equal(before, d.Body) {
			t.Errorf("event %d came as\n%s\nand as\n%s", e.ID, before, d.Body)
		}
		bodies[e.ID], events[e.ID] = d.Body, e
	}
}

// tellsTheTruth holds the events against the database: each order has exactly those of
// its way.
func (s *shop) tellsTheTruth(t *testing.T, events map[uint64]body, restocked int64) {
	t.Helper()
	told := map[flashgate.OrderID]map[flashgate.EventKind]int{}
	kinds := map[flashgate.EventKind]int64{}
	for _, e := range events {
		kinds[e.Kind]++
		if e.Order == "" {
			continue
		}
		if told[e.Order] == nil {
			told[e.Order] = map[flashgate.EventKind]int{}
		}
		told[e.Order][e.Kind]++
		if e.Order.Sale() != e.Sale || e.Units != 1 {
			t.Errorf("event %+v", e)
		}
	}
	for _, kind := range []flashgate.EventKind{flashgate.EventPlaced, flashgate.EventPaid, flashgate.EventCancelled, flashgate.EventRejected,
		flashgate.EventSoldOut, flashgate.EventRestocked} {
		if kinds[kind] == 0 {
			t.Errorf("there was no %s", kind)
		}
	}
	if len(kinds) != 6 || kinds[flashgate.EventRestocked] != restocked {
		t.Errorf("%v, with %d restocks", kinds, restocked)
	}
	want := map[string]map[flashgate.EventKind]int{
		"paid":      {flashgate.EventPlaced: 1, flashgate.EventPaid: 1},
		"cancelled": {flashgate.EventPlaced: 1, flashgate.EventCancelled: 1},
		"rejected":  {flashgate.EventRejected: 1},
	}
	rows := states(t, s.plain, "SELECT id, status FROM orders")
	for id, status := range rows {
		if !maps.Equal(told[flashgate.OrderID(id)], want[status]) {
			t.Errorf("order %s is %s, its events are %v", id, status, told[flashgate.OrderID(id)])
		}
	}
	if len(rows) != len(told) {
		t.Errorf("%d orders, events of %d", len(rows), len(told))
	}
}

// hasHandled: the same events, and each once.
func (x *example) hasHandled(t *testing.T, events map[uint64]body) {
	t.Helper()
	db := x.read(t)
	kinds := map[string]int{}
	for id, e := range events {
		var n int
		must(t, db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM handled WHERE id = ?", id).Scan(&n))
		if n != 1 {
			t.Errorf("missed: %+v", e)
		}
		kinds[string(e.Kind)]++
	}
	if n := x.handled(t); n != len(events) {
		t.Errorf("%d events were handled of %d", n, len(events))
	}
	counted := map[string]int{}
	for kind, n := range states(t, db, "SELECT kind, n FROM counts") {
		counted[kind], _ = strconv.Atoi(n)
	}
	if !maps.Equal(counted, kinds) {
		t.Errorf("the work was done %v times, the events are %v", counted, kinds)
	}
}

// knowsTheOrders: what it has made of the events is what the shop has.
func (x *example) knowsTheOrders(t *testing.T, shop *sql.DB) {
	t.Helper()
	got, want := states(t, x.read(t), "SELECT id, state FROM orders"), states(t, shop, "SELECT id, status FROM orders")
	if !maps.Equal(got, want) {
		t.Errorf("the example knows %d orders, the shop %d, or their states differ", len(got), len(want))
	}
}

// states reads two columns.
func states(t *testing.T, db *sql.DB, query string) map[string]string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	must(t, err)
	defer rows.Close()
	out := map[string]string{}
	for rows.Next() {
		var id, state string
		must(t, rows.Scan(&id, &state))
		out[id] = state
	}
	must(t, rows.Err())
	return out
}
