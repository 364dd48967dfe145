package gate_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"flashgate"
	"flashgate/internal/gate"
)

// raises are the ways in which units come free: how far the gate's position moves, and
// what the watcher is told.
var raises = map[string]func(at flashgate.Position) (now, told flashgate.Position){
	"applied": func(at flashgate.Position) (now, told flashgate.Position) {
		at.Applied++
		return at, at
	},
	"settled": func(at flashgate.Position) (now, told flashgate.Position) {
		return at, flashgate.Position{Epoch: at.Epoch, Applied: at.Applied + 1}
	},
	"opened": func(at flashgate.Position) (now, told flashgate.Position) {
		at.Epoch++
		at.Applied -= 3
		return at, at
	},
}

// Every order of four events: the stock decides, its answer arrives, units come free,
// and the news of it arrives. An answer that was decided before the units came free
// never outlives the news.
func TestAnswersAndNewsInEveryOrder(t *testing.T) {
	t.Parallel()
	const decides, answers, frees, tells = "decides", "answers", "frees", "tells"
	for name, raise := range raises {
		for _, order := range [][]string{
			{decides, answers, frees, tells},
			{decides, frees, answers, tells},
			{decides, frees, tells, answers}, // a delayed answer
			{frees, decides, answers, tells}, // sold again at once
			{frees, decides, tells, answers},
			{frees, tells, decides, answers},
		} {
			t.Run(fmt.Sprint(name, order), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := newShop(0)
					s.decided, s.resume = make(chan struct{}), make(chan struct{})
					g := s.gate()
					var told flashgate.Position
					var answer <-chan result
					freed := false // since the answer was decided
					for _, event := range order {
						switch event {
						case decides:
							freed = false
							answer = reserve(t.Context(), g, units(1))
							<-s.decided
						case answers:
							s.resume <- struct{}{}
							if r := <-answer; r.err != nil || r.got.Outcome != soldOut {
								t.Fatalf("%+v", r)
							}
						case frees:
							freed = true
							s.set(func(s *shop) { s.at, told = raise(s.at) })
						case tells:
							s.set(func(s *shop) { s.freed.Since = told })
						}
					}
					counts := known(t, g, "1", 1)
					if freed && counts {
						t.Error("an answer from before the units came free still counts")
					}
					// Only of what is settled the gate cannot tell before from after.
					if !freed && !counts && name != "settled" {
						t.Error("an answer from after the units came free does not count")
					}
				})
			})
		}
	}
}

// News that is older than the answer clears nothing.
func TestLateNews(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShop(0)
		g := s.gate()
		wantAnswer(t, g, s, 1, soldOut, true, "the first")
		s.set(func(s *shop) { s.freed.Since = flashgate.Position{Epoch: s.at.Epoch, Applied: s.at.Applied - 1} })
		wantAnswer(t, g, s, 1, soldOut, false, "older news")
		s.set(func(s *shop) { s.freed.Since = flashgate.Position{Epoch: s.at.Epoch - 1, Applied: s.at.Applied + 9} })
		wantAnswer(t, g, s, 1, soldOut, false, "news of an earlier epoch")
		s.set(func(s *shop) { s.freed.Since, s.free = flashgate.Position{Epoch: s.at.Epoch + 1}, 1 })
		wantAnswer(t, g, s, 1, yes, true, "news of a later epoch")
	})
}

// While nothing is heard, and of answers from before, nothing is believed.
func TestAWatcherThatLosesItsConnection(t *testing.T) {
	t.Parallel()
	terms := func(before, during, after uint64) (believed bool) {
		synctest.Test(t, func(t *testing.T) {
			s := newShop(0)
			s.decided, s.resume = make(chan struct{}), make(chan struct{})
			s.freed.Term = before
			g := s.gate()
			answer := reserve(t.Context(), g, units(1))
			<-s.decided
			s.set(func(s *shop) { s.freed.Term = during })
			s.resume <- struct{}{}
			<-answer
			s.set(func(s *shop) { s.freed.Term = after })
			believed = known(t, g, "1", 1)
		})
		return believed
	}
	for _, c := range []struct {
		before, during, after uint64
		want                  bool
		what                  string
	}{
		{3, 3, 3, true, "all the time"},
		{0, 0, 0, false, "never"},
		{0, 3, 3, false, "not when it was asked"},
		{3, 0, 0, false, "lost before the answer"},
		{3, 3, 0, false, "lost after the answer"},
		{3, 3, 4, false, "lost and back after the answer"},
		{3, 4, 4, false, "lost and back before the answer"},
	} {
		if got := terms(c.before, c.during, c.after); got != c.want {
			t.Errorf("it hears %s: sold out is believed: %t, want %t", c.what, got, c.want)
		}
	}
}

// A stock that does not watch is asked each time.
func TestAStockThatDoesNotWatch(t *testing.T) {
	t.Parallel()
	g := gate.New(gate.Config{Backend: backend{stock: &stock{answer: all(flashgate.Reserved{Outcome: soldOut, EndsIn: 1e12})}}})
	for range 3 {
		if known(t, g, "1", 1) {
			t.Fatal("it was not asked")
		}
		if got, err := g.Reserve(t.Context(), reservation("1", "u")); err != nil || got.Outcome != soldOut {
			t.Fatalf("%+v, %v", got, err)
		}
	}
}

// BenchmarkKnown is a refusal that is known, by all processors at once.
func BenchmarkKnown(b *testing.B) {
	s := newShop(0)
	g := gate.New(gate.Config{Backend: backend{stock: s}, SoldOutProbe: 1e12})
	if got, err := g.Reserve(b.Context(), units(1)); err != nil || got.Outcome != soldOut {
		b.Fatalf("%+v, %v", got, err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, is := g.Known(b.Context(), "1", 1); !is {
				b.Error("it asks")
				return
			}
		}
	})
}
