package conformance

import (
	"testing"
	"time"

	"flashgate"
)

// watches reports whether a stock hears of units that come free.
func watches(s flashgate.Stock) bool {
	_, ok := s.(flashgate.FreedWatcher)
	return ok
}

// stockPosition: every answer says from which state of the gate it is.
func stockPosition(t *testing.T, f StockFixture) {
	sale := newSale(2, 1)
	f.Sale(t, sale)
	first := reservation(sale.ID, newUser(), 1)
	hold(t, f.Stock, sale.ID, first)
	place(t, f.Database, sale.ID, unpaid, first)
	f.follow(t)
	other := first
	other.Units = 2
	at := view(t, f.Stock, sale.ID)
	if at.Applied != 1 {
		t.Fatalf("%d is applied after one decision", at.Applied)
	}
	// Known, over the limit, new, sold out, and with another payload.
	for i, o := range reserve(t, f.Stock, sale.ID, first, reservation(sale.ID, first.User, 1),
		reservation(sale.ID, newUser(), 1), reservation(sale.ID, newUser(), 1), other) {
		if o.Position() != (flashgate.Position{Epoch: at.Epoch, Applied: at.Applied}) {
			t.Errorf("answer %d (outcome %d) is from %+v, the gate is at epoch %d and %d", i, o.Outcome, o.Position(), at.Epoch, at.Applied)
		}
		if soldOut := o.Outcome == flashgate.OutcomeSoldOut; soldOut != (o.EndsIn > 55*time.Minute && o.EndsIn <= time.Hour) {
			t.Errorf("answer %d (outcome %d): the sale ends in %v, want about an hour with sold out", i, o.Outcome, o.EndsIn)
		}
	}
	if o := refuse(t, f.Stock, flashgate.OutcomeClosed, reservation(newSale(1, 1).ID, newUser(), 1), "an unknown sale"); o.Position() != (flashgate.Position{}) {
		t.Errorf("an unknown sale is at %+v", o.Position())
	}
}

// refusal is an answer, and what is known of the time before it.
type refusal struct {
	watcher flashgate.FreedWatcher
	sale    flashgate.SaleID
	term    uint64
	at      flashgate.Position
}

// askedSoldOut gets an answer that must count until something comes free.
func askedSoldOut(t testing.TB, s flashgate.Stock, sale flashgate.SaleID, what string) refusal {
	t.Helper()
	return askedRefusal(t, s, flashgate.OutcomeSoldOut, sale, what)
}

// askedRefusal gets an answer that must count until the sale changes.
func askedRefusal(t testing.TB, s flashgate.Stock, want flashgate.Outcome, sale flashgate.SaleID, what string) refusal {
	t.Helper()
	a := refusal{watcher: s.(flashgate.FreedWatcher), sale: sale}
	eventually(t, "the watcher hears", func() bool {
		a.term = a.watcher.Freed(t.Context(), sale).Term
		return a.term != 0
	})
	a.at = refuse(t, s, want, reservation(sale, newUser(), 1), what).Position()
	if !a.counts(t) {
		t.Errorf("%s: a new answer from %+v does not count: %+v", what, a.at, a.watcher.Freed(t.Context(), sale))
	}
	return a
}

func (a refusal) counts(t testing.TB) bool {
	f := a.watcher.Freed(t.Context(), a.sale)
	return f.Term == a.term && !a.at.Before(f.Since)
}

// stockFreed: whatever brings units back, or moves the window, is heard of: an answer
// "sold out" from before does not count any more, and one from afterwards does.
func stockFreed(t *testing.T, f StockFixture) {
	for what, free := range map[string]func(t *testing.T, sale flashgate.SaleID, taken flashgate.Reservation){
		"a restock": func(t *testing.T, sale flashgate.SaleID, _ flashgate.Reservation) {
			change(t, DatabaseFixture{Database: f.Database}, sale, flashgate.SaleChange{Restock: 1})
		},
		"a cancel": func(t *testing.T, sale flashgate.SaleID, taken flashgate.Reservation) {
			place(t, f.Database, sale, unpaid, taken)
			f.follow(t)
			cancel(t, f.Database, taken)
		},
		"an expiry": func(t *testing.T, sale flashgate.SaleID, taken flashgate.Reservation) {
			place(t, f.Database, sale, time.Millisecond, taken)
			f.follow(t)
			expire(t, f.Database, taken.Order)
		},
		"a rejection": func(t *testing.T, _ flashgate.SaleID, taken flashgate.Reservation) {
			deadLetter(t, f.Database, taken)
			f.follow(t)
			drop(t, f.Database, taken.Order)
		},
		"an end": func(t *testing.T, sale flashgate.SaleID, _ flashgate.Reservation) {
			change(t, DatabaseFixture{Database: f.Database}, sale, flashgate.SaleChange{Close: true})
		},
	} {
		t.Run(what, func(t *testing.T) {
			sale := newSale(1, 1)
			f.Sale(t, sale)
			taken := reservation(sale.ID, newUser(), 1)
			hold(t, f.Stock, sale.ID, taken)
			before := askedSoldOut(t, f.Stock, sale.ID, "before "+what)
			free(t, sale.ID, taken)
			f.follow(t)
			eventually(t, "the answer from before "+what+" does not count any more", func() bool { return !before.counts(t) })
			if what == "an end" {
				refuse(t, f.Stock, flashgate.OutcomeEnded, reservation(sale.ID, newUser(), 1), "ended")
				return
			}
			hold(t, f.Stock, sale.ID, reservation(sale.ID, newUser(), 1))
			askedSoldOut(t, f.Stock, sale.ID, "after "+what)
			if before.counts(t) {
				t.Errorf("the answer from before %s counts again", what)
			}
		})
	}
}

// stockFreedByAnotherWindow: an answer "ended" or "not started" does not count any more
// once the window has moved, wherever to.
func stockFreedByAnotherWindow(t *testing.T, f StockFixture) {
	at := func(d time.Duration) *time.Time {
		moved := now().Add(d)
		return &moved
	}
	for what, c := range map[string]struct {
		sale          flashgate.Sale
		before, after flashgate.Outcome
		change        flashgate.SaleChange
	}{
		"ended, and open again":    {ended(newSale(5, 1)), flashgate.OutcomeEnded, 0, flashgate.SaleChange{Ends: at(time.Hour)}},
		"ended, and once more":     {ended(newSale(5, 1)), flashgate.OutcomeEnded, flashgate.OutcomeNotStarted, flashgate.SaleChange{Starts: at(time.Hour), Ends: at(2 * time.Hour)}},
		"upcoming, and open early": {upcoming(newSale(5, 1)), flashgate.OutcomeNotStarted, 0, flashgate.SaleChange{Starts: at(-time.Hour)}},
		"upcoming, and later":      {upcoming(newSale(5, 1)), flashgate.OutcomeNotStarted, flashgate.OutcomeNotStarted, flashgate.SaleChange{Starts: at(90 * time.Minute)}},
		"upcoming, and closed":     {upcoming(newSale(5, 1)), flashgate.OutcomeNotStarted, flashgate.OutcomeEnded, flashgate.SaleChange{Close: true}},
	} {
		t.Run(what, func(t *testing.T) {
			f.Sale(t, c.sale)
			before := askedRefusal(t, f.Stock, c.before, c.sale.ID, "before")
			change(t, DatabaseFixture{Database: f.Database}, c.sale.ID, c.change)
			f.follow(t)
			eventually(t, "the answer from before does not count any more", func() bool { return !before.counts(t) })
			if c.after == 0 {
				hold(t, f.Stock, c.sale.ID, reservation(c.sale.ID, newUser(), 1))
			} else {
				askedRefusal(t, f.Stock, c.after, c.sale.ID, "after")
			}
			if before.counts(t) {
				t.Error("the answer from before counts again")
			}
		})
	}
}

// applierFreedBySettling: settling applies nothing, and brings units back all the same.
func applierFreedBySettling(t *testing.T, f GateFixture) {
	sale := openGate(t, f, 1, 1)
	r := reservation(sale.ID, newUser(), 1)
	apply(t, f, sale.ID, 1, entry(sale.ID, 1, changeOf(flashgate.ChangeRestock, flashgate.Reservation{Units: 0})))
	hold(t, f.Stock, sale.ID, r)
	before := askedSoldOut(t, f.Stock, sale.ID, "before it is settled")
	settle(t, f, sale.ID, 1, r)
	eventually(t, "the answer from before does not count any more", func() bool { return !before.counts(t) })
	wantView(t, f.Stock, sale.ID, 1, 0, "settled")
}

// openerFreedByOpening: in another epoch nothing counts of what was said before.
func openerFreedByOpening(t *testing.T, f GateFixture) {
	sale := openGate(t, f, 0, 1)
	before := askedSoldOut(t, f.Stock, sale.ID, "before it is opened again")
	reopen(t, f, snapshotOf(sale, 2, 0, 0), flashgate.Opened{})
	eventually(t, "the answer from before does not count any more", func() bool { return !before.counts(t) })
	askedSoldOut(t, f.Stock, sale.ID, "opened again")
}
