package shop

import (
	"context"
	"time"

	"flashgate"
)

// SaleView is a sale as a visitor sees it.
type SaleView struct {
	Sale      flashgate.Sale
	Goods     flashgate.Goods
	Phase     flashgate.Phase
	StockLeft int64 // units that can be bought now
	SoldOut   bool
	Now       time.Time // the clock that decided Phase
}

// Sales shows all sales by id.
func (s *Service) Sales(ctx context.Context) ([]SaleView, error) {
	sales, err := s.cfg.Sales.Sales(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]SaleView, 0, len(sales))
	for _, sale := range sales {
		v, err := s.view(ctx, sale)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// Sale shows one sale.
func (s *Service) Sale(ctx context.Context, id flashgate.SaleID) (SaleView, error) {
	sale, err := s.cfg.Sales.Sale(ctx, id)
	if err != nil {
		return SaleView{}, err
	}
	return s.view(ctx, sale)
}

// SaleOfGoods shows the sale of a product that matters most to a visitor: the one
// that is open, else the next, else the last. Without a sale it is CodeNotFound.
func (s *Service) SaleOfGoods(ctx context.Context, id flashgate.GoodsID) (SaleView, error) {
	sales, err := s.cfg.Sales.Sales(ctx)
	if err != nil {
		return SaleView{}, err
	}
	var best *flashgate.Sale
	now := time.Now()
	for i := range sales {
		if c := &sales[i]; c.Goods == id && (best == nil || better(c, best, now)) {
			best = c
		}
	}
	if best == nil {
		return SaleView{}, flashgate.Errorf(flashgate.CodeNotFound, "shop.SaleOfGoods", "This product is in no sale.")
	}
	return s.view(ctx, *best)
}

func better(a, b *flashgate.Sale, now time.Time) bool {
	rank := map[flashgate.Phase]int{flashgate.PhaseOpen: 2, flashgate.PhaseUpcoming: 1, flashgate.PhaseEnded: 0}
	pa, pb := flashgate.PhaseAt(now, a.Starts, a.Ends), flashgate.PhaseAt(now, b.Starts, b.Ends)
	switch {
	case pa != pb:
		return rank[pa] > rank[pb]
	case pa == flashgate.PhaseUpcoming:
		return a.Starts.Before(b.Starts)
	default:
		return a.Ends.After(b.Ends)
	}
}

// view asks the gate, because the gate is what decides whether one can buy. While
// the gate is away the database's numbers stand in.
func (s *Service) view(ctx context.Context, sale flashgate.Sale) (SaleView, error) {
	goods, err := s.cfg.Goods.Goods(ctx, sale.Goods)
	if flashgate.ErrorCode(err) == flashgate.CodeNotFound {
		goods = flashgate.Goods{ID: sale.Goods, Title: string(sale.Goods)}
	} else if err != nil {
		return SaleView{}, err
	}
	v := SaleView{Sale: sale, Goods: goods, StockLeft: sale.StockLeft, Now: time.Now()}
	if gate, err := s.cfg.Stock.View(ctx, sale.ID); err == nil {
		v.Sale.Starts, v.Sale.Ends = gate.Starts, gate.Ends
		v.StockLeft, v.Now = max(gate.Free, 0), gate.Now
	}
	v.SoldOut = v.StockLeft == 0
	v.Phase = flashgate.PhaseAt(v.Now, v.Sale.Starts, v.Sale.Ends)
	return v, nil
}

// CreateSale makes a sale. Only an administrator may.
func (s *Service) CreateSale(ctx context.Context, who flashgate.User, sale flashgate.Sale) (SaleView, error) {
	if err := MayAdminister(who); err != nil {
		return SaleView{}, err
	}
	if _, err := s.cfg.Goods.Goods(ctx, sale.Goods); flashgate.ErrorCode(err) == flashgate.CodeNotFound {
		return SaleView{}, flashgate.Invalid("shop.CreateSale", "goods", "there is no such product")
	} else if err != nil {
		return SaleView{}, err
	}
	if err := s.cfg.Sales.CreateSale(ctx, sale); err != nil {
		return SaleView{}, err
	}
	s.reached(ctx, sale.ID)
	return s.Sale(ctx, sale.ID)
}

// ChangeSale opens, closes, moves or restocks a sale. Only an administrator may.
func (s *Service) ChangeSale(ctx context.Context, who flashgate.User, id flashgate.SaleID, c flashgate.SaleChange) (SaleView, error) {
	if err := MayAdminister(who); err != nil {
		return SaleView{}, err
	}
	if c.Restock > 0 {
		sale, err := s.cfg.Sales.Sale(ctx, id)
		if err == nil {
			err = c.ValidateFor(sale, time.Now())
		}
		if err != nil {
			return SaleView{}, err
		}
	}
	if _, err := s.cfg.Sales.ChangeSale(ctx, id, c); err != nil {
		return SaleView{}, err
	}
	s.reached(ctx, id)
	return s.Sale(ctx, id)
}

// MayAdminister is nil for an administrator and CodeForbidden for everybody else.
func MayAdminister(who flashgate.User) error {
	if who.Role != flashgate.RoleAdministrator {
		return flashgate.Errorf(flashgate.CodeForbidden, "shop", "Only administrators may do this.")
	}
	return nil
}
