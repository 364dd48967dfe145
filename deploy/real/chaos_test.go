package main_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"flashgate"
)

var (
	chaosFor  = flag.Duration("chaos.for", 45*time.Second, "how long TestChaos sells and breaks things")
	chaosSeed = flag.Uint64("chaos.seed", 1, "seed of TestChaos' faults; 0 draws one")
)

// The campaign: customers buy, pay, cancel, let orders expire and come back, while at
// random one process or server after the other is killed, frozen, stopped, emptied or
// set back. An auditor that shares no code with the site reads the clients' journal and
// the servers when all has come to rest.
//
// `make chaos` runs it for long; the faults of a run follow from its seed, their
// effects also from the machine.
func TestChaos(t *testing.T) {
	s := startSite(t, "ORDER_TTL=10s")
	a := s.audit(t)
	seed := *chaosSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d (repeat it with -chaos.seed)", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	sales := []flashgate.SaleID{s.newSale(t, "chaos-a", 60), s.newSale(t, "chaos-b", 40)}
	customers := append(s.crowd(t, sales[0], 150), s.crowd(t, sales[1], 100)...)
	j := newJournal(t)
	selling, close := context.WithTimeout(t.Context(), *chaosFor)
	defer close()
	patience, give := context.WithTimeout(t.Context(), *chaosFor+3*time.Minute)
	defer give()

	var wg sync.WaitGroup
	for _, b := range customers {
		c := &customer{buyer: b, journal: j}
		wg.Go(func() { c.live(selling, patience) })
	}
	samples := make(chan sampled, 1)
	go func() { samples <- a.sample(selling, sales) }()
	go s.restock(selling, sales)
	hits := s.breakThings(t, selling, random)
	wg.Wait()
	if patience.Err() != nil {
		t.Error("customers were left without a clear answer")
	}

	for _, sale := range sales {
		a.unpaid(t, sale)
		b := a.quiet(t, sale)
		t.Logf("sale %s at rest: %+v", sale, b)
	}
	v := a.judge(t, j.close(t), sales)
	got := <-samples
	t.Logf("faults: %s", strings.Join(hits.list(), ", "))
	t.Logf("clients: %s", v)
	t.Logf("P4 under load: %d samples of the database, %d of the gate compared", got.database, got.gate)
	for _, broken := range append(got.broken, v.broken...) {
		t.Error(broken)
	}
	// What proves that the faults have hit.
	for what, n := range map[string]int{
		"faults": hits.total(), "202s": v.accepted, "unclear answers": v.unclear, "cancelled": v.cancelled, "paid": v.paid,
		"samples of the database": got.database, "samples of the gate": got.gate,
	} {
		if n == 0 {
			t.Errorf("%s: none, so this campaign has shown nothing", what)
		}
	}
}

// restock adds a unit now and then.
func (s *site) restock(ctx context.Context, sales []flashgate.SaleID) {
	for ctx.Err() == nil {
		pause(ctx, 2*time.Second)
		// One that is refused, or unclear, is the books' business.
		_, _ = s.database.ChangeSale(ctx, sales[rand.IntN(len(sales))], flashgate.SaleChange{Restock: 1})
	}
}

// tallyOf counts by name.
type tallyOf map[string]int

func (t tallyOf) total() (n int) {
	for _, k := range t {
		n += k
	}
	return n
}

func (t tallyOf) list() (out []string) {
	for name, n := range t {
		out = append(out, fmt.Sprint(name, " ", n))
	}
	slices.Sort(out)
	return out
}
