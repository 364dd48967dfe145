package rabbitmq_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"flashgate"
	"flashgate/internal/rabbitmq"
	"flashgate/internal/servers/serverstest"
)

// Of two consumers one gets a queue. When it is gone the other gets what was unacked,
// in order, before the rest.
func TestTakeover(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	cfg.Prefetch = 10
	p, first, second := openPublisher(t, cfg), openConsumer(t, cfg), openConsumer(t, cfg)
	if err := first.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := second.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	sale := newSale()
	var ms []flashgate.Message
	for range 30 {
		ms = append(ms, message(sale))
	}
	publish(t, p, ms...)
	ds := receive(t, first, 8)
	wantOrders(t, ds, ms[:8], "the active consumer")
	wantNothing(t, second, "beside the active consumer")
	ack(t, first, ds[:3]...)
	ack(t, first, ds[4])
	eventually(t, "the broker knows the acks", func() bool { return rabbitmq.Unacked(first) == 10 }) // 14 sent, 4 acked
	closed(t, first)
	left := slices.Concat(ms[3:4], ms[5:])
	var got []flashgate.Delivery
	for len(got) < len(left) {
		ds := receive(t, second, 1)
		ack(t, second, ds...)
		got = append(got, ds...)
	}
	wantOrders(t, got, left, "after the takeover")
	if got[0].Attempts != 1 || got[25].Attempts != 0 {
		t.Errorf("attempts are %d and %d, want 1 for what had been sent to the first and 0 for the last", got[0].Attempts, got[25].Attempts)
	}
	wantNothing(t, second, "all are acked")
}

// What fails too often comes once more, from the dead queue, with attempts that no
// order queue allows.
func TestDeadQueue(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	cfg.DeliveryLimit = 3
	p, c := openPublisher(t, cfg), openConsumer(t, cfg)
	m, next := message(newSale()), message(newSale())
	publish(t, p, m)
	for attempt := range cfg.DeliveryLimit + 1 {
		ds := receive(t, c, 1)
		wantOrders(t, ds, []flashgate.Message{m}, "returned")
		if ds[0].Attempts != attempt {
			t.Errorf("attempts are %d, want %d", ds[0].Attempts, attempt)
		}
		if err := c.Return(t.Context(), ds); err != nil {
			t.Fatal(err)
		}
	}
	for attempt := range 3 {
		ds := receive(t, c, 1)
		wantOrders(t, ds, []flashgate.Message{m}, "from the dead queue")
		if want := rabbitmq.DeadAttempts + attempt; ds[0].Attempts != want {
			t.Errorf("attempts are %d, want %d", ds[0].Attempts, want)
		}
		if attempt < 2 {
			if err := c.Return(t.Context(), ds); err != nil {
				t.Fatal(err)
			}
			continue
		}
		ack(t, c, ds...)
	}
	publish(t, p, next)
	wantOrders(t, receive(t, c, 1), []flashgate.Message{next}, "after the dead one")
	wantNothing(t, c, "the dead one is acked")
}

// Acks in any order and overlapping remove exactly what they name.
func TestAckAnyOrder(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	p, c := openPublisher(t, cfg), openConsumer(t, cfg)
	sales := []flashgate.SaleID{newSale(), newSale(), newSale()}
	var ms []flashgate.Message
	for i := range 120 {
		ms = append(ms, message(sales[i%3]))
	}
	publish(t, p, ms...)
	ds := receive(t, c, len(ms))
	keep := map[flashgate.OrderID]bool{}
	var wg sync.WaitGroup
	for g := range 8 {
		var mine []flashgate.Delivery
		for i, d := range ds {
			switch {
			case i%10 == 9:
				keep[order(t, d)] = true
			case i%8 == g:
				mine = append(mine, d)
			}
		}
		slices.Reverse(mine)
		wg.Go(func() {
			for part := range slices.Chunk(mine, 4) {
				if err := c.Ack(t.Context(), part); err != nil {
					t.Errorf("Ack: %v", err)
				}
			}
			if err := c.Ack(t.Context(), mine); err != nil { // again
				t.Errorf("Ack: %v", err)
			}
		})
	}
	wg.Wait()
	// The broker gives no receipt for an ack, and loses what it has not passed on to the
	// queue when the connection ends.
	broker := serverstest.RabbitMQ(t)
	eventually(t, "the acks are with the queues", func() bool {
		out, err := broker.Ctl("list_queues", "--no-table-headers", "name", "messages")
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for line := range strings.Lines(out) {
			if name, count, _ := strings.Cut(strings.TrimSpace(line), "\t"); strings.HasPrefix(name, cfg.Prefix+".orders.") {
				k, err := strconv.Atoi(count)
				if err != nil {
					t.Fatalf("%q: %v", line, err)
				}
				n += k
			}
		}
		return n == len(keep)
	})
	closed(t, c)
	c = openConsumer(t, cfg)
	for range len(keep) {
		d := receive(t, c, 1)[0]
		if !keep[order(t, d)] {
			t.Errorf("%s was acked and comes again", order(t, d))
		}
		delete(keep, order(t, d))
		ack(t, c, d)
	}
	if len(keep) != 0 {
		t.Errorf("%d messages are lost that nobody acked", len(keep))
	}
	wantNothing(t, c, "all are acked")
}

// Of receivers that wait, none sleeps on while there is something for it.
func TestWaitingReceivers(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	p, c := openPublisher(t, cfg), openConsumer(t, cfg)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	sale := newSale()
	for range 50 {
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				ds, err := c.Receive(ctx, 1)
				if err != nil || len(ds) != 1 {
					t.Errorf("Receive gave %d, error %v", len(ds), err)
				}
				if err := c.Ack(t.Context(), ds); err != nil {
					t.Errorf("Ack: %v", err)
				}
			})
			wg.Go(func() {
				if err := p.Publish(t.Context(), message(sale)); err != nil {
					t.Errorf("Publish: %v", err)
				}
			})
		}
		wg.Wait()
		if t.Failed() {
			return
		}
	}
}

// Several receivers share the work.
func TestManyReceivers(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	p, c := openPublisher(t, cfg), openConsumer(t, cfg)
	const total = 400
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var mu sync.Mutex
	seen := map[flashgate.OrderID]bool{}
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for {
				ds, err := c.Receive(ctx, 3)
				if err != nil {
					return
				}
				mu.Lock()
				for _, d := range ds {
					seen[order(t, d)] = true
				}
				n := len(seen)
				mu.Unlock()
				if err := c.Ack(t.Context(), ds); err != nil {
					t.Errorf("Ack: %v", err)
				}
				if n == total {
					cancel()
				}
			}
		})
	}
	for range 4 {
		wg.Go(func() {
			sale := newSale()
			for range total / 4 {
				if err := p.Publish(t.Context(), message(sale)); err != nil {
					t.Errorf("Publish: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if len(seen) != total {
		t.Errorf("%d of %d came", len(seen), total)
	}
}

// A queue that somebody deletes is made again, and the consumer goes on.
func TestDeletedQueue(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	p, c := openPublisher(t, cfg), openConsumer(t, cfg)
	sale := newSale()
	publish(t, p, message(sale))
	ack(t, c, receive(t, c, 1)...)
	if _, err := channel(t, cfg.URL).QueueDelete(rabbitmq.OrderQueue(p, sale), false, false, false); err != nil {
		t.Fatal(err)
	}
	m := message(sale)
	eventually(t, "publishing again", func() bool { return p.Publish(t.Context(), m) == nil })
	wantOrders(t, receive(t, c, 1), []flashgate.Message{m}, "after the queue was made again")
}
