package conformance

import (
	"slices"
	"testing"

	"flashgate"
)

// FenceFixture is what Fence runs on.
type FenceFixture struct {
	Fences flashgate.FenceStore
	// Sale is as in Database.
	Sale func(t testing.TB, s flashgate.Sale)
	// Reopen is as in DatabaseFixture.
	Reopen func(t testing.TB) FenceFixture
}

// Fence is the suite of flashgate.FenceStore.
func Fence(t *testing.T, open func(t *testing.T) FenceFixture) {
	run(t, open, []testCase[FenceFixture]{
		{name: "Drawn", run: fenceDrawn},
		{name: "NotDrawn", run: fenceNotDrawn},
		{name: "ConcurrentDraws", run: fenceConcurrentDraws},
		{name: "Highest", run: fenceHighest},
		{name: "Concurrent", run: fenceConcurrent},
		{name: "UnknownSale", run: fenceUnknownSale},
		{name: "Crash", run: fenceCrash, needs: func(f FenceFixture) bool { return f.Reopen != nil }},
	})
}

// drawFences draws n numbers, which rise.
func drawFences(t testing.TB, f FenceFixture, sale flashgate.SaleID, n int) []uint64 {
	t.Helper()
	var drawn []uint64
	for len(drawn) < n {
		fence, err := f.Fences.DrawFence(t.Context(), sale)
		if err != nil {
			t.Fatalf("DrawFence: %v", err)
		}
		if fence == 0 || len(drawn) > 0 && fence <= drawn[len(drawn)-1] {
			t.Errorf("drew %d after %v", fence, drawn)
		}
		drawn = append(drawn, fence)
	}
	return drawn
}

func recordFence(t testing.TB, f FenceFixture, sale flashgate.SaleID, fence uint64) {
	t.Helper()
	if err := f.Fences.RecordFence(t.Context(), sale, fence); err != nil {
		t.Fatalf("RecordFence: %v", err)
	}
}

func wantFenced(t testing.TB, f FenceFixture, sale flashgate.SaleID, want uint64, when string) {
	t.Helper()
	if got, err := f.Fences.Fenced(t.Context(), sale); err != nil || got != want {
		t.Errorf("%s: fenced %d, error %v; want %d", when, got, err, want)
	}
}

// fenceDrawn: the next number is above the last one, whether that was recorded or not.
func fenceDrawn(t *testing.T, f FenceFixture) {
	sale := newSale(1, 1)
	f.Sale(t, sale)
	drawn := drawFences(t, f, sale.ID, 3)
	recordFence(t, f, sale.ID, drawn[0])
	if next := drawFences(t, f, sale.ID, 1)[0]; next <= drawn[2] {
		t.Errorf("drew %d after %v", next, drawn)
	}
	wantFenced(t, f, sale.ID, drawn[0], "drawn alone")
}

// fenceNotDrawn: recorded, such a number would be above those that are drawn later.
func fenceNotDrawn(t *testing.T, f FenceFixture) {
	sale := newSale(1, 1)
	f.Sale(t, sale)
	wantCode(t, f.Fences.RecordFence(t.Context(), sale.ID, 1), flashgate.CodeInvalid, "before any was drawn")
	drawn := drawFences(t, f, sale.ID, 2)
	recordFence(t, f, sale.ID, drawn[0])
	wantCode(t, f.Fences.RecordFence(t.Context(), sale.ID, drawn[1]+1), flashgate.CodeInvalid, "one too many")
	wantFenced(t, f, sale.ID, drawn[0], "after those that were not drawn")
}

func fenceConcurrentDraws(t *testing.T, f FenceFixture) {
	sale := newSale(1, 1)
	f.Sale(t, sale)
	var drawn [30]uint64
	concurrently(len(drawn), func(i int) {
		var err error
		if drawn[i], err = f.Fences.DrawFence(t.Context(), sale.ID); err != nil {
			t.Errorf("DrawFence: %v", err)
		}
	})
	slices.Sort(drawn[:])
	if n := len(slices.Compact(drawn[:])); n != len(drawn) {
		t.Errorf("%d numbers were drawn %d times", n, len(drawn))
	}
}

func fenceHighest(t *testing.T, f FenceFixture) {
	sale, other := newSale(1, 1), newSale(1, 1)
	f.Sale(t, sale)
	f.Sale(t, other)
	wantFenced(t, f, sale.ID, 0, "never")
	drawn := drawFences(t, f, sale.ID, 6)
	for _, c := range []struct{ record, want int }{{1, 1}, {1, 1}, {0, 1}, {4, 4}, {2, 4}, {5, 5}} {
		recordFence(t, f, sale.ID, drawn[c.record])
		wantFenced(t, f, sale.ID, drawn[c.want], "recorded")
	}
	wantFenced(t, f, other.ID, 0, "another sale")
}

func fenceConcurrent(t *testing.T, f FenceFixture) {
	sale := newSale(1, 1)
	f.Sale(t, sale)
	drawn := drawFences(t, f, sale.ID, 30)
	concurrently(len(drawn), func(i int) {
		if err := f.Fences.RecordFence(t.Context(), sale.ID, drawn[i*7%len(drawn)]); err != nil {
			t.Errorf("RecordFence: %v", err)
		}
	})
	wantFenced(t, f, sale.ID, drawn[len(drawn)-1], "all recorded")
}

func fenceUnknownSale(t *testing.T, f FenceFixture) {
	unknown := newSale(1, 1).ID
	_, err := f.Fences.DrawFence(t.Context(), unknown)
	wantCode(t, err, flashgate.CodeNotFound, "DrawFence")
	wantCode(t, f.Fences.RecordFence(t.Context(), unknown, 1), flashgate.CodeNotFound, "RecordFence")
}

func fenceCrash(t *testing.T, f FenceFixture) {
	sale := newSale(1, 1)
	f.Sale(t, sale)
	drawn := drawFences(t, f, sale.ID, 2)
	recordFence(t, f, sale.ID, drawn[0])
	f = f.Reopen(t)
	wantFenced(t, f, sale.ID, drawn[0], "after the crash")
	if next := drawFences(t, f, sale.ID, 1)[0]; next <= drawn[1] {
		t.Errorf("after the crash drew %d, and %v before", next, drawn)
	}
}

// Fencer is the suite of flashgate.Fencer, on a queue whose publisher is one.
func Fencer(t *testing.T, open func(t *testing.T) QueueFixture) {
	run(t, open, []testCase[QueueFixture]{
		{name: "BehindEverything", run: fencerBehindEverything},
		{name: "ConcurrentPublishers", run: fencerConcurrentPublishers},
		{name: "Cancelled", run: fencerCancelled},
	})
}

func sendFence(t testing.TB, f QueueFixture, sale flashgate.SaleID, epoch uint64) {
	t.Helper()
	p, ok := f.Publisher.(flashgate.Fencer)
	if !ok {
		t.Fatalf("%T is not a flashgate.Fencer", f.Publisher)
	}
	if err := p.SendFence(t.Context(), sale, epoch); err != nil {
		t.Fatalf("SendFence: %v", err)
	}
}

func fencerBehindEverything(t *testing.T, f QueueFixture) {
	sale := newSale(1, 1).ID
	before := []flashgate.Message{
		flashgate.NewMessage(sale, 1, reservations(sale, 2)...), flashgate.NewMessage(sale, 1, reservations(sale, 1)...),
	}
	after := flashgate.NewMessage(sale, 2, reservations(sale, 1)...)
	publish(t, f, before...)
	sendFence(t, f, sale, 2)
	publish(t, f, after)
	fence := flashgate.NewMessage(sale, 2)
	fence.Fence = true
	ds := receive(t, f, 4)
	wantMessages(t, ds, append(before, fence, after), "a fence between messages")
	ack(t, f, ds...)
}

// fencerConcurrentPublishers: what was confirmed before the fence comes before it.
func fencerConcurrentPublishers(t *testing.T, f QueueFixture) {
	sale := newSale(1, 1).ID
	rs := reservations(sale, 30)
	concurrently(len(rs), func(i int) {
		if err := f.Publisher.Publish(t.Context(), flashgate.NewMessage(sale, 1, rs[i])); err != nil {
			t.Errorf("Publish: %v", err)
		}
	})
	sendFence(t, f, sale, 2)
	ds := receive(t, f, len(rs)+1)
	for i, d := range ds {
		m, err := flashgate.DecodeMessage(d.Body)
		if err != nil {
			t.Fatalf("DecodeMessage: %v", err)
		}
		if m.Fence != (i == len(rs)) {
			t.Errorf("delivery %d of %d: fence %v", i, len(ds), m.Fence)
		}
	}
	ack(t, f, ds...)
}

func fencerCancelled(t *testing.T, f QueueFixture) {
	p, ok := f.Publisher.(flashgate.Fencer)
	if !ok {
		t.Fatalf("%T is not a flashgate.Fencer", f.Publisher)
	}
	if err := p.SendFence(cancelled(t), newSale(1, 1).ID, 2); err == nil {
		t.Error("SendFence with a context that has ended gave no error")
	}
}
