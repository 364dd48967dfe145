package redis_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/conformance/stockhistory"
	"flashgate/internal/redis"

	goredis "github.com/redis/go-redis/v9"
)

// staleGate answers View with what it was the time before.
type staleGate struct {
	flashgate.Stock
	mu   sync.Mutex
	last map[flashgate.SaleID]flashgate.StockView
}

func (g *staleGate) View(ctx context.Context, sale flashgate.SaleID) (flashgate.StockView, error) {
	v, err := g.Stock.View(ctx, sale)
	if err != nil {
		return v, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	last, ok := g.last[sale]
	g.last[sale] = v
	if !ok {
		return v, nil
	}
	return last, nil
}

// forgetfulGate forgets an id when it does not know what has become of it.
type forgetfulGate struct {
	flashgate.Stock
	raw *goredis.Client
}

func (g forgetfulGate) Reserve(ctx context.Context, sale flashgate.SaleID, rs []flashgate.Reservation) ([]flashgate.Reserved, error) {
	out, err := g.Stock.Reserve(ctx, sale, rs)
	if err != nil {
		prefix := "flashgate:{" + string(sale) + "}:"
		for _, r := range rs {
			err = errors.Join(err, g.raw.HDel(ctx, prefix+"held", string(r.Order)).Err(), g.raw.ZRem(ctx, prefix+"outbox", string(r.Order)).Err())
		}
	}
	return out, err
}

// hastyGate believes that what was not answered was not done.
type hastyGate struct{ flashgate.Stock }

// Reserve says that it is sold out when it does not know.
func (g hastyGate) Reserve(ctx context.Context, sale flashgate.SaleID, rs []flashgate.Reservation) ([]flashgate.Reserved, error) {
	out, err := g.Stock.Reserve(ctx, sale, rs)
	if err == nil || errors.Is(err, redis.ErrNotReserved) {
		return out, err
	}
	out = slices.Repeat([]flashgate.Reserved{{Outcome: flashgate.OutcomeSoldOut}}, len(rs))
	return out, nil
}

// lostAnswer is a short run: one buyer, whose call takes effect and is not answered, and
// who asks again.
func (run *linearRun) lostAnswer() bool {
	ctx, sale, gate := run.t.Context(), run.sales[0], run.gates[0]
	c := stockhistory.Caller{Recorder: run.recorder}
	first, other := sale.Reservations[0], sale.Reservations[4]
	view := func() {
		_, err := c.View(ctx, gate, sale.Sale)
		if err = errors.Join(err, c.Held(ctx, run.direct, sale.Sale, first.Order)); err != nil {
			run.t.Error(err)
		}
	}
	view()
	if _, err := c.Reserve(ctx, gate, sale.Sale, other); err != nil { // so that the server has the script
		run.t.Error(err)
	}
	view()
	err := run.links[0].infect(lostAnswers, func() { _, _ = c.Reserve(ctx, gate, sale.Sale, first) })
	if err != nil {
		run.t.Error(err)
	}
	if _, err := c.Reserve(ctx, gate, sale.Sale, first); err != nil {
		run.t.Error(err)
	}
	view()
	return run.recorder.Refuted()
}

// TestLinearizabilityCatchesPlantedBugs: a judge that refutes nothing proves nothing, nor
// does one that refutes everything.
func TestLinearizabilityCatchesPlantedBugs(t *testing.T) {
	t.Parallel()
	for name, bug := range map[string]struct {
		refuted bool
		wrap    func(*redis.Store, *goredis.Client) flashgate.Stock
	}{
		"none": {false, bare},
		"a view is that of a moment ago": {true, func(s *redis.Store, _ *goredis.Client) flashgate.Stock {
			return &staleGate{Stock: s, last: map[flashgate.SaleID]flashgate.StockView{}}
		}},
		"an id is forgotten when the answer is unknown": {true, func(s *redis.Store, raw *goredis.Client) flashgate.Stock { return forgetfulGate{s, raw} }},
		"no answer is a refusal":                        {true, func(s *redis.Store, _ *goredis.Client) flashgate.Stock { return hastyGate{s} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// The server has this long to do what it then cannot tell.
			if refuted := newLinearRun(t, 2*time.Second, bug.wrap).lostAnswer(); refuted != bug.refuted {
				t.Errorf("refuted: %v, want %v", refuted, bug.refuted)
			}
		})
	}
}
