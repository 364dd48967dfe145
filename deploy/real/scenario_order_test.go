package main_test

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"flashgate"
	"flashgate/deploy/chaos"
	"flashgate/internal/failpoint"
)

// cancelBeforeGateKnows: an order cannot be cancelled before it is decided, and is
// cancelled before the gate has heard of it. Then the worker goes on.
func (sc *scene) cancelBeforeGateKnows() {
	c, next := sc.customer(), sc.customer()
	sc.arm(sc.t, failpoint.Received, pointStops, sc.Workers...)
	sc.accepted(c, 0)
	first := sc.standsAt(failpoint.Received, sc.Workers...)
	if l := sc.order(c, "cancel"); l.Status == http.StatusOK {
		sc.t.Error("P4: an order without a row was answered cancelled")
	}
	sc.arm(sc.t, failpoint.Committed, pointStops, sc.Workers...)
	sc.thaw(first)
	first = sc.standsAt(failpoint.Committed, sc.Workers...)
	if l := sc.order(c, "cancel"); l.Status != http.StatusOK {
		sc.t.Fatalf("cancel: %d %s", l.Status, l.Code)
	}
	sc.thaw(first)
	sc.applied()
	sc.accepted(next, 1)
	sc.status(next, soon)
	sc.end()
}

// expiryAndPayment: what is paid stays, whatever clock has run out; what is not comes
// back, once; and a payment that is too late is refused, also one that had come in time
// and had to wait.
func (sc *scene) expiryAndPayment() {
	const ttl = 3 * time.Second
	for _, w := range sc.Workers {
		sc.restart(w, w.Args, append(slices.Clone(w.Env), "ORDER_TTL="+ttl.String()))
	}
	paid, unpaid, late := sc.customer(), sc.customer(), sc.customer()
	for i, c := range []*customer{paid, unpaid, late} {
		sc.accepted(c, i%2)
	}
	sc.status(paid, soon)
	if l := sc.order(paid, "pay"); l.Status != http.StatusOK {
		sc.t.Fatalf("pay: %d %s", l.Status, l.Code)
	}
	sc.status(late, soon)
	tx, err := sc.books.db.BeginTx(sc.t.Context(), nil)
	must(sc.t, err)
	defer func() { _ = tx.Rollback() }() // after the commit it does nothing
	var expires int64
	must(sc.t, tx.QueryRow("SELECT expires FROM orders WHERE id = ? FOR UPDATE", late.minted.Order).Scan(&expires))
	pause(sc.t.Context(), time.Until(time.UnixMilli(expires).Add(-200*time.Millisecond)))
	answer := make(chan chaos.Line, 1)
	go func() { answer <- sc.order(late, "pay") }() // it waits for the row
	pause(sc.t.Context(), time.Until(time.UnixMilli(expires).Add(200*time.Millisecond)))
	must(sc.t, tx.Commit())
	if l := <-answer; l.Status == http.StatusOK {
		sc.t.Errorf("P4: a payment whose turn came after the expiry was answered %d", l.Status)
	}
	if got := sc.status(unpaid, soon, "cancelled"); got != "cancelled" {
		sc.t.Errorf("P4: an unpaid order is %s after its time", got)
	}
	sc.status(late, soon, "cancelled")
	if l := sc.order(unpaid, "pay"); l.Status == http.StatusOK {
		sc.t.Error("P4: a cancelled order was paid")
	}
	pause(sc.t.Context(), 500*time.Millisecond) // whoever else counts time has done so
	sc.applied()
	again := []*customer{sc.customer(), sc.customer(), sc.customer()}
	sc.accepted(again[0], 0)
	sc.accepted(again[1], 1)
	sc.soldOut(again[2], 0, "the third unit is paid")
	for _, c := range again[:2] {
		sc.status(c, soon)
		sc.order(c, "pay")
	}
	sc.end()
}

// refusedRestock: the database refuses a restock, and so nobody may buy of it.
func (sc *scene) refusedRestock() {
	c, next := sc.customer(), sc.customer()
	sc.accepted(c, 0)
	sc.status(c, soon)
	sc.applied()
	if out, err := sc.command("", "sale", "restock", string(sc.sale), "1000000000").CombinedOutput(); err == nil {
		sc.t.Fatalf("a restock above the bound was not refused: %s", out)
	}
	pause(sc.t.Context(), 200*time.Millisecond)
	if l := sc.press(next, 1); l.Code != flashgate.CodeSoldOut {
		sc.t.Errorf("after a refused restock a purchase was answered %d %s, want sold_out", l.Status, l.Code)
		sc.status(next, soon)
	}
	if out, err := sc.command("", "sale", "restock", string(sc.sale), "1").CombinedOutput(); err != nil {
		sc.t.Fatalf("restock: %v: %s", err, out)
	}
	sc.inTheEnd(sc.customer())
	sc.end()
}

// deadLetterAfterReopening: an order that the database refuses becomes a dead letter.
// Redis restarts and loses nothing; the sale is opened again, and the unit still is the
// dead letter's when it is replayed.
func (sc *scene) deadLetterAfterReopening() {
	c, next := sc.customer(), sc.customer()
	sc.refuse(c)
	sc.accepted(c, 0)
	// The broker gives an order up after many attempts; this one now.
	sc.publish("flashgate.dead", "", c.reservation())
	sc.until(soon, func() bool {
		b, err := sc.sums()
		return err == nil && b.Letters == 1
	}, "the order that the database refuses does not become a dead letter")
	must(sc.t, sc.redis.Stop())
	must(sc.t, sc.redis.Start())
	sc.reopened()
	sc.soldOut(next, 1, "the unit is the dead letter's")
	sc.refuseNobody()
	out, err := sc.command("", "orders", "replay", string(c.minted.Order)).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "pending") {
		sc.t.Errorf("P2: the replay of an order that was answered 202: %v: %s", err, out)
	}
	sc.end()
}

// refuse makes the database refuse a customer's orders.
func (sc *scene) refuse(c *customer) {
	sc.t.Helper()
	_, err := sc.books.db.ExecContext(sc.t.Context(), `CREATE OR REPLACE TRIGGER refused_by_a_scenario BEFORE INSERT ON orders FOR EACH ROW
		BEGIN IF NEW.user = '`+string(c.member.User)+`' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'refused by a scenario'; END IF; END`)
	must(sc.t, err)
	sc.t.Cleanup(sc.refuseNobody)
}

func (sc *scene) refuseNobody() {
	sc.t.Helper()
	_, err := sc.books.db.Exec("DROP TRIGGER IF EXISTS refused_by_a_scenario")
	must(sc.t, err)
}
