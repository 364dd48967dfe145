package shop

import (
	"context"
	"time"

	"flashgate"
)

// How long a change may wait to be seen at the gate, and how often it looks.
const (
	gatePatience = 3 * time.Second
	gateLook     = 10 * time.Millisecond
)

// reached waits until the gate has learnt what the database knew of the sale when it
// was called, so that who reads our answer and presses a button finds the gate of
// the same opinion. It gives no error: the change is made, and a gate that is away
// learns of it when it is back.
func (s *Service) reached(ctx context.Context, id flashgate.SaleID) {
	sale, err := s.cfg.Sales.Sale(ctx, id)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, gatePatience)
	defer cancel()
	tick := time.NewTicker(gateLook)
	defer tick.Stop()
	for {
		v, err := s.cfg.Stock.View(ctx, id)
		if err == nil && v.Open && v.Applied >= sale.Seq {
			return
		}
		if err != nil && flashgate.ErrorCode(err) != flashgate.CodeNotFound {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// standing is what gate and database together know of an id.
type standing struct {
	order flashgate.Order
	found bool // there is a row or a dead letter
	held  flashgate.Reservation
	waits bool // the gate holds it
}

// stand reads held before the row: an order that is decided in between is found by
// the second look, whereas the other way round it would be in neither.
func (s *Service) stand(ctx context.Context, id flashgate.OrderID) (st standing, err error) {
	held, waits, heldErr := s.cfg.Stock.Held(ctx, id)
	o, err := s.cfg.Orders.Order(ctx, id)
	switch flashgate.ErrorCode(err) {
	case "":
		return standing{order: o, found: true}, nil
	case flashgate.CodeNotFound:
		// Without the gate nobody can say that there is no such order.
		return standing{held: held, waits: waits}, heldErr
	default:
		return standing{}, err
	}
}

// open reports whether the sale's gate knows what it holds, and since which epoch.
// A gate that has never heard of a sale of the database has lost it, or is about to
// be opened for the first time. Of a sale that is nowhere there is nothing to know.
func (s *Service) open(ctx context.Context, id flashgate.SaleID) (epoch uint64, open bool, err error) {
	v, err := s.cfg.Stock.View(ctx, id)
	if flashgate.ErrorCode(err) != flashgate.CodeNotFound {
		return v.Epoch, err == nil && v.Open, err
	}
	if _, err = s.cfg.Sales.Sale(ctx, id); flashgate.ErrorCode(err) == flashgate.CodeNotFound {
		return 0, true, nil
	}
	return 0, false, err
}
