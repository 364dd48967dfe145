package conformance

import (
	"slices"
	"testing"
	"time"

	"flashgate"
)

// Orders is the suite of flashgate.OrderStore.
func Orders(t *testing.T, open func(t *testing.T) DatabaseFixture) {
	run(t, open, []testCase[DatabaseFixture]{
		{name: "Read", run: ordersRead},
		{name: "OfUser", run: ordersOfUser},
		{name: "Pay", run: ordersPay},
		{name: "PayLate", run: ordersPayLate},
		{name: "Cancel", run: ordersCancel},
		{name: "OwnerOnly", run: ordersOwnerOnly},
		{name: "WrongState", run: ordersWrongState},
		{name: "ConcurrentCancel", run: ordersConcurrentCancel},
		{name: "ConcurrentPayAndCancel", run: ordersConcurrentPayAndCancel},
		{name: "CancelledContext", run: ordersCancelledContext},
		{name: "Crash", run: ordersCrash, needs: func(f DatabaseFixture) bool { return f.Reopen != nil }},
	})
}

// placed is a new sale with n pending orders of one unit.
func placed(t testing.TB, f DatabaseFixture, n int) (flashgate.Sale, []flashgate.Reservation) {
	t.Helper()
	sale := newSale(int64(n)+10, 1)
	f.Sale(t, sale)
	rs := reservations(sale.ID, n)
	place(t, f.Database, sale.ID, unpaid, rs...)
	return sale, rs
}

func pay(t testing.TB, db Database, r flashgate.Reservation) flashgate.Order {
	t.Helper()
	o, err := db.Orders.Pay(t.Context(), r.Order, r.User)
	if err != nil {
		t.Fatalf("Pay: %v", err)
	}
	return o
}

func ordersRead(t *testing.T, f DatabaseFixture) {
	sale, rs := placed(t, f, 3)
	unknown := reservation(sale.ID, newUser(), 1)
	dead := reservation(sale.ID, newUser(), 1)
	deadLetter(t, f.Database, dead)
	wantNoOrder(t, f.Database, unknown.Order, "an id without a row")
	o := readOrder(t, f.Database, dead.Order)
	if o.ID != dead.Order || o.Status != flashgate.StatusDeadLettered || o.Reason != flashgate.ReasonFailed || o.User != dead.User {
		t.Errorf("the order of a dead letter is %+v", o)
	}
	got, err := f.Orders.Orders(t.Context(), []flashgate.OrderID{unknown.Order, rs[2].Order, dead.Order, rs[0].Order})
	if err != nil {
		t.Fatalf("Orders: %v", err)
	}
	want := map[flashgate.OrderID]flashgate.Status{rs[2].Order: "pending", rs[0].Order: "pending", dead.Order: "dead_lettered"}
	for _, o := range got {
		if want[o.ID] != o.Status {
			t.Errorf("Orders gives %s (%s)", o.ID, o.Status)
		}
		delete(want, o.ID)
	}
	if len(want) != 0 || len(got) != 3 {
		t.Errorf("Orders gives %d, without %v", len(got), want)
	}
	if got, err := f.Orders.Orders(t.Context(), nil); err != nil || len(got) != 0 {
		t.Errorf("Orders of no ids: %v, %v", got, err)
	}
}

func ordersOfUser(t *testing.T, f DatabaseFixture) {
	user, other := newUser(), newUser()
	var want []flashgate.OrderID
	for range 4 {
		sale := newSale(5, 1)
		f.Sale(t, sale)
		r := reservation(sale.ID, user, 1)
		place(t, f.Database, sale.ID, unpaid, r, reservation(sale.ID, other, 1))
		want = append([]flashgate.OrderID{r.Order}, want...)
		elapse(t, 20*time.Millisecond) // so that each has another time
	}
	for limit, n := range map[int]int{10: 4, 4: 4, 2: 2, 1: 1} {
		got, err := f.Orders.OrdersOf(t.Context(), user, limit)
		if err != nil {
			t.Fatalf("OrdersOf: %v", err)
		}
		gotIDs := make([]flashgate.OrderID, len(got))
		for i, o := range got {
			gotIDs[i] = o.ID
			if o.User != user || o.Status != flashgate.StatusPending || o.Units != 1 {
				t.Errorf("OrdersOf gives %+v", o)
			}
		}
		if !slices.Equal(gotIDs, want[:n]) {
			t.Errorf("OrdersOf of at most %d gives %v, want %v", limit, gotIDs, want[:n])
		}
	}
	if got, err := f.Orders.OrdersOf(t.Context(), newUser(), 10); err != nil || len(got) != 0 {
		t.Errorf("OrdersOf of a user without orders: %v, %v", got, err)
	}
}

func ordersPay(t *testing.T, f DatabaseFixture) {
	sale, rs := placed(t, f, 2)
	before := readSale(t, f.Sales, sale.ID)
	for range 3 { // paying again changes nothing
		o := pay(t, f.Database, rs[0])
		if o.ID != rs[0].Order || o.Status != flashgate.StatusPaid || o.Reason != "" {
			t.Errorf("Pay gives %+v", o)
		}
	}
	wantOrder(t, f.Database, rs[0].Order, flashgate.StatusPaid, "", "paid")
	wantOrder(t, f.Database, rs[1].Order, flashgate.StatusPending, "", "not paid")
	if after := readSale(t, f.Sales, sale.ID); after.StockLeft != before.StockLeft {
		t.Errorf("paying moved stock left from %d to %d", before.StockLeft, after.StockLeft)
	}
	d := decide(t, f.Database, sale.ID, unpaid, reservation(sale.ID, rs[0].User, 1))[0]
	if d.Status != flashgate.StatusRejected || d.Reason != flashgate.ReasonAlreadyBought {
		t.Errorf("a second order of who paid: %+v", d)
	}
}

// ordersPayLate: once its time is over an order is not paid any more, whether or
// not Expire has come by.
func ordersPayLate(t *testing.T, f DatabaseFixture) {
	sale := newSale(10, 1)
	f.Sale(t, sale)
	r := reservation(sale.ID, newUser(), 1)
	place(t, f.Database, sale.ID, time.Millisecond, r)
	elapse(t, 100*time.Millisecond)
	_, err := f.Orders.Pay(t.Context(), r.Order, r.User)
	wantCode(t, err, flashgate.CodeWrongState, "Pay after the time")
	expire(t, f.Database, r.Order)
	_, err = f.Orders.Pay(t.Context(), r.Order, r.User)
	wantCode(t, err, flashgate.CodeWrongState, "Pay after the expiry")
	wantOrder(t, f.Database, r.Order, flashgate.StatusCancelled, flashgate.ReasonExpired, "after the late payment")
}

func ordersCancel(t *testing.T, f DatabaseFixture) {
	sale, rs := placed(t, f, 2)
	before := readSale(t, f.Sales, sale.ID)
	for range 3 { // cancelling again changes nothing
		o, err := f.Orders.Cancel(t.Context(), rs[0].Order, rs[0].User)
		if err != nil {
			t.Fatalf("Cancel: %v", err)
		}
		if o.ID != rs[0].Order || o.Status != flashgate.StatusCancelled || o.Reason != flashgate.ReasonUser {
			t.Errorf("Cancel gives %+v", o)
		}
		if after := readSale(t, f.Sales, sale.ID); after.StockLeft != before.StockLeft+1 || after.Seq != before.Seq+1 {
			t.Errorf("stock left went from %d to %d, seq from %d to %d; want each one more", before.StockLeft, after.StockLeft, before.Seq, after.Seq)
		}
	}
	wantOrder(t, f.Database, rs[1].Order, flashgate.StatusPending, "", "the other one")
	// The share is back: a new id of the same user is placed, a second one is not.
	next := reservation(sale.ID, rs[0].User, 1)
	place(t, f.Database, sale.ID, unpaid, next)
	if d := decide(t, f.Database, sale.ID, unpaid, reservation(sale.ID, rs[0].User, 1))[0]; d.Status != flashgate.StatusRejected {
		t.Errorf("the share came back more than once: %+v", d)
	}
	if live := wantDatabaseSum(t, f.Database, sale.ID, append(rs, next)); live != 2 {
		t.Errorf("%d live orders, want 2", live)
	}
}

func ordersOwnerOnly(t *testing.T, f DatabaseFixture) {
	sale, rs := placed(t, f, 2)
	_, err := f.Orders.Pay(t.Context(), rs[0].Order, rs[1].User)
	wantCode(t, err, flashgate.CodeNotFound, "Pay of another's order")
	_, err = f.Orders.Cancel(t.Context(), rs[0].Order, rs[1].User)
	wantCode(t, err, flashgate.CodeNotFound, "Cancel of another's order")
	wantOrder(t, f.Database, rs[0].Order, flashgate.StatusPending, "", "after another's attempts")
	pay(t, f.Database, rs[0])
	_, err = f.Orders.Pay(t.Context(), rs[0].Order, rs[1].User)
	wantCode(t, err, flashgate.CodeNotFound, "Pay of another's paid order")
	cancel(t, f.Database, rs[1])
	_, err = f.Orders.Cancel(t.Context(), rs[1].Order, rs[0].User)
	wantCode(t, err, flashgate.CodeNotFound, "Cancel of another's cancelled order")
	unknown := reservation(sale.ID, newUser(), 1)
	_, err = f.Orders.Pay(t.Context(), unknown.Order, unknown.User)
	wantCode(t, err, flashgate.CodeNotFound, "Pay of an unknown order")
	_, err = f.Orders.Cancel(t.Context(), unknown.Order, unknown.User)
	wantCode(t, err, flashgate.CodeNotFound, "Cancel of an unknown order")
}

func ordersWrongState(t *testing.T, f DatabaseFixture) {
	sale, rs := placed(t, f, 2)
	rejected := reservation(sale.ID, rs[0].User, 1)
	decide(t, f.Database, sale.ID, unpaid, rejected)
	paid, gone := rs[0], rs[1]
	pay(t, f.Database, paid)
	cancel(t, f.Database, gone)
	before := readSale(t, f.Sales, sale.ID)
	_, err := f.Orders.Cancel(t.Context(), paid.Order, paid.User)
	wantCode(t, err, flashgate.CodeWrongState, "Cancel of a paid order")
	wantOrder(t, f.Database, paid.Order, flashgate.StatusPaid, "", "after the cancel")
	_, err = f.Orders.Pay(t.Context(), gone.Order, gone.User)
	wantCode(t, err, flashgate.CodeWrongState, "Pay of a cancelled order")
	wantOrder(t, f.Database, gone.Order, flashgate.StatusCancelled, flashgate.ReasonUser, "after the payment")
	_, err = f.Orders.Pay(t.Context(), rejected.Order, rejected.User)
	wantCode(t, err, flashgate.CodeWrongState, "Pay of a rejected order")
	_, err = f.Orders.Cancel(t.Context(), rejected.Order, rejected.User)
	if err == nil {
		t.Error("Cancel of a rejected order gave no error")
	}
	wantOrder(t, f.Database, rejected.Order, flashgate.StatusRejected, flashgate.ReasonAlreadyBought, "after both")
	if after := readSale(t, f.Sales, sale.ID); after != before {
		t.Errorf("the refusals changed the sale from %+v to %+v", before, after)
	}
}

func ordersConcurrentCancel(t *testing.T, f DatabaseFixture) {
	sale, rs := placed(t, f, 2)
	concurrently(30, func(int) {
		if _, err := f.Orders.Cancel(t.Context(), rs[0].Order, rs[0].User); err != nil {
			t.Errorf("Cancel: %v", err)
		}
	})
	if live := wantDatabaseSum(t, f.Database, sale.ID, rs); live != 1 {
		t.Errorf("%d live orders, want 1", live)
	}
	place(t, f.Database, sale.ID, unpaid, reservation(sale.ID, rs[0].User, 1))
	if d := decide(t, f.Database, sale.ID, unpaid, reservation(sale.ID, rs[0].User, 1))[0]; d.Status != flashgate.StatusRejected {
		t.Errorf("the share came back more than once: %+v", d)
	}
}

func ordersConcurrentPayAndCancel(t *testing.T, f DatabaseFixture) {
	sale, rs := placed(t, f, 20)
	var paid, gone [20]bool
	concurrently(40, func(i int) {
		r := rs[i/2]
		if i%2 == 0 {
			_, err := f.Orders.Pay(t.Context(), r.Order, r.User)
			paid[i/2] = err == nil
		} else {
			_, err := f.Orders.Cancel(t.Context(), r.Order, r.User)
			gone[i/2] = err == nil
		}
	})
	for i, r := range rs {
		o := readOrder(t, f.Database, r.Order)
		if paid[i] == gone[i] || paid[i] != (o.Status == flashgate.StatusPaid) || gone[i] != (o.Status == flashgate.StatusCancelled) {
			t.Errorf("paid %v, cancelled %v, and the order is %s", paid[i], gone[i], o.Status)
		}
	}
	wantDatabaseSum(t, f.Database, sale.ID, rs)
}

func ordersCancelledContext(t *testing.T, f DatabaseFixture) {
	sale, rs := placed(t, f, 1)
	_, err := f.Orders.Cancel(cancelled(t), rs[0].Order, rs[0].User)
	wantCode(t, err, flashgate.CodeUnavailable, "Cancel with a context that has ended")
	_, err = f.Orders.Order(cancelled(t), rs[0].Order)
	wantCode(t, err, flashgate.CodeUnavailable, "Order with a context that has ended")
	wantDatabaseSum(t, f.Database, sale.ID, rs)
	cancel(t, f.Database, rs[0])
	wantDatabaseSum(t, f.Database, sale.ID, rs)
}

func ordersCrash(t *testing.T, f DatabaseFixture) {
	sale, rs := placed(t, f, 3)
	pay(t, f.Database, rs[0])
	cancel(t, f.Database, rs[1])
	f = f.Reopen(t)
	wantOrder(t, f.Database, rs[0].Order, flashgate.StatusPaid, "", "after the crash")
	wantOrder(t, f.Database, rs[1].Order, flashgate.StatusCancelled, flashgate.ReasonUser, "after the crash")
	wantOrder(t, f.Database, rs[2].Order, flashgate.StatusPending, "", "after the crash")
	pay(t, f.Database, rs[2])
	if live := wantDatabaseSum(t, f.Database, sale.ID, rs); live != 2 {
		t.Errorf("%d live orders, want 2", live)
	}
}
