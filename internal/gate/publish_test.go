package gate_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"flashgate"
	"flashgate/internal/gate"
)

// slowQueue confirms when it is told to.
type slowQueue struct {
	got     chan flashgate.Message
	confirm chan error
}

func (q *slowQueue) Publish(ctx context.Context, m flashgate.Message) error {
	q.got <- m
	select {
	case err := <-q.confirm:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func newSlowQueue() *slowQueue {
	return &slowQueue{got: make(chan flashgate.Message, 100), confirm: make(chan error)}
}

var toPublish = all(flashgate.Reserved{Outcome: flashgate.OutcomePublish, Epoch: 1})

// Batches are reserved while earlier ones wait for their confirms, but not without
// bound: then the next gathers.
func TestConfirmsAreAwaitedBesideTheNextReserve(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newSlowQueue()
		g := gate.New(gate.Config{Backend: backend{stock: &stock{answer: toPublish}, publisher: q}})
		var waiting []<-chan result
		for i := range gate.MaxPublishing + 3 {
			waiting = append(waiting, reserve(t.Context(), g, reservation("1", fmt.Sprint("u", i))))
			synctest.Wait()
		}
		if n := len(q.got); n != gate.MaxPublishing {
			t.Fatalf("%d messages in flight, want %d", n, gate.MaxPublishing)
		}
		for range gate.MaxPublishing {
			if m := <-q.got; len(m.Reservations) != 1 {
				t.Errorf("a message of %d", len(m.Reservations))
			}
		}
		q.confirm <- nil
		if m := <-q.got; len(m.Reservations) != 3 {
			t.Errorf("a message of %d, want the three that gathered", len(m.Reservations))
		}
		for range gate.MaxPublishing {
			q.confirm <- nil
		}
		for _, w := range waiting {
			if r := <-w; r.err != nil || r.got.Outcome != flashgate.OutcomeAccepted {
				t.Errorf("%+v", r)
			}
		}
		synctest.Wait() // nobody is left, or the bubble fails
	})
}

// Reserve and confirm together take no longer than the window: after it the relay may
// publish.
func TestTheWindowIsTheBatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newSlowQueue()
		s := &stock{resume: make(chan struct{}), answer: toPublish, out: make(chan []flashgate.OrderID, 1)}
		g := gate.New(gate.Config{Backend: backend{stock: s, publisher: q}})
		start := time.Now()
		r := reservation("1", "u")
		answer := reserve(t.Context(), g, r)
		pass(flashgate.PublishWindow / 2)
		s.resume <- struct{}{}
		got := <-answer
		if e, ok := errors.AsType[*flashgate.Error](got.err); !ok || e.Code != flashgate.CodeUnknownOutcome || e.Order != r.Order {
			t.Errorf("without a confirm: %v", got.err)
		}
		if d := time.Since(start); d != flashgate.PublishWindow {
			t.Errorf("it took %s", d)
		}
		synctest.Wait()
		if len(s.out) != 0 {
			t.Error("it left the outbox without a confirm")
		}
	})
}

// Nobody waits for the outbox.
func TestTheAnswerComesBeforeTheOutbox(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &stock{answer: toPublish, out: make(chan []flashgate.OrderID)}
		g := gate.New(gate.Config{Backend: backend{stock: s, publisher: publisher(func(context.Context, flashgate.Message) error { return nil })}})
		r := reservation("1", "u")
		if got, err := g.Reserve(t.Context(), r); err != nil || got.Outcome != flashgate.OutcomeAccepted {
			t.Errorf("Reserve = %+v, %v", got, err)
		}
		if ids := <-s.out; len(ids) != 1 || ids[0] != r.Order {
			t.Errorf("out of the outbox: %v", ids)
		}
	})
}

// A sold-out answer does not wait for its neighbour's confirm.
func TestRefusalsDoNotWaitForAConfirm(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newSlowQueue()
		s := &stock{enter: make(chan []flashgate.Reservation, 10), resume: make(chan struct{}), answer: func(rs []flashgate.Reservation) ([]flashgate.Reserved, error) {
			out := make([]flashgate.Reserved, len(rs))
			for i := range out {
				out[i].Outcome = flashgate.OutcomeSoldOut
			}
			out[0].Outcome = flashgate.OutcomePublish
			return out, nil
		}}
		g := gate.New(gate.Config{Backend: backend{stock: s, publisher: q}})
		first := reserve(t.Context(), g, reservation("1", "first"))
		<-s.enter
		second := reserve(t.Context(), g, reservation("1", "second"))
		synctest.Wait()
		third := reserve(t.Context(), g, reservation("1", "third"))
		synctest.Wait()
		s.resume <- struct{}{}
		s.resume <- struct{}{}
		if r := <-third; r.err != nil || r.got.Outcome != flashgate.OutcomeSoldOut {
			t.Errorf("%+v", r)
		}
		q.confirm <- nil
		q.confirm <- nil
		for _, w := range []<-chan result{first, second} {
			if r := <-w; r.err != nil || r.got.Outcome != flashgate.OutcomeAccepted {
				t.Errorf("%+v", r)
			}
		}
	})
}

func TestTheBoundIsOverAllGatesThatShareIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &stock{resume: make(chan struct{}), answer: all(flashgate.Reserved{Outcome: flashgate.OutcomeAccepted})}
		var waiting gate.Waiting
		one := gate.New(gate.Config{Backend: backend{stock: s}, MaxWaiting: 1, Waiting: &waiting})
		two := gate.New(gate.Config{Backend: backend{stock: s}, MaxWaiting: 1, Waiting: &waiting})
		first := reserve(t.Context(), one, reservation("1", "a"))
		synctest.Wait()
		if _, err := two.Reserve(t.Context(), reservation("1", "b")); flashgate.ErrorCode(err) != flashgate.CodeUnavailable {
			t.Errorf("past the bound: %v", err)
		}
		s.resume <- struct{}{}
		<-first
		second := reserve(t.Context(), two, reservation("1", "b"))
		s.resume <- struct{}{}
		if r := <-second; r.err != nil {
			t.Errorf("after the first: %v", r.err)
		}
	})
}

// The longest names, each character escaped, times the largest batch.
func TestTheLargestBatchFitsIntoAMessage(t *testing.T) {
	t.Parallel()
	sale := strings.Repeat("s", 32)
	rs := make([]flashgate.Reservation, gate.MaxBatch)
	for i := range rs {
		rs[i] = reservation(sale, strings.Repeat(`"`, 128))
		rs[i].Units, rs[i].At = flashgate.MaxUnits, math.MaxInt64
	}
	body, err := flashgate.EncodeMessage(flashgate.NewMessage(flashgate.SaleID(sale), math.MaxUint64, rs...))
	if err != nil || len(body) > flashgate.MaxMessageBytes/2 {
		t.Errorf("%d bytes, %v", len(body), err)
	}
}

// What was confirmed leaves the outbox with the next batch, or by itself when none comes.
func TestPublishedLeavesTheOutbox(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &carrier{stock: stock{answer: toPublish, out: make(chan []flashgate.OrderID, 10)}}
		g := gate.New(gate.Config{Backend: backend{stock: s, publisher: publisher(func(context.Context, flashgate.Message) error { return nil })}})
		first, second := reservation("1", "u"), reservation("1", "v")
		for _, r := range []flashgate.Reservation{first, second} {
			if _, err := g.Reserve(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if len(s.carried) != 1 || s.carried[0] != first.Order || len(s.out) != 0 {
			t.Errorf("with the second went %v; %d calls of its own", s.carried, len(s.out))
		}
		pass(time.Second)
		synctest.Wait()
		if ids := <-s.out; len(ids) != 1 || ids[0] != second.Order || len(s.out) != 0 {
			t.Errorf("by itself went %v", ids)
		}
	})
}

// carrier keeps what travels with a batch.
type carrier struct {
	stock
	carried []flashgate.OrderID
}

func (c *carrier) ReserveAfter(ctx context.Context, sale flashgate.SaleID, published []flashgate.OrderID, rs []flashgate.Reservation) ([]flashgate.Reserved, error) {
	c.carried = append(c.carried, published...)
	return c.Reserve(ctx, sale, rs)
}

// The time for a batch that did not come is over when another lane of the sale is there:
// that one stays the only one.
func TestALateClearingLeavesTheLaneAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		answer := toPublish
		s := &carrier{stock: stock{out: make(chan []flashgate.OrderID, 10), enter: make(chan []flashgate.Reservation, 10), resume: make(chan struct{}, 10)}}
		s.answer = func(rs []flashgate.Reservation) ([]flashgate.Reserved, error) { return answer(rs) }
		g := gate.New(gate.Config{Backend: backend{stock: s, publisher: publisher(func(context.Context, flashgate.Message) error { return nil })}})
		s.resume <- struct{}{}
		if _, err := g.Reserve(t.Context(), reservation("1", "published")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		answer = all(flashgate.Reserved{Outcome: flashgate.OutcomeAlreadyBought})
		s.resume <- struct{}{}
		if _, err := g.Reserve(t.Context(), reservation("1", "along")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the lane is gone, and its time is not over
		held := reserve(t.Context(), g, reservation("1", "held"))
		pass(time.Second)
		synctest.Wait()
		next := reserve(t.Context(), g, reservation("1", "next"))
		synctest.Wait()
		if n := len(s.enter); n != 3 {
			t.Errorf("%d calls were made, want 3: the next one waits for the one that is held", n)
		}
		s.resume <- struct{}{}
		s.resume <- struct{}{}
		<-held
		<-next
	})
}
