package gate_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"flashgate"
	"flashgate/internal/gate"
)

// shop is a stock of one sale that says where it stands and what it has freed. What it
// frees is news only when tell is called.
type shop struct {
	flashgate.Stock

	mu    sync.Mutex
	free  int
	at    flashgate.Position
	ends  time.Duration // in so long
	opens time.Duration
	freed flashgate.Freed   // what the watcher knows
	other flashgate.Outcome // answered instead, if set
	asked int               // reservations

	decided, resume chan struct{} // a call says that it has decided, and waits to answer, if not nil
}

func newShop(free int) *shop {
	return &shop{free: free, at: flashgate.Position{Epoch: 2, Applied: 5}, ends: time.Hour, opens: time.Hour, freed: flashgate.Freed{Term: 1}}
}

func (s *shop) Reserve(_ context.Context, _ flashgate.SaleID, rs []flashgate.Reservation) ([]flashgate.Reserved, error) {
	out := s.decide(rs)
	if s.decided != nil {
		s.decided <- struct{}{}
		<-s.resume
	}
	return out, nil
}

func (s *shop) decide(rs []flashgate.Reservation) []flashgate.Reserved {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked += len(rs)
	out := make([]flashgate.Reserved, len(rs))
	for i, r := range rs {
		out[i] = flashgate.Reserved{Outcome: flashgate.OutcomeAccepted, Epoch: s.at.Epoch, Applied: s.at.Applied}
		switch {
		case s.other != flashgate.OutcomeUnset:
			out[i].Outcome, out[i].OpensIn = s.other, s.opens
		case r.Units > s.free:
			out[i].Outcome, out[i].EndsIn = flashgate.OutcomeSoldOut, s.ends
		default:
			s.free -= r.Units
		}
	}
	return out
}

func (s *shop) Freed(context.Context, flashgate.SaleID) flashgate.Freed {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.freed
}

// set changes the stock, or what its watcher knows.
func (s *shop) set(change func(*shop)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *shop) gate() *gate.Gate { return gate.New(gate.Config{Backend: backend{stock: s}}) }

func units(n int) flashgate.Reservation {
	r := reservation("1", fmt.Sprint("u", time.Now().UnixNano()))
	r.Units = n
	return r
}

// buy asks as the directive does, and says whether the stock was asked.
func buy(t *testing.T, g *gate.Gate, s *shop, n int) (o flashgate.Outcome, asked bool) {
	t.Helper()
	if r, known := g.Known(t.Context(), "1", n); known {
		return r.Outcome, false
	}
	got, err := g.Reserve(t.Context(), units(n))
	if err != nil {
		t.Fatal(err)
	}
	return got.Outcome, true
}

// known says whether a refusal is known.
func known(t *testing.T, g *gate.Gate, sale flashgate.SaleID, units int) bool {
	t.Helper()
	_, is := g.Known(t.Context(), sale, units)
	return is
}

func wantAnswer(t *testing.T, g *gate.Gate, s *shop, n int, want flashgate.Outcome, wantAsked bool, when string) {
	t.Helper()
	if o, asked := buy(t, g, s, n); o != want || asked != wantAsked {
		t.Errorf("%s: outcome %d and asked %t, want %d and %t", when, o, asked, want, wantAsked)
	}
}

const (
	yes     = flashgate.OutcomeAccepted
	soldOut = flashgate.OutcomeSoldOut
	half    = gate.DefaultSoldOutProbe / 2
)

func TestSoldOutIsAnsweredWithoutTheStock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShop(1)
		g := s.gate()
		wantAnswer(t, g, s, 1, yes, true, "the last unit")
		wantAnswer(t, g, s, 1, soldOut, true, "the first refusal")
		for range 1000 {
			wantAnswer(t, g, s, 1, soldOut, false, "the next ones")
		}
		if known(t, g, "2", 1) {
			t.Error("another sale is sold out")
		}
	})
}

// From half of the time on one request in a tenth of it finds out again; an answer is
// never older than the whole.
func TestProbes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShop(0)
		g := s.gate()
		wantAnswer(t, g, s, 1, soldOut, true, "the first")
		pass(half - 1)
		wantAnswer(t, g, s, 1, soldOut, false, "before half of the time")
		pass(1)
		wantAnswer(t, g, s, 1, soldOut, true, "the probe")
		wantAnswer(t, g, s, 1, soldOut, false, "the next one")
		asked := s.asked
		for range 4000 { // four seconds of a thousand requests each
			pass(time.Millisecond)
			if o, _ := buy(t, g, s, 1); o != soldOut {
				t.Fatalf("outcome %d", o)
			}
		}
		if n := s.asked - asked; n != 8 {
			t.Errorf("asked %d times in 4 s, want 8", n)
		}

		// A probe that brings no news does not renew the answer.
		pass(2 * half)
		wantAnswer(t, g, s, 1, soldOut, true, "after the whole time")
		s.set(func(s *shop) { s.other = flashgate.OutcomeAlreadyBought })
		asked = s.asked
		for range 999 {
			pass(time.Millisecond)
			if o, probe := buy(t, g, s, 1); o != soldOut && !probe {
				t.Fatalf("outcome %d", o)
			}
		}
		if n := s.asked - asked; n != 5 {
			t.Errorf("asked %d times from half of the time to its end, want 5", n)
		}
		pass(time.Millisecond)
		for range 3 {
			wantAnswer(t, g, s, 1, flashgate.OutcomeAlreadyBought, true, "past its end")
		}
	})
}

// What the stock says instead of sold out, or beside it.
func TestWhatAProbeBrings(t *testing.T) {
	t.Parallel()
	for outcome, asks := range map[flashgate.Outcome]bool{
		flashgate.OutcomeAccepted: true, flashgate.OutcomeNotStarted: false, flashgate.OutcomeEnded: false, flashgate.OutcomeClosed: true,
		flashgate.OutcomeAlreadyBought: false, flashgate.OutcomeBusy: false, flashgate.OutcomeConflict: false,
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newShop(0)
			g := s.gate()
			wantAnswer(t, g, s, 1, soldOut, true, "the first")
			pass(half)
			s.set(func(s *shop) { s.other = outcome })
			wantAnswer(t, g, s, 1, outcome, true, "the probe")
			if _, asked := buy(t, g, s, 1); asked != asks {
				t.Errorf("after outcome %d the next one asks: %t, want %t", outcome, asked, asks)
			}
		})
	}
}

func TestSoldOutByUnits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShop(2)
		g := s.gate()
		wantAnswer(t, g, s, 3, soldOut, true, "3 of 2")
		wantAnswer(t, g, s, 4, soldOut, false, "4 of 2")
		wantAnswer(t, g, s, 2, yes, true, "2 of 2")
		wantAnswer(t, g, s, 2, soldOut, true, "2 of none")
		wantAnswer(t, g, s, 1, soldOut, true, "1 of none")
		pass(half)
		wantAnswer(t, g, s, 3, soldOut, true, "a probe for 3")
		wantAnswer(t, g, s, 1, soldOut, false, "1, after a probe for 3")
	})
}

// Whoever buys the last unit and whoever is refused may travel together.
func TestSoldOutInABatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShop(2)
		s.decided, s.resume = make(chan struct{}), make(chan struct{})
		g := s.gate()
		answers := []<-chan result{reserve(t.Context(), g, units(1))}
		<-s.decided
		for range 3 {
			answers = append(answers, reserve(t.Context(), g, units(1)))
			synctest.Wait()
		}
		s.resume <- struct{}{}
		<-s.decided
		s.resume <- struct{}{}
		for i, want := range []flashgate.Outcome{yes, yes, soldOut, soldOut} {
			if r := <-answers[i]; r.err != nil || r.got.Outcome != want {
				t.Errorf("answer %d: %+v", i, r)
			}
		}
		if !known(t, g, "1", 1) {
			t.Error("it is not known to be sold out")
		}
	})
}

// With the window sold out is over: the stock says ended.
func TestSoldOutEndsWithTheWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShop(0)
		s.ends = half / 2
		g := s.gate()
		wantAnswer(t, g, s, 1, soldOut, true, "the first")
		pass(half/2 - 1)
		wantAnswer(t, g, s, 1, soldOut, false, "before the end")
		s.set(func(s *shop) { s.other = flashgate.OutcomeEnded })
		pass(1)
		wantAnswer(t, g, s, 1, flashgate.OutcomeEnded, true, "after the end")
	})
}

// Below zero nothing that the stock has said is believed.
func TestWithoutTheProbeTheStockIsAskedForEach(t *testing.T) {
	t.Parallel()
	s := newShop(0)
	g := gate.New(gate.Config{Backend: backend{stock: s}, SoldOutProbe: -1})
	for range 100 {
		wantAnswer(t, g, s, 1, soldOut, true, "each buyer")
	}
}

func TestRefusalsAreBounded(t *testing.T) {
	t.Parallel()
	s := newShop(0)
	g := gate.New(gate.Config{Backend: backend{stock: s}, SoldOutProbe: time.Hour})
	ask := func(sale string) {
		t.Helper()
		if got, err := g.Reserve(t.Context(), reservation(sale, "u")); err != nil || got.Outcome != soldOut {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	for i := range gate.MaxRefusals {
		ask(fmt.Sprint("s", i))
	}
	if !known(t, g, "s0", 1) {
		t.Error("the first is forgotten before there are too many")
	}
	ask("one-more")
	if known(t, g, "s0", 1) || !known(t, g, "one-more", 1) {
		t.Error("past the bound the old ones are kept, or the new one is not")
	}
}
