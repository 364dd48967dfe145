package rabbitmq_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/rabbitmq"
	"flashgate/internal/servers/serverstest"
)

// traffic publishes from several goroutines, and consumes, until it is stopped.
type traffic struct {
	publisher *rabbitmq.Publisher
	consumer  *rabbitmq.Consumer
	stop      context.CancelFunc
	wg        sync.WaitGroup
	ok        atomic.Int64 // publishes confirmed so far
	came      atomic.Int64 // deliveries so far

	mu        sync.Mutex
	confirmed map[flashgate.OrderID]bool
	consumed  map[flashgate.OrderID]bool
	codes     map[flashgate.Code]int
	slowest   time.Duration
}

func startTraffic(t *testing.T, cfg rabbitmq.Config) *traffic {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r := &traffic{
		publisher: openPublisher(t, cfg), consumer: openConsumer(t, cfg), stop: stop,
		confirmed: map[flashgate.OrderID]bool{}, consumed: map[flashgate.OrderID]bool{}, codes: map[flashgate.Code]int{},
	}
	for range 8 {
		r.wg.Go(func() { r.publish(ctx) })
	}
	r.wg.Go(func() { r.consume(t, ctx) })
	return r
}

func (r *traffic) publish(ctx context.Context) {
	sale := newSale()
	pause := time.NewTicker(5 * time.Millisecond)
	defer pause.Stop()
	for ctx.Err() == nil {
		m := message(sale)
		begin := time.Now()
		err := r.publisher.Publish(context.WithoutCancel(ctx), m)
		r.mu.Lock()
		r.slowest = max(r.slowest, time.Since(begin))
		if err == nil {
			r.confirmed[m.Reservations[0].Order] = true
			r.ok.Add(1)
		}
		r.codes[flashgate.ErrorCode(err)]++
		r.mu.Unlock()
		<-pause.C
	}
}

func (r *traffic) consume(t *testing.T, ctx context.Context) {
	for {
		ds, err := r.consumer.Receive(ctx, 64)
		if err != nil {
			if ctx.Err() == nil {
				t.Errorf("Receive ends before its context: %v", err)
			}
			return
		}
		r.note(t, ds)
		// An error is allowed here: they come again.
		_ = r.consumer.Ack(ctx, ds)
	}
}

func (r *traffic) note(t *testing.T, ds []flashgate.Delivery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range ds {
		r.consumed[order(t, d)] = true
		r.came.Add(1)
	}
}

// flows waits until messages pass again from end to end.
func (r *traffic) flows(t *testing.T, when string) {
	t.Helper()
	ok, came := r.ok.Load(), r.came.Load()
	eventually(t, when, func() bool { return r.ok.Load() > ok+100 && r.came.Load() > came+100 })
}

// settle stops publishing and consumes what is left; then nothing confirmed may miss.
func (r *traffic) settle(t *testing.T) {
	t.Helper()
	r.stop()
	r.wg.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	missing := func() (n int) {
		for id := range r.confirmed {
			if !r.consumed[id] {
				n++
			}
		}
		return n
	}
	for missing() > 0 {
		ds, err := r.consumer.Receive(ctx, 64)
		if err != nil {
			t.Fatalf("%d of %d confirmed messages are lost: %v", missing(), len(r.confirmed), err)
		}
		r.note(t, ds)
		ack(t, r.consumer, ds...)
	}
	for code := range r.codes {
		if !slices.Contains([]flashgate.Code{"", flashgate.CodeUnavailable, flashgate.CodeUnknownOutcome}, code) {
			t.Errorf("Publish gave code %s", code)
		}
	}
	if limit := flashgate.PublishWindow + 500*time.Millisecond; r.slowest > limit {
		t.Errorf("a publish took %v, at most %v are allowed", r.slowest, limit)
	}
	t.Logf("%d confirmed, answers by code: %v, slowest %v", len(r.confirmed), r.codes, r.slowest)
}

// The broker stops in good order and is killed under publishers and a consumer: no
// confirmed message is lost, and both come back by themselves.
func TestBrokerRestarts(t *testing.T) {
	t.Parallel()
	broker := serverstest.OwnRabbitMQ(t)
	r := startTraffic(t, own(t, broker.URL()))
	r.flows(t, "messages pass at first")
	for name, end := range map[string]func() error{"stopped": broker.Stop, "killed": broker.Kill} {
		if err := end(); err != nil {
			t.Fatal(err)
		}
		eventually(t, name+": Check says that it is away", func() bool { return r.publisher.Check(t.Context()) != nil && r.consumer.Check(t.Context()) != nil })
		begin := time.Now()
		wantCode(t, r.publisher.Publish(t.Context(), message(newSale())), flashgate.CodeUnavailable, "Publish while the broker is "+name)
		if took := time.Since(begin); took > 500*time.Millisecond {
			t.Errorf("%s: Publish took %v to fail", name, took)
		}
		if err := broker.Start(); err != nil {
			t.Fatal(err)
		}
		r.flows(t, name+": messages pass again")
	}
	r.settle(t)
}
