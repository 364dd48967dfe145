package conformance

import (
	"sync"
	"sync/atomic"
	"testing"

	"flashgate"
)

// tally collects what concurrent buyers were told.
type tally struct {
	mu       sync.Mutex
	accepted []flashgate.Reservation
	other    map[flashgate.Outcome]int
}

// buy reserves from any goroutine; errors are reported, not fatal.
func (ta *tally) buy(t *testing.T, s flashgate.Stock, sale flashgate.SaleID, rs ...flashgate.Reservation) {
	out, err := s.Reserve(t.Context(), sale, rs)
	if err != nil || len(out) != len(rs) {
		t.Errorf("Reserve: %d answers to %d reservations, error %v", len(out), len(rs), err)
		return
	}
	ta.mu.Lock()
	defer ta.mu.Unlock()
	if ta.other == nil {
		ta.other = map[flashgate.Outcome]int{}
	}
	for i, o := range out {
		if held(o.Outcome) {
			ta.accepted = append(ta.accepted, rs[i])
		} else {
			ta.other[o.Outcome]++
		}
	}
}

func stockConcurrentBuyers(t *testing.T, f StockFixture) {
	const units, users, goroutines = 25, 60, 30
	sale := newSale(units, 1)
	f.Sale(t, sale)
	// Each user asks three times, under three ids and from three goroutines.
	var asked [3 * users]flashgate.Reservation
	for u := range users {
		user := newUser()
		for k := range 3 {
			asked[k*users+u] = reservation(sale.ID, user, 1)
		}
	}
	var ta tally
	each := len(asked) / goroutines
	concurrently(goroutines, func(i int) {
		mine := asked[i*each : (i+1)*each]
		if i%2 == 0 {
			ta.buy(t, f.Stock, sale.ID, mine...)
			return
		}
		for _, r := range mine {
			ta.buy(t, f.Stock, sale.ID, r)
		}
	})
	buyers := map[flashgate.UserID]bool{}
	for _, r := range ta.accepted {
		if buyers[r.User] {
			t.Errorf("user %s was accepted twice", r.User)
		}
		buyers[r.User] = true
		wantHeld(t, f.Stock, r, true, "accepted")
	}
	if len(ta.accepted) != units {
		t.Errorf("%d accepted, want %d", len(ta.accepted), units)
	}
	if n := ta.other[flashgate.OutcomeSoldOut] + ta.other[flashgate.OutcomeAlreadyBought]; n != len(asked)-units {
		t.Errorf("%d plain refusals, want %d: %v", n, len(asked)-units, ta.other)
	}
	wantView(t, f.Stock, sale.ID, 0, units, "after the run")
	if live := wantRest(t, f, sale.ID, asked[:], 0); live != units {
		t.Errorf("%d live orders, want %d", live, units)
	}
	for _, r := range ta.accepted {
		wantOrder(t, f.Database, r.Order, flashgate.StatusPending, "", "accepted")
	}
}

func stockConcurrentRepeats(t *testing.T, f StockFixture) {
	sale := newSale(5, 2)
	f.Sale(t, sale)
	r := reservation(sale.ID, newUser(), 1)
	var ta tally
	concurrently(50, func(int) { ta.buy(t, f.Stock, sale.ID, r) })
	if len(ta.accepted) != 50 {
		t.Errorf("%d of 50 repeats were accepted: %v", len(ta.accepted), ta.other)
	}
	wantView(t, f.Stock, sale.ID, 4, 1, "after 50 repeats")
	if live := wantRest(t, f, sale.ID, []flashgate.Reservation{r}, 0); live != 1 {
		t.Errorf("%d live orders, want 1", live)
	}
}

func stockConcurrentOrdersOfOneUser(t *testing.T, f StockFixture) {
	sale := newSale(100, 3)
	f.Sale(t, sale)
	user := newUser()
	rs := make([]flashgate.Reservation, 50)
	for i := range rs {
		rs[i] = reservation(sale.ID, user, 1)
	}
	var ta tally
	concurrently(len(rs), func(i int) { ta.buy(t, f.Stock, sale.ID, rs[i]) })
	if len(ta.accepted) != 3 || ta.other[flashgate.OutcomeAlreadyBought] != 47 {
		t.Errorf("%d accepted, others %v; want 3 and 47 already bought", len(ta.accepted), ta.other)
	}
	wantView(t, f.Stock, sale.ID, 97, 3, "after the run")
	wantRest(t, f, sale.ID, rs, 0)
}

// stockHeldThenRow: whoever reads Held before the row finds an accepted order in
// one of them, at any moment.
func stockHeldThenRow(t *testing.T, f StockFixture) {
	sale := newSale(60, 1)
	f.Sale(t, sale)
	rs := reservations(sale.ID, 60)
	hold(t, f.Stock, sale.ID, rs...)
	var done atomic.Bool
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			// At least one whole round, also when the decision is quicker.
			for round := 0; round == 0 || !done.Load(); round++ {
				for j := i; j < len(rs); j += 3 {
					_, ok, err := f.Stock.Held(t.Context(), rs[j].Order)
					if err == nil && !ok {
						_, err = f.Orders.Order(t.Context(), rs[j].Order)
					}
					if err != nil {
						t.Errorf("an accepted order is neither held nor a row: %v", err)
						return
					}
				}
			}
		})
	}
	for i := range 6 { // several decisions, so that the readers meet some
		place(t, f.Database, sale.ID, unpaid, rs[5*i:5*i+5]...)
		f.follow(t)
	}
	f.Settle(t) // and the other half by the queue
	done.Store(true)
	wg.Wait()
	if live := wantRest(t, f, sale.ID, rs, 0); live != 60 {
		t.Errorf("%d live orders, want 60", live)
	}
}

// stockConcurrentEverything mixes buying, deciding, cancelling and restocking, and
// looks at the sums when all is at rest.
func stockConcurrentEverything(t *testing.T, f StockFixture) {
	sale := newSale(20, 2)
	f.Sale(t, sale)
	users := make([]flashgate.UserID, 15)
	for i := range users {
		users[i] = newUser()
	}
	var asked [8 * 15]flashgate.Reservation
	for i := range asked {
		asked[i] = reservation(sale.ID, users[i%len(users)], 1+i%2)
	}
	var ta tally
	concurrently(9, func(i int) {
		if i == 8 {
			for range 5 {
				if _, err := f.Sales.ChangeSale(t.Context(), sale.ID, flashgate.SaleChange{Restock: 2}); err != nil {
					t.Errorf("ChangeSale: %v", err)
				}
			}
			return
		}
		for j, r := range asked[15*i : 15*i+15] {
			ta.buy(t, f.Stock, sale.ID, r)
			if j%3 != 0 {
				continue
			}
			// The ledger judges by itself; what the gate refused may be placed here.
			if _, err := f.Ledger.Decide(t.Context(), sale.ID, []flashgate.Reservation{r}, unpaid); err != nil {
				t.Errorf("Decide: %v", err)
			}
			if _, err := f.Orders.Cancel(t.Context(), r.Order, r.User); err != nil && flashgate.ErrorCode(err) != flashgate.CodeWrongState {
				t.Errorf("Cancel: %v", err)
			}
		}
	})
	wantRest(t, f, sale.ID, asked[:], 0)
	s := readSale(t, f.Sales, sale.ID)
	if s.Seeded != 30 {
		t.Errorf("seeded and restocked %d, want 30", s.Seeded)
	}
	for _, r := range ta.accepted {
		readOrder(t, f.Database, r.Order) // exactly one row or dead letter for each 202
	}
}
