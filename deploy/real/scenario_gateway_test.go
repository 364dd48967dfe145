package main_test

import (
	"net/http"
	"time"

	"flashgate"
	"flashgate/internal/failpoint"

	amqp "github.com/rabbitmq/amqp091-go"
)

// repeats: whoever presses again gets the same answer and takes nothing, whatever has
// become of the order. The workers stand, so that they cannot put right what the gate does
// wrong.
func (sc *scene) repeats() {
	decided, cancelled, held := sc.customer(), sc.customer(), sc.customer()
	sc.accepted(decided, 0)
	sc.accepted(cancelled, 1)
	sc.status(decided, soon)
	sc.status(cancelled, soon)
	if l := sc.order(cancelled, "cancel"); l.Status != http.StatusOK {
		sc.t.Fatalf("cancel: %d %s", l.Status, l.Code)
	}
	sc.applied()
	sc.freeze(sc.Workers...)
	sc.accepted(held, 0)
	sc.again(map[string]*customer{"a decided order": decided, "a cancelled order": cancelled, "an order that is held": held})
	sc.thaw(sc.Workers...)
	sc.end()
}

// again repeats purchases that were answered 202.
func (sc *scene) again(all map[string]*customer) {
	sc.t.Helper()
	before, err := sc.sums()
	must(sc.t, err)
	for what, c := range all {
		for gateway := range sc.Gateways {
			if l := sc.press(c, gateway); l.Status != http.StatusAccepted {
				sc.t.Errorf("P5: a repeat of %s was answered %d %s, and the first time 202", what, l.Status, l.Code)
			}
		}
		after, err := sc.sums()
		must(sc.t, err)
		if after.Free != before.Free || after.Held != before.Held || after.HeldOrders != before.HeldOrders {
			sc.t.Fatalf("P5: repeats of %s took units: %+v before, %+v after", what, before, after)
		}
	}
}

// returnedMessage: the broker takes a message and acks it, and has no queue for it. It
// tells the publisher so. Then Redis loses the order as well.
func (sc *scene) returnedMessage() {
	c := sc.customer()
	sc.broker(func(ch *amqp.Channel) error { return ch.QueueUnbind(sc.queue(), sc.queue(), "flashgate.orders", nil) })
	l := sc.press(c, 0)
	sc.broker(func(ch *amqp.Channel) error {
		return ch.QueueBind(sc.queue(), sc.queue(), "flashgate.orders", false, nil)
	})
	sc.empty()
	if l.Status != http.StatusAccepted {
		sc.inTheEnd(c)
	}
	sc.end()
}

// lostConfirm: the message is in the queue, and its confirm never comes. Nobody knows;
// the unit stays held.
func (sc *scene) lostConfirm() {
	first, second := sc.customer(), sc.customer()
	sc.freeze(sc.Workers...)
	mend := sc.poison(sc.links.of("gateway 1", toRabbitMQ), "timeout", fromServer, nil)
	if l := sc.press(first, 0); l.Code != flashgate.CodeUnknownOutcome {
		sc.t.Errorf("P2: without a confirm a purchase was answered %d %s, want unknown_outcome", l.Status, l.Code)
	}
	sc.soldOut(second, 1, "the only unit is held")
	mend()
	sc.thaw(sc.Workers...)
	sc.status(first, soon)
	sc.inTheEnd(first)
	sc.end()
}

// gatewayDiesAfterReserve: the unit is held and nothing is published. Then Redis loses
// the order: only a message can save it, and so no 202 may come before there is one.
func (sc *scene) gatewayDiesAfterReserve() {
	c := sc.customer()
	sc.arm(sc.t, failpoint.Reserved, pointKills, sc.Gateways[0])
	sc.press(c, 0) // no answer comes
	sc.diesAt(failpoint.Reserved, sc.Gateways[0])
	l := sc.press(c, 1)
	sc.empty()
	if l.Status != http.StatusAccepted {
		sc.inTheEnd(c)
	}
	sc.end()
}

// gatewayStandsLongerThanD: a gateway has reserved, and stands still. Meanwhile Redis
// loses the order, and its sale is opened again. When the gateway goes on, the unit is
// somebody else's.
func (sc *scene) gatewayStandsLongerThanD() {
	late, other := sc.customer(), sc.customer()
	sc.arm(sc.t, failpoint.Reserved, pointStops, sc.Gateways[0])
	answer := sc.pressing(late, 0)
	gateway := sc.standsAt(failpoint.Reserved, sc.Gateways[0])
	sc.empty()
	sc.reopened()
	must(sc.t, sc.remember(other))
	sc.freeze(sc.Workers...) // what comes is decided later, in the order in which it came
	sc.thaw(gateway)
	if l := <-answer; l.Status == http.StatusAccepted {
		sc.t.Errorf("P2: a gateway that had stood still answered 202 for a reservation that Redis does not have")
	}
	pause(sc.t.Context(), 300*time.Millisecond) // what it still sends goes first
	sc.accepted(other, 1)
	sc.thaw(sc.Workers...)
	sc.end()
}
