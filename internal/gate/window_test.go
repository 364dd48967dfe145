package gate_test

import (
	"testing"
	"testing/synctest"
	"time"

	"flashgate"
)

const (
	ended      = flashgate.OutcomeEnded
	notStarted = flashgate.OutcomeNotStarted
)

// Outside the window nobody gets anything, however much is wanted: the stock is asked once
// and by the probes.
func TestOutsideTheWindowIsAnsweredWithoutTheStock(t *testing.T) {
	t.Parallel()
	for _, o := range []flashgate.Outcome{ended, notStarted} {
		synctest.Test(t, func(t *testing.T) {
			s := newShop(9)
			s.other = o
			g := s.gate()
			wantAnswer(t, g, s, 5, o, true, "the first")
			for _, n := range []int{1, 4, 5, 6, flashgate.MaxUnits} {
				wantAnswer(t, g, s, n, o, false, "the next ones")
			}
			asked := s.asked
			for range 4000 { // four seconds of a thousand requests each
				pass(time.Millisecond)
				if got, _ := buy(t, g, s, 1); got != o {
					t.Fatalf("outcome %d, want %d", got, o)
				}
			}
			if n := s.asked - asked; n != 8 {
				t.Errorf("outcome %d: asked %d times in 4 s, want 8", o, n)
			}
			pass(2 * half)
			s.set(func(s *shop) { s.other = 0 })
			wantAnswer(t, g, s, 5, yes, true, "after the whole time")
			wantAnswer(t, g, s, 1, yes, true, "and then")
		})
	}
}

// "Not started" says how long it still is, and is not said from the opening on, however
// long its own answer was under way.
func TestNotStartedUntilTheOpening(t *testing.T) {
	t.Parallel()
	const opens = 3 * half / 4
	for _, late := range []time.Duration{0, opens / 3} {
		synctest.Test(t, func(t *testing.T) {
			s := newShop(9)
			s.other, s.opens = notStarted, opens
			s.decided, s.resume = make(chan struct{}), make(chan struct{})
			g := s.gate()
			asked := time.Now()
			answer := reserve(t.Context(), g, units(1))
			<-s.decided
			pass(late)
			s.resume <- struct{}{}
			<-answer
			for ; time.Since(asked) < opens-time.Millisecond; pass(time.Millisecond) {
				got, is := g.Known(t.Context(), "1", 1)
				if left := opens - time.Since(asked); !is || got.Outcome != notStarted || got.OpensIn != left {
					t.Fatalf("%s before the opening: %+v, %t", left, got, is)
				}
			}
			if known(t, g, "1", 1) {
				t.Errorf("it is not asked %s before the opening", opens-time.Since(asked))
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		s := newShop(9)
		s.other, s.opens = notStarted, time.Millisecond
		g := s.gate()
		wantAnswer(t, g, s, 1, notStarted, true, "a moment before the opening")
		s.set(func(s *shop) { s.other = 0 })
		wantAnswer(t, g, s, 1, yes, true, "the next one")
	})
}

// What is known last counts, with the units that belong to it.
func TestALaterRefusalReplaces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShop(2)
		g := s.gate()
		other := func(o flashgate.Outcome) { s.set(func(s *shop) { s.other = o }) }
		wantAnswer(t, g, s, 3, soldOut, true, "3 of 2")
		pass(half)
		other(ended)
		wantAnswer(t, g, s, 3, ended, true, "a probe after the end")
		wantAnswer(t, g, s, 1, ended, false, "fewer units after the end")
		pass(half)
		other(notStarted)
		wantAnswer(t, g, s, 1, notStarted, true, "a probe of a sale that opens later")
		wantAnswer(t, g, s, 1, notStarted, false, "the next one")
		pass(half)
		other(0)
		wantAnswer(t, g, s, 3, soldOut, true, "a probe after the opening")
		wantAnswer(t, g, s, 4, soldOut, false, "more units")
		wantAnswer(t, g, s, 2, yes, true, "what is there")
		wantAnswer(t, g, s, 1, soldOut, true, "what is not")
		other(notStarted)
		wantAnswer(t, g, s, 1, soldOut, false, "until the news")
		s.set(func(s *shop) { s.at.Applied++; s.freed.Since = s.at })
		wantAnswer(t, g, s, 1, notStarted, true, "after the news of another window")
		wantAnswer(t, g, s, 1, notStarted, false, "from then on")
	})
}

// Whatever the refusal, it counts no more in another term and after later news.
func TestNewsOfAnotherWindow(t *testing.T) {
	t.Parallel()
	for what, change := range map[string]func(*shop){
		"news":         func(s *shop) { s.at.Applied++; s.freed.Since = s.at },
		"another term": func(s *shop) { s.freed.Term++ },
		"no term":      func(s *shop) { s.freed.Term = 0 },
	} {
		for _, o := range []flashgate.Outcome{ended, notStarted} {
			synctest.Test(t, func(t *testing.T) {
				s := newShop(9)
				s.other = o
				g := s.gate()
				wantAnswer(t, g, s, 1, o, true, "the first")
				wantAnswer(t, g, s, 1, o, false, "before "+what)
				s.set(func(s *shop) { s.other = 0; change(s) })
				wantAnswer(t, g, s, 1, yes, true, "after "+what)
			})
		}
	}
}
