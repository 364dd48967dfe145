package sqlite_test

import (
	"context"
	"sync"
	"testing"

	"flashgate"
)

// mixedGate answers View with the counters of the time before and the seq of now, as two
// reads that are not of one moment would.
type mixedGate struct {
	flashgate.Stock
	mu   sync.Mutex
	last map[flashgate.SaleID]flashgate.StockView
}

func (g *mixedGate) View(ctx context.Context, sale flashgate.SaleID) (flashgate.StockView, error) {
	v, err := g.Stock.View(ctx, sale)
	if err != nil {
		return v, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	last, ok := g.last[sale]
	g.last[sale] = v
	if ok {
		v.Free, v.Held = last.Free, last.Held
	}
	return v, nil
}

// hastyGate says that it is sold out when a call was not waited for.
type hastyGate struct{ flashgate.Stock }

func (g hastyGate) Reserve(ctx context.Context, sale flashgate.SaleID, rs []flashgate.Reservation) ([]flashgate.Reserved, error) {
	v, _ := g.View(context.WithoutCancel(ctx), sale)
	out, err := g.Stock.Reserve(ctx, sale, rs)
	if err == nil {
		return out, nil
	}
	out = make([]flashgate.Reserved, len(rs))
	for i := range out {
		out[i] = flashgate.Reserved{Outcome: flashgate.OutcomeSoldOut, Epoch: v.Epoch, Applied: v.Applied}
	}
	return out, nil
}

// TestLinearizabilityCatchesPlantedBugs: a judge that refutes nothing proves nothing.
func TestLinearizabilityCatchesPlantedBugs(t *testing.T) {
	t.Parallel()
	for name, wrap := range map[string]func(flashgate.Stock) flashgate.Stock{
		"a view is of two moments": func(s flashgate.Stock) flashgate.Stock {
			return &mixedGate{Stock: s, last: map[flashgate.SaleID]flashgate.StockView{}}
		},
		"no answer is a refusal": func(s flashgate.Stock) flashgate.Stock { return hastyGate{s} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !linearRun(t, wrap).Refuted() {
				t.Error("an order was found that explains every answer")
			}
		})
	}
}
