package conformance

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"flashgate"
)

// QueueFixture is what Queue runs on: an empty queue that nobody else uses.
type QueueFixture struct {
	Publisher flashgate.Publisher
	Consumer  flashgate.Consumer

	// Raw puts a body into the sale's queue as it is, readable or not.
	Raw func(t testing.TB, sale flashgate.SaleID, body []byte)

	// Reopen ends publisher and consumer as a crash would and opens the same queue
	// again. Nil when the queue is not durable.
	Reopen func(t testing.TB) QueueFixture
}

// Queue is the suite of flashgate.Publisher and flashgate.Consumer.
func Queue(t *testing.T, open func(t *testing.T) QueueFixture) {
	reopens := func(f QueueFixture) bool { return f.Reopen != nil }
	run(t, open, []testCase[QueueFixture]{
		{name: "Delivers", run: queueDelivers},
		{name: "Order", run: queueOrder},
		{name: "AtMostMax", run: queueAtMostMax},
		{name: "Waits", run: queueWaits},
		{name: "HonoursContext", run: queueHonoursContext},
		{name: "InFlight", run: queueInFlight},
		{name: "Ack", run: queueAck},
		{name: "Return", run: queueReturn},
		{name: "LargeMessage", run: queueLargeMessage},
		{name: "RawBody", run: queueRawBody, needs: func(f QueueFixture) bool { return f.Raw != nil }},
		{name: "PublishCancelled", run: queuePublishCancelled},
		{name: "Concurrent", run: queueConcurrent},
		{name: "CrashUndelivered", run: queueCrashUndelivered, needs: reopens},
		{name: "CrashUnacked", run: queueCrashUnacked, needs: reopens},
	})
}

// quiet is how long a queue must give nothing to count as empty.
const quiet = 250 * time.Millisecond

func message(n int) flashgate.Message {
	sale := newSale(1, 1).ID
	return flashgate.NewMessage(sale, 1, reservations(sale, n)...)
}

func publish(t testing.TB, f QueueFixture, ms ...flashgate.Message) {
	t.Helper()
	for _, m := range ms {
		if err := f.Publisher.Publish(t.Context(), m); err != nil {
			t.Fatalf("Publish: %v", err)
		}
	}
}

// receive takes exactly n deliveries, in as many calls as it needs.
func receive(t testing.TB, f QueueFixture, n int) []flashgate.Delivery {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var out []flashgate.Delivery
	for len(out) < n {
		ds, err := f.Consumer.Receive(ctx, n-len(out))
		if err != nil {
			t.Fatalf("Receive: %v, after %d of %d", err, len(out), n)
		}
		if len(ds) == 0 || len(ds) > n-len(out) {
			t.Fatalf("Receive of at most %d gave %d", n-len(out), len(ds))
		}
		out = append(out, ds...)
	}
	return out
}

func ack(t testing.TB, f QueueFixture, ds ...flashgate.Delivery) {
	t.Helper()
	if err := f.Consumer.Ack(t.Context(), ds); err != nil {
		t.Fatalf("Ack: %v", err)
	}
}

// wantEmpty fails the test when anything comes.
func wantEmpty(t testing.TB, f QueueFixture, when string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), quiet)
	defer cancel()
	if ds, err := f.Consumer.Receive(ctx, 100); err == nil {
		t.Errorf("%s: %d deliveries came", when, len(ds))
	}
}

// wantMessages compares deliveries with messages, one by one.
func wantMessages(t testing.TB, ds []flashgate.Delivery, ms []flashgate.Message, what string) {
	t.Helper()
	if len(ds) != len(ms) {
		t.Fatalf("%s: %d deliveries of %d messages", what, len(ds), len(ms))
	}
	for i, d := range ds {
		got, err := flashgate.DecodeMessage(d.Body)
		if err != nil {
			t.Fatalf("%s: delivery %d does not decode: %v", what, i, err)
		}
		if got.Sale != ms[i].Sale || got.Epoch != ms[i].Epoch || got.Fence != ms[i].Fence || !slices.Equal(got.Reservations, ms[i].Reservations) {
			t.Errorf("%s: delivery %d is about sale %s, want %s", what, i, got.Sale, ms[i].Sale)
		}
	}
}

func queueDelivers(t *testing.T, f QueueFixture) {
	m := message(3)
	m.Epoch = 7
	publish(t, f, m)
	ds := receive(t, f, 1)
	wantMessages(t, ds, []flashgate.Message{m}, "one message")
	if ds[0].Attempts != 0 {
		t.Errorf("the first delivery has %d earlier attempts", ds[0].Attempts)
	}
	ack(t, f, ds...)
	wantEmpty(t, f, "after the ack")
}

func queueOrder(t *testing.T, f QueueFixture) {
	sales := []flashgate.SaleID{newSale(1, 1).ID, newSale(1, 1).ID, newSale(1, 1).ID}
	sent := map[flashgate.SaleID][]flashgate.Message{}
	for i := range 30 {
		sale := sales[i%3]
		m := flashgate.NewMessage(sale, 1, reservations(sale, 1)...)
		publish(t, f, m)
		sent[sale] = append(sent[sale], m)
	}
	got := map[flashgate.SaleID][]flashgate.Delivery{}
	for range 6 {
		ds := receive(t, f, 5)
		for _, d := range ds {
			m, err := flashgate.DecodeMessage(d.Body)
			if err != nil {
				t.Fatal(err)
			}
			got[m.Sale] = append(got[m.Sale], d)
		}
		ack(t, f, ds...)
	}
	for sale, ms := range sent {
		wantMessages(t, got[sale], ms, "sale "+string(sale))
	}
}

func queueAtMostMax(t *testing.T, f QueueFixture) {
	sale := newSale(1, 1).ID
	var ms []flashgate.Message
	for range 5 {
		ms = append(ms, flashgate.NewMessage(sale, 1, reservations(sale, 1)...))
	}
	publish(t, f, ms...)
	var all []flashgate.Delivery
	for len(all) < 5 {
		ds, err := f.Consumer.Receive(t.Context(), 2)
		if err != nil || len(ds) == 0 || len(ds) > 2 {
			t.Fatalf("Receive of at most 2 gave %d, error %v", len(ds), err)
		}
		all = append(all, ds...)
	}
	wantMessages(t, all, ms, "in pairs, none acked")
	ack(t, f, all...)
}

// queueWaits: a receiver that came first gets what is published later.
func queueWaits(t *testing.T, f QueueFixture) {
	type result struct {
		ds  []flashgate.Delivery
		err error
	}
	got := make(chan result, 1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	go func() {
		ds, err := f.Consumer.Receive(ctx, 10)
		got <- result{ds, err}
	}()
	elapse(t, 50*time.Millisecond)
	select {
	case r := <-got:
		t.Fatalf("Receive of an empty queue gave %d, error %v", len(r.ds), r.err)
	default:
	}
	m := message(1)
	publish(t, f, m)
	r := <-got
	if r.err != nil {
		t.Fatalf("Receive: %v", r.err)
	}
	wantMessages(t, r.ds, []flashgate.Message{m}, "published while waiting")
	ack(t, f, r.ds...)
}

func queueHonoursContext(t *testing.T, f QueueFixture) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := f.Consumer.Receive(ctx, 10)
		done <- err
	}()
	elapse(t, 50*time.Millisecond)
	cancel()
	select {
	case err := <-done:
		if err == nil {
			t.Error("Receive of an empty queue gave no error when its context ended")
		}
		if !errors.Is(err, context.Canceled) && flashgate.ErrorCode(err) != flashgate.CodeUnavailable {
			t.Errorf("Receive gave %v, want the context's error or code unavailable", err)
		}
	case <-time.After(patience):
		t.Fatal("Receive does not end with its context")
	}
	// What comes afterwards is not lost to the call that has ended.
	m := message(1)
	publish(t, f, m)
	ds := receive(t, f, 1)
	wantMessages(t, ds, []flashgate.Message{m}, "after a Receive that ended")
	ack(t, f, ds...)
}

// queueInFlight: what is out is not given to anybody else.
func queueInFlight(t *testing.T, f QueueFixture) {
	ms := []flashgate.Message{message(1), message(1)}
	publish(t, f, ms...)
	ds := receive(t, f, 2)
	wantEmpty(t, f, "both are in flight")
	ack(t, f, ds[0])
	wantEmpty(t, f, "one is acked, one in flight")
	ack(t, f, ds[1])
}

func queueAck(t *testing.T, f QueueFixture) {
	ms := []flashgate.Message{message(1), message(1), message(1)}
	publish(t, f, ms...)
	ds := receive(t, f, 3)
	ack(t, f, ds[1])
	ack(t, f, ds...) // one of them again
	ack(t, f, ds...) // all of them again
	ack(t, f)
	wantEmpty(t, f, "all are acked")
	publish(t, f, ms[0])
	next := receive(t, f, 1)
	ack(t, f, ds...) // late and stale: hits nobody
	if err := f.Consumer.Return(t.Context(), next); err != nil {
		t.Fatalf("Return: %v", err)
	}
	again := receive(t, f, 1)
	wantMessages(t, again, ms[:1], "after a stale ack")
	ack(t, f, again...)
}

func queueReturn(t *testing.T, f QueueFixture) {
	ms := []flashgate.Message{message(1), message(2)}
	publish(t, f, ms...)
	for attempt := range 4 {
		ds := receive(t, f, 2)
		slices.SortFunc(ds, func(a, b flashgate.Delivery) int { return len(a.Body) - len(b.Body) })
		wantMessages(t, ds, ms, "returned")
		for _, d := range ds {
			if (d.Attempts == 0) != (attempt == 0) || d.Attempts > attempt {
				t.Errorf("after %d returns the delivery has %d earlier attempts", attempt, d.Attempts)
			}
		}
		if attempt == 3 {
			if ds[0].Attempts != 3 {
				t.Errorf("after 3 returns the delivery has %d earlier attempts", ds[0].Attempts)
			}
			ack(t, f, ds...)
			break
		}
		if err := f.Consumer.Return(t.Context(), ds); err != nil {
			t.Fatalf("Return: %v", err)
		}
	}
	wantEmpty(t, f, "acked in the end")
}

// queueLargeMessage has as many reservations as a message carries, by the longest
// user ids.
func queueLargeMessage(t *testing.T, f QueueFixture) {
	sale := newSale(1, 1).ID
	rs := make([]flashgate.Reservation, flashgate.MaxMessageReservations)
	for i := range rs {
		user := newUser()
		rs[i] = reservation(sale, user+flashgate.UserID(strings.Repeat("\\", 128-len(user))), flashgate.MaxUnits)
	}
	m := flashgate.NewMessage(sale, 1<<63, rs...)
	publish(t, f, m)
	ds := receive(t, f, 1)
	wantMessages(t, ds, []flashgate.Message{m}, "large")
	ack(t, f, ds...)
}

// queueRawBody: what does not decode is delivered as it is.
func queueRawBody(t *testing.T, f QueueFixture) {
	sale := newSale(1, 1).ID
	for _, body := range []string{"\x00\xff not a message", "{}"} {
		f.Raw(t, sale, []byte(body))
		ds := receive(t, f, 1)
		if string(ds[0].Body) != body {
			t.Errorf("the body is %q, want %q", ds[0].Body, body)
		}
		ack(t, f, ds...)
	}
	wantEmpty(t, f, "acked")
}

// queuePublishCancelled: an error means unknown, and publishing again is harmless.
func queuePublishCancelled(t *testing.T, f QueueFixture) {
	m := message(1)
	if err := f.Publisher.Publish(cancelled(t), m); err == nil {
		t.Error("Publish with a context that has ended gave no error")
	}
	publish(t, f, m)
	ds := receive(t, f, 1)
	wantMessages(t, ds, []flashgate.Message{m}, "published again")
	ack(t, f, ds...)
}

func queueConcurrent(t *testing.T, f QueueFixture) {
	const publishers, each = 8, 10
	var mu sync.Mutex
	missing := map[flashgate.OrderID]bool{}
	batches := make([][]flashgate.Message, publishers)
	for i := range batches {
		for range each {
			m := message(1)
			batches[i] = append(batches[i], m)
			missing[m.Reservations[0].Order] = true
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tags := map[uint64]bool{}
	concurrently(publishers+3, func(i int) {
		if i < publishers {
			for _, m := range batches[i] {
				if err := f.Publisher.Publish(ctx, m); err != nil {
					t.Errorf("Publish: %v", err)
				}
			}
			return
		}
		for {
			ds, err := f.Consumer.Receive(ctx, 7)
			if err != nil {
				return // all are there, or the time is over
			}
			mu.Lock()
			for _, d := range ds {
				m, err := flashgate.DecodeMessage(d.Body)
				if err != nil {
					t.Errorf("DecodeMessage: %v", err)
					continue
				}
				if tags[d.Tag] {
					t.Errorf("delivery %d was given out twice", d.Tag)
				}
				tags[d.Tag] = true
				delete(missing, m.Reservations[0].Order)
			}
			left := len(missing)
			mu.Unlock()
			if err := f.Consumer.Ack(t.Context(), ds); err != nil {
				t.Errorf("Ack: %v", err)
			}
			if left == 0 {
				cancel()
				return
			}
		}
	})
	if len(missing) != 0 {
		t.Errorf("%d of %d messages never came", len(missing), publishers*each)
	}
}
