package gate_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"flashgate"
	"flashgate/internal/gate"
	"flashgate/internal/sqlite"
)

// stock lets a test hold calls and choose their answers; without answer it asks the
// real one.
type stock struct {
	flashgate.Stock
	enter  chan []flashgate.Reservation // receives each batch, if not nil
	resume chan struct{}                // each call waits for it, if not nil
	answer func([]flashgate.Reservation) ([]flashgate.Reserved, error)
	out    chan []flashgate.OrderID // receives what leaves the outbox, if not nil
}

func (s *stock) Reserve(ctx context.Context, sale flashgate.SaleID, rs []flashgate.Reservation) ([]flashgate.Reserved, error) {
	if s.enter != nil {
		s.enter <- rs
	}
	if s.resume != nil {
		select {
		case <-s.resume:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if s.answer != nil {
		return s.answer(rs)
	}
	return s.Stock.Reserve(ctx, sale, rs)
}

func (s *stock) Published(_ context.Context, _ flashgate.SaleID, ids []flashgate.OrderID) error {
	if s.out != nil {
		s.out <- ids
	}
	return nil
}

func (s *stock) Lease(context.Context, flashgate.SaleID, time.Duration, time.Duration, int) ([]flashgate.Reservation, error) {
	return nil, nil
}

type publisher func(context.Context, flashgate.Message) error

func (p publisher) Publish(ctx context.Context, m flashgate.Message) error { return p(ctx, m) }

type backend struct {
	stock     flashgate.Stock
	publisher flashgate.Publisher
	err       error
	away      func() error // by default nobody is away
	ready     func() error
}

func (b backend) Stock() (flashgate.Stock, error)         { return b.stock, b.err }
func (b backend) Publisher() (flashgate.Publisher, error) { return b.publisher, nil }

func (b backend) Away() error {
	if b.away == nil {
		return nil
	}
	return b.away()
}

func (b backend) Ready(context.Context) error {
	if b.ready == nil {
		return nil
	}
	return b.ready()
}

func all(o flashgate.Reserved) func([]flashgate.Reservation) ([]flashgate.Reserved, error) {
	return func(rs []flashgate.Reservation) ([]flashgate.Reserved, error) {
		out := make([]flashgate.Reserved, len(rs))
		for i := range out {
			out[i] = o
		}
		return out, nil
	}
}

var keys = func() *flashgate.Keyring {
	k, err := flashgate.ParseKeyring(flashgate.NewKey())
	if err != nil {
		panic(err)
	}
	return k
}()

func reservation(sale, user string) flashgate.Reservation {
	_, order := keys.Mint(flashgate.Claim{Sale: sale, User: user}, time.Now())
	return flashgate.Reservation{Order: order, User: flashgate.UserID(user), Units: 1}
}

type result struct {
	got flashgate.Reserved
	err error
}

func reserve(ctx context.Context, g *gate.Gate, r flashgate.Reservation) <-chan result {
	ch := make(chan result, 1)
	go func() {
		got, err := g.Reserve(ctx, r)
		ch <- result{got, err}
	}()
	return ch
}

func TestRequestsGatherWhileACallIsInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &stock{enter: make(chan []flashgate.Reservation, 10), resume: make(chan struct{}), answer: all(flashgate.Reserved{Outcome: flashgate.OutcomeAccepted})}
		g := gate.New(gate.Config{Backend: backend{stock: s}})
		waiting := []<-chan result{reserve(t.Context(), g, reservation("1", "first"))}
		if n := len(<-s.enter); n != 1 {
			t.Fatalf("the first request waited for others: a batch of %d", n)
		}
		for i := range gate.MaxBatch + 44 {
			waiting = append(waiting, reserve(t.Context(), g, reservation("1", fmt.Sprint("u", i))))
		}
		other := reserve(t.Context(), g, reservation("2", "u"))
		if rs := <-s.enter; len(rs) != 1 || rs[0].Order.Sale() != "2" {
			t.Fatalf("another sale waited: %d", len(rs))
		}
		synctest.Wait()
		s.resume <- struct{}{} // the first of sale 1, and sale 2
		s.resume <- struct{}{}
		sizes := []int{len(<-s.enter)}
		s.resume <- struct{}{}
		sizes = append(sizes, len(<-s.enter))
		s.resume <- struct{}{}
		if sizes[0] != gate.MaxBatch || sizes[1] != 44 {
			t.Errorf("batches of %v, want %d and 44", sizes, gate.MaxBatch)
		}
		for _, w := range append(waiting, other) {
			if r := <-w; r.err != nil || r.got.Outcome != flashgate.OutcomeAccepted {
				t.Errorf("%+v", r)
			}
		}
	})
}

func TestAClientThatLeavesHarmsNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &stock{enter: make(chan []flashgate.Reservation, 10), resume: make(chan struct{}), answer: all(flashgate.Reserved{Outcome: flashgate.OutcomeAccepted})}
		g := gate.New(gate.Config{Backend: backend{stock: s}})

		ctx, leave := context.WithCancel(t.Context())
		carries := reserve(ctx, g, reservation("1", "carries"))
		<-s.enter
		sent := reserve(ctx, g, reservation("1", "sent"))
		synctest.Wait()
		s.resume <- struct{}{}
		if r := <-carries; r.err != nil {
			t.Errorf("who carried the first batch: %v", r.err)
		}
		<-s.enter
		queued := reserve(ctx, g, reservation("1", "queued"))
		stays := reserve(t.Context(), g, reservation("1", "stays"))
		synctest.Wait()
		leave()
		if r := <-sent; flashgate.ErrorCode(r.err) != flashgate.CodeUnknownOutcome {
			t.Errorf("left while it was sent: %v", r.err)
		}
		if r := <-queued; flashgate.ErrorCode(r.err) != flashgate.CodeUnavailable {
			t.Errorf("left while it waited: %v", r.err)
		}
		s.resume <- struct{}{}
		if rs := <-s.enter; len(rs) != 1 || rs[0].User != "stays" {
			t.Errorf("the next batch is %+v, want only who stayed", rs)
		}
		s.resume <- struct{}{}
		if r := <-stays; r.err != nil || r.got.Outcome != flashgate.OutcomeAccepted {
			t.Errorf("who stayed: %+v", r)
		}
	})
}

func TestTimeOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &stock{enter: make(chan []flashgate.Reservation, 10), resume: make(chan struct{})}
		g := gate.New(gate.Config{Backend: backend{stock: s}, Timeout: time.Second})
		r := reservation("1", "u")
		start := time.Now()
		sent := reserve(t.Context(), g, r)
		<-s.enter
		got := <-sent
		if e, ok := errors.AsType[*flashgate.Error](got.err); !ok || e.Code != flashgate.CodeUnknownOutcome || e.Order != r.Order || e.RetryAfter != 2*time.Second {
			t.Errorf("a call without an answer: %v", got.err)
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("it took %s", d)
		}
	})
}

func TestTooManyWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &stock{enter: make(chan []flashgate.Reservation, 10), resume: make(chan struct{}), answer: all(flashgate.Reserved{Outcome: flashgate.OutcomeAccepted})}
		g := gate.New(gate.Config{Backend: backend{stock: s}, MaxWaiting: 2})
		a, b := reserve(t.Context(), g, reservation("1", "a")), reserve(t.Context(), g, reservation("2", "b"))
		synctest.Wait()
		_, err := g.Reserve(t.Context(), reservation("1", "c"))
		if e, ok := errors.AsType[*flashgate.Error](err); !ok || e.Code != flashgate.CodeUnavailable || e.RetryAfter != time.Second {
			t.Errorf("the third: %v", err)
		}
		s.resume <- struct{}{}
		s.resume <- struct{}{}
		<-a
		<-b
		c := reserve(t.Context(), g, reservation("1", "c"))
		s.resume <- struct{}{}
		if r := <-c; r.err != nil {
			t.Errorf("after the others have gone: %v", r.err)
		}
	})
}

func TestErrors(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	for name, c := range map[string]struct {
		backend backend
		units   int
		want    flashgate.Code
	}{
		"the stock does not open": {backend{err: boom}, 1, flashgate.CodeUnavailable},
		"the stock fails":         {backend{stock: &stock{answer: func([]flashgate.Reservation) ([]flashgate.Reserved, error) { return nil, boom }}}, 1, flashgate.CodeUnknownOutcome},
		"the stock is away": {backend{stock: &stock{answer: func([]flashgate.Reservation) ([]flashgate.Reserved, error) {
			return nil, &flashgate.Error{Code: flashgate.CodeUnavailable}
		}}}, 1, flashgate.CodeUnknownOutcome},
		"no connection to the stock": {backend{stock: &stock{answer: func([]flashgate.Reservation) ([]flashgate.Reserved, error) {
			return nil, &flashgate.Error{Code: flashgate.CodeUnavailable, Err: errors.Join(gate.ErrNotSent, boom)}
		}}}, 1, flashgate.CodeUnavailable},
		"the connection broke": {backend{stock: &stock{answer: func([]flashgate.Reservation) ([]flashgate.Reserved, error) {
			return nil, &flashgate.Error{Code: flashgate.CodeUnavailable, Err: &net.OpError{Op: "read", Err: boom}}
		}}}, 1, flashgate.CodeUnknownOutcome},
		"the queue cannot be reached, and it is held": {backend{
			stock: &stock{answer: all(flashgate.Reserved{Outcome: flashgate.OutcomePublish})},
			publisher: publisher(func(context.Context, flashgate.Message) error {
				return &flashgate.Error{Code: flashgate.CodeUnavailable, Err: gate.ErrNotSent}
			}),
		}, 1, flashgate.CodeUnknownOutcome},
		"no such sale": {backend{stock: &stock{answer: func([]flashgate.Reservation) ([]flashgate.Reserved, error) {
			return nil, &flashgate.Error{Code: flashgate.CodeNotFound}
		}}}, 1, flashgate.CodeNotFound},
		"too few answers":          {backend{stock: &stock{answer: func([]flashgate.Reservation) ([]flashgate.Reserved, error) { return nil, nil }}}, 1, flashgate.CodeUnknownOutcome},
		"no outcome":               {backend{stock: &stock{answer: all(flashgate.Reserved{})}}, 1, flashgate.CodeUnknownOutcome},
		"not valid":                {backend{err: boom}, 0, flashgate.CodeInvalid},
		"to publish, and no queue": {backend{stock: &stock{answer: all(flashgate.Reserved{Outcome: flashgate.OutcomePublish})}}, 1, flashgate.CodeUnknownOutcome},
		"not confirmed": {backend{
			stock:     &stock{answer: all(flashgate.Reserved{Outcome: flashgate.OutcomePublish})},
			publisher: publisher(func(context.Context, flashgate.Message) error { return boom }),
		}, 1, flashgate.CodeUnknownOutcome},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := reservation("1", "u")
			r.Units = c.units
			_, err := gate.New(gate.Config{Backend: c.backend}).Reserve(t.Context(), r)
			if flashgate.ErrorCode(err) != c.want {
				t.Errorf("Reserve = %v, want %s", err, c.want)
			}
			if e, ok := errors.AsType[*flashgate.Error](err); c.want == flashgate.CodeUnknownOutcome && (!ok || e.Order != r.Order) {
				t.Errorf("%v does not carry the order", err)
			}
		})
	}
}

func TestPublish(t *testing.T) {
	t.Parallel()
	var messages []flashgate.Message
	s := &stock{answer: all(flashgate.Reserved{Outcome: flashgate.OutcomePublish, Epoch: 7}), out: make(chan []flashgate.OrderID, 1)}
	g := gate.New(gate.Config{Backend: backend{stock: s, publisher: publisher(func(_ context.Context, m flashgate.Message) error {
		messages = append(messages, m)
		return m.Validate()
	})}})
	r := reservation("1", "u")
	got, err := g.Reserve(t.Context(), r)
	if err != nil || got.Outcome != flashgate.OutcomeAccepted {
		t.Fatalf("Reserve = %+v, %v", got, err)
	}
	if len(messages) != 1 || messages[0].Epoch != 7 || messages[0].Sale != "1" || len(messages[0].Reservations) != 1 || !messages[0].Reservations[0].Same(r) {
		t.Errorf("published %+v", messages)
	}
	if ids := <-s.out; len(ids) != 1 || ids[0] != r.Order {
		t.Errorf("out of the outbox: %v, want %s", ids, r.Order)
	}
}

// 400 requests of 200 users for 50 units, each sent twice: the real stock.
func TestNeverMoreThanThereIs(t *testing.T) {
	t.Parallel()
	store, err := sqlite.Open(filepath.Join(t.TempDir(), "flashgate.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	now := time.Now()
	if err := store.CreateSale(t.Context(), flashgate.Sale{ID: "1", Goods: "g", Starts: now.Add(-time.Hour), Ends: now.Add(time.Hour), PerUser: 1, Seeded: 50}); err != nil {
		t.Fatal(err)
	}
	g := gate.New(gate.Config{Backend: backend{stock: store}, Timeout: 20 * time.Second})
	var mu sync.Mutex
	accepted, outcomes := map[flashgate.OrderID]int{}, map[flashgate.Outcome]int{}
	var wg sync.WaitGroup
	for i := range 200 {
		r := reservation("1", fmt.Sprint("u", i))
		for range 2 {
			wg.Go(func() {
				got, err := g.Reserve(t.Context(), r)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				outcomes[got.Outcome]++
				if got.Outcome == flashgate.OutcomeAccepted {
					accepted[r.Order]++
				}
			})
		}
	}
	wg.Wait()
	view, err := store.View(t.Context(), "1")
	if err != nil || view.Free != 0 || view.Held != 50 {
		t.Errorf("the stock: %+v, %v", view, err)
	}
	if len(accepted) != 50 || outcomes[flashgate.OutcomeAccepted] != 100 || outcomes[flashgate.OutcomeSoldOut] != 300 {
		t.Errorf("%d orders accepted, outcomes %v; want 50, 100 accepted and 300 sold out", len(accepted), outcomes)
	}
}
