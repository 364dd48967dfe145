package conformance

import (
	"slices"
	"testing"

	"flashgate"
)

// queueCrashUndelivered: what Publish has said nil to is there after a crash.
func queueCrashUndelivered(t *testing.T, f QueueFixture) {
	sale := newSale(1, 1).ID
	var ms []flashgate.Message
	for range 5 {
		ms = append(ms, flashgate.NewMessage(sale, 1, reservations(sale, 2)...))
	}
	publish(t, f, ms...)
	f = f.Reopen(t)
	ds := receive(t, f, 5)
	wantMessages(t, ds, ms, "after the crash")
	ack(t, f, ds...)
}

// queueCrashUnacked: what was out comes again, what was acked does not.
func queueCrashUnacked(t *testing.T, f QueueFixture) {
	ms := []flashgate.Message{message(1), message(2), message(3), message(4)}
	publish(t, f, ms...)
	ds := receive(t, f, 3)
	for _, d := range ds {
		if m, err := flashgate.DecodeMessage(d.Body); err != nil {
			t.Fatal(err)
		} else if m.Sale == ms[1].Sale {
			ack(t, f, d)
			ms = slices.Delete(ms, 1, 2)
			break
		}
	}
	f = f.Reopen(t)
	again := receive(t, f, len(ms))
	slices.SortFunc(again, func(a, b flashgate.Delivery) int { return len(a.Body) - len(b.Body) })
	wantMessages(t, again, ms, "after the crash")
	ack(t, f, again...)
	wantEmpty(t, f, "acked after the crash")
}
