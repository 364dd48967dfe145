package conformance

import (
	"testing"
	"time"

	"flashgate"
)

// expire calls Expire until an order whose time is over is cancelled.
func expire(t testing.TB, db Database, id flashgate.OrderID) {
	t.Helper()
	eventually(t, "an order that was not paid in time is cancelled", func() bool {
		if _, _, err := db.Ledger.Expire(t.Context(), 1000); err != nil {
			t.Fatalf("Expire: %v", err)
		}
		return readOrder(t, db, id).Status == flashgate.StatusCancelled
	})
	wantOrder(t, db, id, flashgate.StatusCancelled, flashgate.ReasonExpired, "expired")
}

func ledgerExpire(t *testing.T, f DatabaseFixture) {
	sale := newSale(10, 2)
	f.Sale(t, sale)
	rs := []flashgate.Reservation{reservation(sale.ID, newUser(), 2), reservation(sale.ID, newUser(), 1), reservation(sale.ID, newUser(), 1)}
	place(t, f.Database, sale.ID, time.Second, rs[1])
	if _, err := f.Orders.Pay(t.Context(), rs[1].Order, rs[1].User); err != nil {
		t.Fatalf("Pay: %v", err)
	}
	place(t, f.Database, sale.ID, unpaid, rs[2])
	place(t, f.Database, sale.ID, time.Second, rs[0]) // the last to end of those that do
	expire(t, f.Database, rs[0].Order)
	o := readOrder(t, f.Database, rs[0].Order)
	if o.Updated.Before(o.Expires) {
		t.Errorf("cancelled at %v, before its end at %v", o.Updated, o.Expires)
	}
	wantOrder(t, f.Database, rs[1].Order, flashgate.StatusPaid, "", "paid in time")
	wantOrder(t, f.Database, rs[2].Order, flashgate.StatusPending, "", "not due")
	if s := readSale(t, f.Sales, sale.ID); s.StockLeft != 8 || s.Seq <= 3 {
		t.Errorf("stock left %d, seq %d; want 8, and a seq of its own for the expiry", s.StockLeft, s.Seq)
	}
	wantDatabaseSum(t, f.Database, sale.ID, rs)
	// The user's share is back, and the old order stays what it is.
	place(t, f.Database, sale.ID, unpaid, reservation(sale.ID, rs[0].User, 2))
	if d := decide(t, f.Database, sale.ID, unpaid, rs[0])[0]; !d.Duplicate || d.Status != flashgate.StatusCancelled {
		t.Errorf("the expired reservation again: %+v", d)
	}
}

// ledgerExpireAtMost: Expire says how many, and never more than it was asked for.
// On a database that is shared, another suite may come first: so until it says so.
func ledgerExpireAtMost(t *testing.T, f DatabaseFixture) {
	sale := newSale(10, 1)
	f.Sale(t, sale)
	sum := 0
	eventually(t, "Expire says that it has cancelled some", func() bool {
		rs := reservations(sale.ID, 10)
		place(t, f.Database, sale.ID, time.Millisecond, rs...)
		eventually(t, "all expired orders are cancelled", func() bool {
			n, _, err := f.Ledger.Expire(t.Context(), 3)
			if err != nil {
				t.Fatalf("Expire: %v", err)
			}
			if n < 0 || n > 3 {
				t.Fatalf("Expire of at most 3 says %d", n)
			}
			sum += n
			return wantDatabaseSum(t, f.Database, sale.ID, rs) == 0
		})
		return sum > 0
	})
	if s := readSale(t, f.Sales, sale.ID); s.StockLeft != 10 {
		t.Errorf("stock left %d, want 10", s.StockLeft)
	}
}

// ledgerExpireNext: the next one due is no later than one that is waiting.
func ledgerExpireNext(t *testing.T, f DatabaseFixture) {
	sale := newSale(10, 1)
	f.Sale(t, sale)
	rs := reservations(sale.ID, 2)
	place(t, f.Database, sale.ID, 2*unpaid, rs[0])
	place(t, f.Database, sale.ID, unpaid, rs[1])
	_, next, err := f.Ledger.Expire(t.Context(), 1000)
	if err != nil {
		t.Fatalf("Expire: %v", err)
	}
	if due := readOrder(t, f.Database, rs[1].Order).Expires; next.IsZero() || next.After(due) {
		t.Errorf("the next one is due at %v, want %v or earlier", next, due)
	}
	wantOrder(t, f.Database, rs[1].Order, flashgate.StatusPending, "", "not due")
}

// ledgerConcurrentPayCancelExpire: whoever wins, unit and share come back at most
// once, and a paid order stays paid.
func ledgerConcurrentPayCancelExpire(t *testing.T, f DatabaseFixture) {
	const n = 20
	sale := newSale(n, 1)
	f.Sale(t, sale)
	rs := reservations(sale.ID, n)
	place(t, f.Database, sale.ID, 5*time.Millisecond, rs[:n/2]...)
	place(t, f.Database, sale.ID, unpaid, rs[n/2:]...)
	var paid, gone [n]bool
	concurrently(3*n, func(i int) {
		r := rs[i%n]
		switch i / n {
		case 0:
			_, err := f.Orders.Pay(t.Context(), r.Order, r.User)
			paid[i%n] = err == nil
			if err != nil && flashgate.ErrorCode(err) != flashgate.CodeWrongState {
				t.Errorf("Pay: %v", err)
			}
		case 1:
			_, err := f.Orders.Cancel(t.Context(), r.Order, r.User)
			gone[i%n] = err == nil
			if err != nil && flashgate.ErrorCode(err) != flashgate.CodeWrongState {
				t.Errorf("Cancel: %v", err)
			}
		default:
			if _, _, err := f.Ledger.Expire(t.Context(), 5); err != nil {
				t.Errorf("Expire: %v", err)
			}
		}
	})
	for i, r := range rs {
		if !paid[i] {
			if o := readOrder(t, f.Database, r.Order); o.Status == flashgate.StatusPending {
				expire(t, f.Database, r.Order)
			}
		}
		switch o := readOrder(t, f.Database, r.Order); {
		case paid[i] && (gone[i] || o.Status != flashgate.StatusPaid), !paid[i] && o.Status != flashgate.StatusCancelled:
			t.Errorf("paid %v, cancelled %v, and the order is %s(%s)", paid[i], gone[i], o.Status, o.Reason)
		}
	}
	live := wantDatabaseSum(t, f.Database, sale.ID, rs)
	// Shares came back with the units: those without a live order buy, the others not.
	for i, r := range rs {
		next := reservation(sale.ID, r.User, 1)
		if d := decide(t, f.Database, sale.ID, unpaid, next)[0]; (d.Status == flashgate.StatusPending) == paid[i] {
			t.Errorf("paid %v, and the next order of the user is %s(%s)", paid[i], d.Status, d.Reason)
		}
	}
	if s := readSale(t, f.Sales, sale.ID); s.StockLeft != 0 {
		t.Errorf("stock left %d after %d live orders and a new one for each other user, want 0", s.StockLeft, live)
	}
}
