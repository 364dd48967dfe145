package worker_test

import (
	"sync/atomic"
	"testing"
	"time"

	"flashgate"
	"flashgate/orderworker/worker"
)

// Who reaches the queue cannot order for somebody else: an id that no key has made for
// its user is a dead letter under a name of its own, and burns nobody's id.
func TestForgedOrders(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.sale("1", 10)
	honest := r.reserve("1", "ann")
	stolen := honest
	stolen.User = "mallory"
	foreign, err := flashgate.ParseKeyring(flashgate.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	_, id := foreign.Mint(flashgate.Claim{Sale: "1", User: "bob"}, time.Now().Add(time.Minute))
	made := flashgate.Reservation{Order: id, User: "bob", Units: 1}
	later := r.reservation("1", "cid") // her order is yet to come
	burnt := later
	burnt.User = "mallory"
	r.publish("1", stolen, made, burnt)
	w := r.start(func(c *worker.Config) { c.Keys = keys })
	r.becomes(honest.Order, "pending")
	r.publish("1", later)
	r.becomes(later.Order, "pending")
	w.stop()

	letters, err := r.store.DeadLetters(t.Context(), 10)
	if err != nil || len(letters) != 3 {
		t.Fatalf("%d dead letters, %v; want the three forged ones", len(letters), err)
	}
	for _, d := range letters {
		if d.Order == honest.Order || d.Order == later.Order || d.Reason != flashgate.ReasonInvalid || d.Sale != "1" || d.Detail == "" {
			t.Errorf("dead letter %+v", d)
		}
	}
	for _, user := range []flashgate.UserID{"mallory", "bob"} {
		if os, err := r.store.OrdersOf(t.Context(), user, 10); err != nil || len(os) != 0 {
			t.Errorf("%s has %d orders, %v", user, len(os), err)
		}
	}
}

// changing are keys that the test changes, as a rotation does.
type changing struct {
	ring atomic.Pointer[flashgate.Keyring]
}

func (c *changing) Keyring() *flashgate.Keyring { return c.ring.Load() }

// An order that was accepted is not lost when its key ends before it is decided: it has no
// row, so the relay publishes it again, and once the key is back it is decided.
func TestAKeyEndsBeforeItsOrderIsDecided(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.sale("1", 10)
	order := r.reserve("1", "ann")
	other, err := flashgate.ParseKeyring(flashgate.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	held := new(changing)
	held.ring.Store(other)
	w := r.start(func(c *worker.Config) { c.Keys = held })
	defer w.stop()
	r.publish("1", order)
	letters := func() []flashgate.DeadLetter {
		got, err := r.store.DeadLetters(t.Context(), 10)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	r.eventually("it is a dead letter", func() bool { return len(letters()) > 0 })
	for _, d := range letters() {
		if d.Order == order.Order {
			t.Errorf("the dead letter takes the order's id, which would keep it from being published again: %+v", d)
		}
	}
	held.ring.Store(keys)
	r.publish("1", order) // as the relay does
	r.becomes(order.Order, "pending")
}
