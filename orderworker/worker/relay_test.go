package worker_test

import (
	"testing"

	"flashgate"
)

// A gateway that died between reserve and publish: the relay publishes.
func TestRelays(t *testing.T) {
	t.Parallel()
	r := shared(t)
	w, other := r.work(nil), r.work(nil)
	id := r.newSale(10)
	r.opens(id, 2)
	a, b := r.reserve(id, "ann"), r.reserve(id, "bob")
	r.turns(a, "pending")
	r.turns(b, "pending")
	r.quiet(id)
	name := "flashgate_worker_relayed_total"
	r.eventually("the relay has counted both", func() bool { return w.metric(name)+other.metric(name) >= 2 })
}

// The queue has lost a message whose publishing was confirmed.
func TestRescues(t *testing.T) {
	t.Parallel()
	r := shared(t)
	w, other := r.work(nil), r.work(nil)
	id := r.newSale(10)
	r.opens(id, 2)
	lost := r.reserve(id, "ann")
	r.published(lost)
	dead := r.reserve(id, "bob")
	r.published(dead)
	letter := flashgate.DeadLetter{Order: dead.Order, Sale: id, Record: []byte("{}"), Reason: flashgate.ReasonFailed, Detail: "test"}
	if err := r.database.DeadLetter(t.Context(), letter); err != nil {
		t.Fatal(err)
	}
	r.turns(lost, "pending")
	name := "flashgate_worker_requeued_total"
	if n := w.metric(name) + other.metric(name); n < 1 || n > 2 {
		t.Errorf("%v reservations requeued, want the lost one, by one worker or both", n)
	}
	if r.fenced(id) == 0 {
		t.Error("requeued without a fence")
	}
	if held, ok, err := r.gate.Held(t.Context(), dead.Order); err != nil || !ok {
		t.Errorf("the dead-lettered order is not held any more: %+v, %v", held, err)
	}
	// Only the dead letter is held, until its operator speaks.
	r.eventually("one unit is held", func() bool { return r.view(id).Held == 1 })
	if err := r.database.Drop(t.Context(), dead.Order); err != nil {
		t.Fatal(err)
	}
}

// An order that came to the queue past the gate counts at the gate, too.
func TestPastTheGate(t *testing.T) {
	t.Parallel()
	r := shared(t)
	id := r.newSale(10)
	r.work(nil)
	r.opens(id, 2)
	first := r.reservation(id, "ann")
	r.send(first)
	r.turns(first, "pending")
	r.quiet(id)
	if v := r.view(id); v.Free != 9 {
		t.Errorf("%d free, want 9", v.Free)
	}
}
