package main_test

import (
	"context"
	"testing"
	"time"
)

// 20,000 buyers for 15,000 units: every order is in the database, none is rejected
// after a 202, and nothing is held or queued at the end.
func TestLargeSale(t *testing.T) {
	s := startSite(t)
	a := s.audit(t)
	const n, units = 20_000, 15_000
	sale := s.newSale(t, "large", units)
	buyers := s.crowd(t, sale, n)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	y := newTally(n)
	began := time.Now()
	each(buyers, 256, func(_ int, b *buyer) { b.press(ctx, y) })
	pressed := time.Since(began)
	b := a.rest(t, sale)
	t.Logf("%d buyers, %d units: pressed in %v, at rest after %v; answers %v, %d repeats; books %+v",
		n, units, pressed.Round(time.Millisecond), time.Since(began).Round(time.Millisecond), y.final, y.repeats, b)
	if b.Orders != units || b.StockLeft != 0 || b.SoldOut != 0 {
		t.Errorf("%d orders, %d units left, %d rejected(sold_out); want %d, 0, 0", b.Orders, b.StockLeft, b.SoldOut, units)
	}
	if y.final["202"] != units || y.final["sold_out"] != n-units {
		t.Errorf("answers %v, want %d times 202 and %d times sold_out", y.final, units, n-units)
	}
	if rows := a.rows(t, y.accepted); rows["pending"] != units || len(rows) != 1 {
		t.Errorf("the rows of the ids with a 202: %v", rows)
	}
}

// press buys until the gateway has given a clear answer, and does not wait for the
// order.
func (b *buyer) press(ctx context.Context, y *tally) {
	for try := int(b.minted.Order[len(b.minted.Order)-1]); ctx.Err() == nil; try++ {
		a, err := b.clients[try%2].Buy(ctx, b.sale, b.minted.Path)
		switch {
		case err == nil && a.Status == 202:
			y.accept(b.minted.Order)
			y.note("202")
			return
		case err == nil && a.Status < 500 && a.Code != "path_invalid":
			y.note(string(a.Code))
			return
		case err == nil && a.Status < 500:
			b.mint()
		}
		y.repeat()
		pause(ctx, 100*time.Millisecond)
	}
	y.note("out of time")
}
