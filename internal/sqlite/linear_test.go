package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/conformance/stockhistory"
)

// How much there is of everything in one run.
const (
	linearSales   = 4
	linearBuyers  = 3 // of each sale
	linearWorkers = 2 // of each sale
	linearCalls   = 14
)

// linearSale is a sale with what its buyers were told.
type linearSale struct {
	*stockhistory.Sale
	mu       sync.Mutex
	accepted []flashgate.Reservation
}

func newLinearSale(t testing.TB, s opened, i int) *linearSale {
	t.Helper()
	sale := flashgate.Sale{ID: flashgate.SaleID(fmt.Sprint("s", i)), Goods: "g", FlashPrice: 100, PerUser: 2, Seeded: 5,
		Starts: time.Now().Add(-time.Hour), Ends: time.Now().Add(time.Hour)}
	if err := s.CreateSale(t.Context(), sale); err != nil {
		t.Fatal(err)
	}
	var rs []flashgate.Reservation
	for i := range 16 {
		r := reservation(sale.ID, fmt.Sprint("u", i/4))
		r.Units = 1 + i%4/3
		rs = append(rs, r)
	}
	out := &linearSale{Sale: stockhistory.NewSale(sale, rs)}
	out.Shared = true
	return out
}

// impatient is a context that may end before the call.
func impatient(ctx context.Context, r *rand.Rand) (context.Context, context.CancelFunc) {
	switch r.IntN(6) {
	case 0:
		return context.WithTimeout(ctx, 5*time.Microsecond<<r.IntN(8))
	case 1:
		ctx, cancel := context.WithCancel(ctx)
		return &leaver{Context: ctx, cancel: cancel, late: r.IntN(2) == 0}, cancel
	default:
		return context.WithCancel(ctx)
	}
}

// leaver is the context of a caller who leaves in the middle of a write, however fast that
// is: when the write is in the queue, or, late, when it begins.
type leaver struct {
	context.Context
	cancel context.CancelFunc
	late   bool
	asked  atomic.Int32
}

// Done is asked for twice: to wait for a place in the queue, and for the answer.
func (l *leaver) Done() <-chan struct{} {
	if l.asked.Add(1) == 2 && !l.late {
		l.cancel()
	}
	return l.Context.Done()
}

// Err is what the writer asks before it begins.
func (l *leaver) Err() error {
	err := l.Context.Err()
	if l.late {
		l.cancel()
	}
	return err
}

func linearPause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// buyer asks for some reservations, and again after every answer that is none.
func (sale *linearSale) buyer(ctx context.Context, c stockhistory.Caller, s flashgate.Stock, r *rand.Rand) {
	var again []flashgate.Reservation
	for range linearCalls {
		linearPause(ctx, time.Duration(r.IntN(10))*time.Millisecond)
		if again == nil && r.IntN(3) == 0 {
			_ = c.Held(ctx, s, sale.Sale, sale.Reservations[r.IntN(len(sale.Reservations))].Order)
			continue
		}
		rs := again
		if again = nil; rs == nil {
			first := r.IntN(len(sale.Reservations) - 1)
			rs = sale.Reservations[first : first+1+r.IntN(5)/4]
		}
		limited, cancel := impatient(ctx, r)
		out, err := c.Reserve(limited, s, sale.Sale, rs...)
		cancel()
		if err != nil {
			again = rs
		}
		for i, o := range out {
			if o.Outcome == flashgate.OutcomeAccepted {
				sale.mu.Lock()
				sale.accepted = append(sale.accepted, rs[i])
				sale.mu.Unlock()
			}
		}
	}
}

// worker decides what was accepted and cancels some of it.
func (sale *linearSale) worker(ctx context.Context, c stockhistory.Caller, s opened, r *rand.Rand) {
	for range linearCalls {
		linearPause(ctx, time.Duration(r.IntN(10))*time.Millisecond)
		sale.mu.Lock()
		accepted := sale.accepted
		sale.mu.Unlock()
		if len(accepted) == 0 {
			continue
		}
		o := accepted[r.IntN(len(accepted))]
		limited, cancel := impatient(ctx, r)
		if r.IntN(4) == 0 {
			_ = c.Cancel(limited, s, sale.Sale, o)
		} else {
			_ = c.Decide(limited, s, sale.Sale, []flashgate.Reservation{o})
		}
		cancel()
	}
}

// viewer looks at the sale all the time, but says what it has seen only now and then:
// a history is to stay small.
func (sale *linearSale) viewer(ctx context.Context, c stockhistory.Caller, s flashgate.Stock) error {
	var errs error
	for range 4 * linearCalls {
		linearPause(ctx, 2*time.Millisecond)
		_, err := c.View(ctx, s, sale.Sale)
		errs = errors.Join(errs, err)
	}
	return errs
}

// linearRun lets everything happen at once on one file.
func linearRun(t testing.TB, wrap func(flashgate.Stock) flashgate.Stock) *stockhistory.Recorder {
	t.Helper()
	s := newFile(t)
	stock := wrap(s)
	recorder := stockhistory.NewRecorder()
	var wg sync.WaitGroup
	for i := range linearSales {
		sale := newLinearSale(t, s, i)
		id := 0
		start := func(run func(c stockhistory.Caller, r *rand.Rand)) {
			c := stockhistory.Caller{Recorder: recorder, ID: id}
			r := rand.New(rand.NewPCG(uint64(i), uint64(id)))
			id++
			wg.Go(func() { run(c, r) })
		}
		for range linearBuyers {
			start(func(c stockhistory.Caller, r *rand.Rand) { sale.buyer(t.Context(), c, stock, r) })
		}
		for range linearWorkers {
			start(func(c stockhistory.Caller, r *rand.Rand) { sale.worker(t.Context(), c, s, r) })
		}
		start(func(c stockhistory.Caller, _ *rand.Rand) {
			if err := sale.viewer(t.Context(), c, stock); err != nil {
				t.Errorf("View: %v", err)
			}
		})
	}
	wg.Wait()
	return recorder
}

// TestLinearizable: there is an order of the calls on one file that explains every
// answer, those that were not waited for included.
func TestLinearizable(t *testing.T) {
	t.Parallel()
	report := linearRun(t, func(s flashgate.Stock) flashgate.Stock { return s }).Judge()
	t.Logf("%d calls, %d without an answer", report.Calls, report.Unknown)
	for _, text := range report.Illegal {
		t.Errorf("P5: no order explains the history of %s", text)
	}
	for _, text := range report.Unjudged {
		t.Errorf("not judged:\n%s", text)
	}
	if report.Calls < 250 || report.Unknown < 5 {
		t.Errorf("%d calls, %d without an answer: nothing is shown by so few", report.Calls, report.Unknown)
	}
}
