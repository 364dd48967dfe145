package conformance

import (
	"testing"

	"flashgate"
)

// places says whether a ledger is a flashgate.Placer, too.
func places(f DatabaseFixture) bool {
	_, ok := f.Ledger.(flashgate.Placer)
	return ok
}

func placerCases() []testCase[DatabaseFixture] {
	return []testCase[DatabaseFixture]{
		{name: "PlaceAtOnce", run: placerAtOnce, needs: places},
		{name: "PlaceBad", run: placerBad, needs: places},
		{name: "PlaceConcurrently", run: placerConcurrently, needs: places},
	}
}

// placerAtOnce: a refused order leaves nothing behind, a repeat changes nothing.
func placerAtOnce(t *testing.T, f DatabaseFixture) {
	p, sale := f.Ledger.(flashgate.Placer), newSale(2, 1)
	f.Sale(t, sale)
	rs := reservations(sale.ID, 3)
	again := reservation(sale.ID, rs[0].User, 1)
	for _, c := range []struct {
		what      string
		r         flashgate.Reservation
		status    flashgate.Status
		reason    string
		duplicate bool
	}{
		{"the first", rs[0], flashgate.StatusPending, "", false},
		{"its repeat", rs[0], flashgate.StatusPending, "", true},
		{"another of the same user", again, flashgate.StatusRejected, flashgate.ReasonAlreadyBought, false},
		{"the last unit", rs[1], flashgate.StatusPending, "", false},
		{"one too many", rs[2], flashgate.StatusRejected, flashgate.ReasonSoldOut, false},
		{"a repeat when all is sold", rs[1], flashgate.StatusPending, "", true},
	} {
		d, err := p.Place(t.Context(), sale.ID, c.r, unpaid)
		if err != nil || d.Order != c.r.Order || d.Status != c.status || d.Reason != c.reason || d.Duplicate != c.duplicate || d.DeadLettered {
			t.Errorf("%s: %+v, %v", c.what, d, err)
		}
	}
	for _, r := range []flashgate.Reservation{again, rs[2]} {
		if _, err := f.Orders.Order(t.Context(), r.Order); flashgate.ErrorCode(err) != flashgate.CodeNotFound {
			t.Errorf("a refused order has a row: %v", err)
		}
	}
	if s := readSale(t, f.Sales, sale.ID); s.StockLeft != 0 || s.Seq != 2 {
		t.Errorf("stock left %d, seq %d; want 0 and 2", s.StockLeft, s.Seq)
	}
	// What was refused may be placed when there are units again.
	cancel(t, f.Database, rs[0])
	if d, err := p.Place(t.Context(), sale.ID, rs[2], unpaid); err != nil || d.Status != flashgate.StatusPending {
		t.Errorf("after a cancel: %+v, %v", d, err)
	}
	if live := wantDatabaseSum(t, f.Database, sale.ID, rs); live != 2 {
		t.Errorf("%d live orders, want 2", live)
	}
}

// placerBad: what cannot be decided is an error, and no dead letter.
func placerBad(t *testing.T, f DatabaseFixture) {
	p, sale, other := f.Ledger.(flashgate.Placer), newSale(5, 2), newSale(5, 2)
	f.Sale(t, sale)
	stands := reservation(sale.ID, newUser(), 1)
	place(t, f.Database, sale.ID, unpaid, stands)
	mismatch := stands
	mismatch.User = newUser()
	bad := badReservations(sale.ID)
	foreign := reservation(other.ID, newUser(), 1)
	for what, c := range map[string]struct {
		sale flashgate.SaleID
		r    flashgate.Reservation
		code flashgate.Code
	}{
		"another's id":   {sale.ID, mismatch, flashgate.CodeInvalid},
		"another sale's": {sale.ID, foreign, flashgate.CodeInvalid},
		"no sale":        {other.ID, foreign, flashgate.CodeNotFound},
	} {
		if d, err := p.Place(t.Context(), c.sale, c.r, unpaid); flashgate.ErrorCode(err) != c.code {
			t.Errorf("%s: %+v, %v, want %s", what, d, err, c.code)
		}
	}
	for what, r := range bad {
		if d, err := p.Place(t.Context(), sale.ID, r, unpaid); flashgate.ErrorCode(err) != flashgate.CodeInvalid {
			t.Errorf("%v: %+v, %v", what, d, err)
		}
	}
	letters, err := f.DeadLetters.DeadLetters(t.Context(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range letters { // the database may be shared with other cases
		if l.Sale == sale.ID || l.Sale == other.ID {
			t.Errorf("a dead letter: %+v", l)
		}
	}
}

// placerConcurrently: as many orders as units, whoever comes at once, and also beside
// batches.
func placerConcurrently(t *testing.T, f DatabaseFixture) {
	const units, users = 25, 60
	p, sale := f.Ledger.(flashgate.Placer), newSale(units, 1)
	f.Sale(t, sale)
	rs := reservations(sale.ID, users)
	concurrently(2*users, func(i int) {
		r := rs[i/2] // each twice at once
		if i%7 == 0 {
			if _, err := f.Ledger.Decide(t.Context(), sale.ID, []flashgate.Reservation{r}, unpaid); err != nil {
				t.Errorf("Decide: %v", err)
			}
			return
		}
		d, err := p.Place(t.Context(), sale.ID, r, unpaid)
		if err != nil || d.Status == flashgate.StatusRejected && d.Reason != flashgate.ReasonSoldOut {
			t.Errorf("Place: %+v, %v", d, err)
		}
	})
	live := 0
	for _, r := range rs {
		if o, err := f.Orders.Order(t.Context(), r.Order); err == nil && o.Status.Live() {
			live++
		}
	}
	if s := readSale(t, f.Sales, sale.ID); live != units || s.StockLeft != 0 {
		t.Errorf("%d live orders and %d units left, want %d and 0", live, s.StockLeft, units)
	}
}
