package worker_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"flashgate"
	"flashgate/orderworker/worker"
)

// A damaged reservation burns nobody's order id: with keys it is filed under it only if
// the id was made for the user that it names. What is filed says how to go on.
func TestDamagedReservations(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.sale("1", 10)
	ann, bob, cid, dan := r.reservation("1", "ann"), r.reservation("1", "bob"), r.reservation("1", "cid"), r.reservation("1", "dan")
	record := func(o flashgate.Reservation, user, rest string) string {
		return fmt.Sprintf(`{"order":%q,%s%s}`, o.Order, user, rest)
	}
	nameless := record(ann, ``, `"units":1,"at":1`)
	stolen := record(bob, `"user":"mallory",`, `"units":-1,"at":1`)
	own := record(cid, `"user":"cid",`, `"units":-1,"at":1`)
	complete := record(dan, `"user":"dan",`, `"units":1,"at":1,"gift":true`)
	intact := r.reservation("1", "eve")
	r.raw([]byte(`{"v":1,"sale":"1","epoch":1,"reservations":[` + strings.Join([]string{nameless, stolen, own, complete,
		record(intact, `"user":"eve",`, `"units":1,"at":1`)}, ",") + `]}`))
	endless := bytes.Repeat([]byte("x"), 3*flashgate.MaxMessageBytes)
	r.raw(endless)
	w := r.start(func(c *worker.Config) { c.Keys = keys })
	r.becomes(intact.Order, "pending")
	r.becomes(cid.Order, "dead_lettered invalid_order")
	r.becomes(dan.Order, "dead_lettered invalid_order")
	r.publish("1", ann, bob) // the real ones come later
	r.becomes(ann.Order, "pending")
	r.becomes(bob.Order, "pending")
	if _, err := r.store.Replay(t.Context(), dan.Order, patience); err != nil {
		t.Errorf("replaying what has all that an order needs: %v", err)
	}
	r.becomes(dan.Order, "pending")
	r.eventually("all is kept", func() bool {
		ds, err := r.store.DeadLetters(t.Context(), 10)
		return err == nil && len(ds) == 4
	})
	w.stop()

	ds, err := r.store.DeadLetters(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		nameless: "user is missing. Find its sender. It cannot be replayed: drop it.",
		stolen:   "units must be between 1 and 1000. Find its sender. It cannot be replayed: drop it.",
		own:      "units must be between 1 and 1000. Find its sender. It cannot be replayed: drop it.",
		string(endless[:flashgate.MaxMessageBytes]): "The message has 3145728 bytes, at most 1048576 are allowed. Of its bytes the first 1048576 are kept here.",
	}
	for _, d := range ds {
		words, ok := want[string(d.Record)]
		if !ok || !strings.Contains(d.Detail, words) {
			t.Errorf("%s is kept as %.300q with the detail %q, want %q", d.Order, d.Record, d.Detail, words)
		}
		if under := d.Order == cid.Order; under != (string(d.Record) == own) {
			t.Errorf("%.300q is filed under %s", d.Record, d.Order)
		}
		delete(want, string(d.Record))
	}
	if len(want) > 0 {
		t.Errorf("%d records are not kept", len(want))
	}
}
