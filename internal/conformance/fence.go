package conformance

import (
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
		{name: "Highest", run: fenceHighest},
		{name: "Concurrent", run: fenceConcurrent},
		{name: "Crash", run: fenceCrash, needs: func(f FenceFixture) bool { return f.Reopen != nil }},
	})
}

func recordFence(t testing.TB, f FenceFixture, sale flashgate.SaleID, epoch uint64) {
	t.Helper()
	if err := f.Fences.RecordFence(t.Context(), sale, epoch); err != nil {
		t.Fatalf("RecordFence: %v", err)
	}
}

func wantFenced(t testing.TB, f FenceFixture, sale flashgate.SaleID, want uint64, when string) {
	t.Helper()
	if got, err := f.Fences.Fenced(t.Context(), sale); err != nil || got != want {
		t.Errorf("%s: fenced %d, error %v; want %d", when, got, err, want)
	}
}

func fenceHighest(t *testing.T, f FenceFixture) {
	sale, other := newSale(1, 1), newSale(1, 1)
	f.Sale(t, sale)
	f.Sale(t, other)
	wantFenced(t, f, sale.ID, 0, "never")
	for _, c := range []struct{ record, want uint64 }{{2, 2}, {2, 2}, {1, 2}, {5, 5}, {3, 5}, {6, 6}} {
		recordFence(t, f, sale.ID, c.record)
		wantFenced(t, f, sale.ID, c.want, "recorded")
	}
	wantFenced(t, f, other.ID, 0, "another sale")
}

func fenceConcurrent(t *testing.T, f FenceFixture) {
	sale := newSale(1, 1)
	f.Sale(t, sale)
	concurrently(30, func(i int) {
		if err := f.Fences.RecordFence(t.Context(), sale.ID, uint64(i*7%30)+1); err != nil {
			t.Errorf("RecordFence: %v", err)
		}
	})
	wantFenced(t, f, sale.ID, 30, "all recorded")
}

func fenceCrash(t *testing.T, f FenceFixture) {
	sale := newSale(1, 1)
	f.Sale(t, sale)
	recordFence(t, f, sale.ID, 4)
	f = f.Reopen(t)
	wantFenced(t, f, sale.ID, 4, "after the crash")
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
