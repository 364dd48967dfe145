package caddymodule_test

import (
	"net/http"
	"testing"

	"flashgate/caddymodule/gatewaytest"
	"flashgate/internal/servers/serverstest"
)

// A reservation that Redis is slow to answer keeps no other buyer of the same sale waiting:
// the next one goes to Redis beside it.
func TestAReservationBesideASlowOne(t *testing.T) {
	r := serverstest.Redis(t)
	d := newDelay(t, r.Addr())
	s := runRealThrough(t, d.URL(), r, serverstest.RabbitMQ(t))
	warm := anySale("warm")
	s.open(t, warm, 2, 1)
	w := s.buyer(t, warm, "warm")
	eventually(t, "RabbitMQ is found", func() bool { return w.Do("POST", w.path).Status == http.StatusAccepted })

	sale := anySale("beside")
	s.open(t, sale, 2, 2)
	slow, next := s.buyer(t, sale, "slow"), s.buyer(t, sale, "next")
	held := d.Hold(slow.order)
	answer := make(chan gatewaytest.Answer, 1)
	go func() {
		a, err := slow.Try(t.Context(), "POST", slow.path)
		if err != nil {
			t.Error(err)
		}
		answer <- a
	}()
	select {
	case <-held.there:
	case a := <-answer:
		t.Fatalf("Redis was not asked: %+v", a)
	}
	if a := next.Do("POST", next.path); a.Status != http.StatusAccepted || a.Member("order") != next.order {
		t.Errorf("beside the slow one: %+v", a)
	}
	close(held.released)
	// With the next one waiting for it, it would have run into the time-out of the gate.
	if a := <-answer; a.Status != http.StatusAccepted || a.Member("order") != slow.order {
		t.Errorf("the slow one: %+v", a)
	}
}
