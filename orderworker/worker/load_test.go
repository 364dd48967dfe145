package worker_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/rabbitmq"
	"flashgate/internal/servers/serverstest"
	"flashgate/orderworker/worker"
)

// load is a rig whose queue holds orders before a worker comes.
type load struct {
	*gateRig
	sales []flashgate.SaleID
	sold  int // orders of each sale
}

// loadUnits is what each sale of a load has, which is more than it sells.
const loadUnits = 1_000_000

// newLoad opens sales, reserves orders of each, and publishes them in messages of parts.
func newLoad(b testing.TB, sales, orders, parts int) *load {
	b.Helper()
	amqp := queueOfItsOwn(b)
	amqp.Queues = rabbitmq.DefaultQueues
	l := &load{gateRig: newGateRigOn(b, serverstest.Redis(b), serverstest.Database(b), amqp), sold: orders}
	opener := l.work(production)
	for range sales {
		l.sales = append(l.sales, l.newSale(loadUnits))
	}
	for _, id := range l.sales {
		l.opens(id, 2)
	}
	opener.stop()
	messages := make(chan flashgate.Message)
	var publishing sync.WaitGroup
	for range 64 {
		publishing.Go(func() {
			for m := range messages {
				if err := l.publisher.Publish(context.Background(), m); err != nil {
					b.Errorf("Publish: %v", err)
				}
			}
		})
	}
	for sent := 0; sent < orders; sent += flashgate.MaxMessageReservations {
		for _, id := range l.sales {
			rs := l.reserveMany(id, sent, min(flashgate.MaxMessageReservations, orders-sent))
			for ; len(rs) > 0; rs = rs[min(parts, len(rs)):] {
				messages <- flashgate.NewMessage(id, 2, rs[:min(parts, len(rs))]...)
			}
		}
	}
	close(messages)
	publishing.Wait()
	return l
}

// production is a worker as the command starts it.
func production(c *worker.Config) {
	c.Keys, c.Gate.Window, c.Gate.Bound = keys, flashgate.PublishWindow, loadUnits
}

// reserveMany holds one unit for each of n users, as if all had been published.
func (l *load) reserveMany(id flashgate.SaleID, first, n int) []flashgate.Reservation {
	l.t.Helper()
	rs := make([]flashgate.Reservation, n)
	ids := make([]flashgate.OrderID, n)
	for i := range rs {
		user := fmt.Sprintf("%d", 13_800_000_000+first+i)
		_, ids[i] = keys.Mint(flashgate.Claim{Sale: string(id), User: user}, time.Now().Add(time.Minute))
		rs[i] = flashgate.Reservation{Order: ids[i], User: flashgate.UserID(user), Units: 1, At: time.Now().UnixMilli()}
	}
	if _, err := l.gate.Reserve(l.t.Context(), id, rs); err != nil {
		l.t.Fatal(err)
	}
	if err := l.gate.Published(l.t.Context(), id, ids); err != nil {
		l.t.Fatal(err)
	}
	return rs
}

// run starts a worker and returns how long it took from its first delivery until all
// orders were rows, acked and applied.
func (l *load) run() time.Duration {
	l.t.Helper()
	var c *counting
	w := l.work(func(cfg *worker.Config) {
		production(cfg)
		c = &counting{Consumer: cfg.Consumer.(*rabbitmq.Consumer), left: len(l.sales) * l.sold, done: make(chan struct{})}
		cfg.Consumer = c
	})
	defer w.stop()
	select {
	case <-c.done:
	case <-time.After(2 * time.Minute):
		l.t.Fatal("not everything was acked")
	}
	l.eventually("everything is applied", l.allApplied)
	return time.Since(c.first)
}

// counting is a Consumer that sees the first delivery come, and the last order acked.
type counting struct {
	*rabbitmq.Consumer

	mu    sync.Mutex
	first time.Time
	left  int
	done  chan struct{} // closed when none is left
}

func (c *counting) Receive(ctx context.Context, max int) ([]flashgate.Delivery, error) {
	ds, err := c.Consumer.Receive(ctx, max)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first.IsZero() && len(ds) > 0 {
		c.first = time.Now()
	}
	return ds, err
}

func (c *counting) Ack(ctx context.Context, ds []flashgate.Delivery) error {
	err := c.Consumer.Ack(ctx, ds)
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.left
	for _, d := range ds {
		c.left -= bytes.Count(d.Body, []byte(`"order":`))
	}
	if before > 0 && c.left <= 0 {
		close(c.done)
	}
	return err
}

// allApplied reports whether the gate holds nothing.
func (l *load) allApplied() bool {
	for _, id := range l.sales {
		if v := l.view(id); !v.Open || v.Held != 0 || v.Free != loadUnits-int64(l.sold) {
			return false
		}
	}
	return true
}

// check fails if a sale has other sums than it ought to have.
func (l *load) check() {
	l.t.Helper()
	for _, id := range l.sales {
		s, err := l.database.Sale(l.t.Context(), id)
		if err != nil || s.StockLeft != loadUnits-int64(l.sold) {
			l.t.Fatalf("sale %s: %+v, %v; want %d sold", id, s, err, l.sold)
		}
	}
}
