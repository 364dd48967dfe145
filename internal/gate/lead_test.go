package gate_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"flashgate"
	"flashgate/internal/gate"
)

// A few requests wait for nobody; while more than a few are under way the next gather.
func TestAFewAreUnderWayAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &stock{enter: make(chan []flashgate.Reservation, 10), resume: make(chan struct{}), answer: all(flashgate.Reserved{Outcome: flashgate.OutcomeAccepted})}
		g := gate.New(gate.Config{Backend: backend{stock: s}, AtOnce: 3})
		var waiting []<-chan result
		arrive := func(n int, want ...int) {
			t.Helper()
			for range n {
				waiting = append(waiting, reserve(t.Context(), g, reservation("1", fmt.Sprint("u", len(waiting)))))
				synctest.Wait()
			}
			var sizes []int
			for len(s.enter) > 0 {
				sizes = append(sizes, len(<-s.enter))
			}
			if !slices.Equal(sizes, want) {
				t.Fatalf("%d requests more made calls of %v, want %v", n, sizes, want)
			}
		}
		end := func() {
			s.resume <- struct{}{}
			synctest.Wait()
		}
		arrive(8, 1, 1, 1)
		end()
		arrive(1, 5) // with two others under way there was room for one, and it took along who waited
		end()
		end()
		arrive(2)
		end()
		arrive(0, 3)
		end()
		for _, w := range waiting {
			if r := <-w; r.err != nil || r.got.Outcome != flashgate.OutcomeAccepted {
				t.Errorf("%+v", r)
			}
		}
	})
}

// Who carries a batch stays for the others, and hears its answer.
func TestTheCarrierLeavesWithTheAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &stock{enter: make(chan []flashgate.Reservation, 10), resume: make(chan struct{}), answer: all(flashgate.Reserved{Outcome: flashgate.OutcomeAccepted})}
		g := gate.New(gate.Config{Backend: backend{stock: s}})
		ctx, leave := context.WithCancel(t.Context())
		carries := reserve(ctx, g, reservation("1", "carries"))
		<-s.enter
		leave()
		synctest.Wait()
		if len(carries) != 0 {
			t.Fatalf("it left with %+v", <-carries)
		}
		s.resume <- struct{}{}
		if r := <-carries; r.err != nil || r.got.Outcome != flashgate.OutcomeAccepted {
			t.Errorf("%+v", r)
		}
	})
}

// Those that are under way may each become a message, and no more of them are than may wait
// for their confirms.
func TestMessagesToComeCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &stock{enter: make(chan []flashgate.Reservation, 10), resume: make(chan struct{}), answer: toPublish}
		q := newSlowQueue()
		g := gate.New(gate.Config{Backend: backend{stock: s, publisher: q}, AtOnce: 100})
		var waiting []<-chan result
		for i := range 2 * gate.MaxPublishing {
			waiting = append(waiting, reserve(t.Context(), g, reservation("1", fmt.Sprint("u", i))))
			synctest.Wait()
		}
		for range gate.MaxPublishing {
			if n := len(<-s.enter); n != 1 {
				t.Errorf("a batch of %d", n)
			}
			s.resume <- struct{}{}
			synctest.Wait()
		}
		if len(s.enter) != 0 || len(q.got) != gate.MaxPublishing {
			t.Errorf("%d calls and %d messages are under way, want no call and %d messages", len(s.enter), len(q.got), gate.MaxPublishing)
		}
		q.confirm <- nil
		if n := len(<-s.enter); n != gate.MaxPublishing {
			t.Errorf("then a batch of %d, want all that waited", n)
		}
		close(s.resume)
		for range gate.MaxPublishing {
			q.confirm <- nil
		}
		for _, w := range waiting {
			if r := <-w; r.err != nil || r.got.Outcome != flashgate.OutcomeAccepted {
				t.Errorf("%+v", r)
			}
		}
	})
}

// A backend that panics ends no more than its batch.
func TestAPanicEndsOneBatch(t *testing.T) {
	t.Parallel()
	panics := true
	boom := func() {
		if panics {
			panic("boom")
		}
	}
	for name, b := range map[string]backend{
		"the stock": {stock: &stock{answer: func(rs []flashgate.Reservation) ([]flashgate.Reserved, error) {
			boom()
			return all(flashgate.Reserved{Outcome: flashgate.OutcomeAccepted})(rs)
		}}},
		"the queue": {stock: &stock{answer: toPublish}, publisher: publisher(func(context.Context, flashgate.Message) error {
			boom()
			return nil
		})},
	} {
		g := gate.New(gate.Config{Backend: b})
		panics = true
		for range 2 * gate.MaxPublishing {
			if _, err := g.Reserve(t.Context(), reservation("1", "u")); flashgate.ErrorCode(err) != flashgate.CodeUnknownOutcome {
				t.Errorf("%s panics: %v", name, err)
			}
		}
		panics = false
		if got, err := g.Reserve(t.Context(), reservation("1", "v")); err != nil || got.Outcome != flashgate.OutcomeAccepted {
			t.Errorf("after %s has panicked: %+v, %v", name, got, err)
		}
	}
}
