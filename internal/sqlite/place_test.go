package sqlite_test

import (
	"testing"
	"time"

	"flashgate"
)

// Whoever was told 202 by the gate gets the order, whatever the shop places meanwhile.
func TestPlaceBesideTheGate(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	createSale(t, s, "one", 1)
	createSale(t, s, "two", 2)
	place := func(r flashgate.Reservation, status flashgate.Status, reason string) {
		t.Helper()
		d, err := s.Place(t.Context(), r.Order.Sale(), r, time.Hour)
		if err != nil || d.Status != status || d.Reason != reason {
			t.Errorf("%+v, %v; want %s %s", d, err, status, reason)
		}
	}
	decided := func(r flashgate.Reservation) {
		t.Helper()
		d, err := s.Decide(t.Context(), r.Order.Sale(), []flashgate.Reservation{r}, time.Hour)
		if err != nil || d[0].Status != flashgate.StatusPending {
			t.Errorf("what was held: %+v, %v", d, err)
		}
	}
	held := map[flashgate.SaleID]flashgate.Reservation{}
	for _, sale := range []flashgate.SaleID{"one", "two"} {
		held[sale] = reservation(sale, "ann")
		if out, err := s.Reserve(t.Context(), sale, []flashgate.Reservation{held[sale]}); err != nil || out[0].Outcome != flashgate.OutcomeAccepted {
			t.Fatalf("%+v, %v", out, err)
		}
	}
	place(reservation("one", "bob"), flashgate.StatusRejected, flashgate.ReasonSoldOut)
	place(reservation("one", "ann"), flashgate.StatusRejected, flashgate.ReasonAlreadyBought)
	decided(held["one"])
	place(reservation("two", "ann"), flashgate.StatusRejected, flashgate.ReasonAlreadyBought)
	place(reservation("two", "bob"), flashgate.StatusPending, "")
	place(held["two"], flashgate.StatusPending, "") // a repeat at the shop of what the gate holds
	decided(held["two"])
	for _, sale := range []flashgate.SaleID{"one", "two"} {
		if v, err := s.View(t.Context(), sale); err != nil || v.Free != 0 || v.Held != 0 {
			t.Errorf("the gate of sale %s: %+v, %v", sale, v, err)
		}
	}
}
