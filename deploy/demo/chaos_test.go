package main_test

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"flashgate"
	"flashgate/deploy/chaos"
	"flashgate/deploy/contract"
	"flashgate/shopapp/shop"
)

var (
	chaosKills = flag.Int("chaos.embedded.kills", 12, "TestChaosEmbedded goes on until it has killed the process so often, and at least until each kind of fault has come once")
	chaosSeed  = flag.Uint64("chaos.seed", 1, "seed of TestChaosEmbedded's faults and customers; 0 draws one")
)

// campaign is one demo, of one process on one file, that is killed, frozen and stopped
// again and again and started on the same data, while customers buy, repeat, pay, cancel,
// let orders expire and come back.
type campaign struct {
	*demo
	random     *rand.Rand
	points     string // the folder of the failpoints
	journal    *chaos.Journal
	books      *auditor
	newcomers  chan *contract.Client // who have not bought yet
	seeded     map[flashgate.SaleID]int64
	pulse      pulse
	count      counts
	duplicates duplicates
}

// `make chaos` runs it for long. An auditor that shares no adapter with the demo samples
// the sums under load, reads what each dead process has left, and judges the customers'
// journal when all has come to rest. The faults and their order follow from the seed,
// their effects also from the machine.
func TestChaosEmbedded(t *testing.T) {
	seed := *chaosSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d (repeat it with -chaos.seed)", seed)
	c := startCampaign(t, seed)
	selling, end := context.WithCancel(t.Context())
	defer end()
	enough, give := context.WithCancel(t.Context())
	defer give()
	var shopping, rest sync.WaitGroup
	for i := range 50 {
		cu := &customer{campaign: c, sale: [...]flashgate.SaleID{scarce, plenty, scarce, plenty, "1"}[i%5], random: rand.New(rand.NewPCG(seed, uint64(2+i)))}
		shopping.Go(func() { cu.shopping(selling, enough) })
	}
	rest.Go(func() { c.books.watch(selling) })
	admin := c.login(t, shop.DemoAdministrator)
	rest.Go(func() { c.restock(selling, admin, rand.New(rand.NewPCG(seed, 1))) })

	begin := time.Now()
	c.pulse.reset()
	c.sells(t)
	c.rounds(t)
	took := time.Since(begin)
	end()
	late := time.AfterFunc(patience, give)
	shopping.Wait()
	rest.Wait()
	if !late.Stop() {
		t.Error("P2: customers were left without a clear answer")
	}
	c.report(t, took)
}

// rounds hits with one fault after the other, at least one round.
func (c *campaign) rounds(t *testing.T) {
	for first := true; first || c.count.kills.Total() < *chaosKills; first = false {
		var deck []misfortune
		for _, m := range c.misfortunes() {
			n := m.times
			if first {
				n = 1
			}
			deck = append(deck, slices.Repeat([]misfortune{m}, n)...)
		}
		c.random.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
		for _, m := range deck {
			if !first && c.count.kills.Total() >= *chaosKills {
				return
			}
			c.wait(t, 600*time.Millisecond)
			c.invite(t)
			must(t, c.duplicates.look(t.Context()))
			c.alive(t)
			begin := time.Now()
			m.hit(t)
			c.count.fault(m.name)
			if testing.Verbose() {
				t.Logf("%s: %v", m.name, time.Since(begin).Round(time.Millisecond))
			}
		}
	}
}

// restock adds a unit now and then. Whether one that was not answered was added is not
// known, and it is not asked for again.
func (c *campaign) restock(ctx context.Context, admin *contract.Client, random *rand.Rand) {
	for ctx.Err() == nil {
		pause(ctx, 200*time.Millisecond+upTo(random, 600*time.Millisecond))
		l := chaos.Line{Asks: true, Do: chaos.Restock, Sale: scarce, At: time.Now()}
		if random.IntN(4) == 0 {
			l.Sale = "1"
		}
		c.journal.Write(l)
		a, err := admin.Do(context.WithoutCancel(ctx), http.MethodPatch, "/api/admin/sales/"+string(l.Sale), map[string]any{"restock": 1})
		l.Asks, l.At = false, time.Now()
		if err == nil {
			l.Status, l.Code = a.Status, a.Code
		}
		c.journal.Write(l)
		if l.Status != http.StatusOK && !l.Unclear() {
			c.count.odd("a restock: " + a.String())
		}
	}
}

// report audits, prints the figures, and fails where the campaign has shown nothing.
func (c *campaign) report(t *testing.T, took time.Duration) {
	t.Helper()
	ctx := t.Context()
	for _, s := range c.rest(t) {
		if c.seeded[s.sale] > 0 {
			t.Logf("at rest: %+v", s)
		}
		if s.sale == scarce {
			c.sellOut(t, s.left)
		}
	}
	c.rest(t)
	c.alive(t)
	must(t, c.duplicates.look(ctx))
	c.terminate(t)
	must(t, c.books.autopsy(ctx, c.journal.Accepted()))
	var v *verdict
	must(t, c.books.onCopy(func(db *sql.DB) (err error) {
		v, err = judge(ctx, c.journal.Close(t), db, c.seeded)
		return err
	}))
	c.figures(t, took, v)
	c.enough(t, v)
}

// rest waits until nothing is on its way.
func (c *campaign) rest(t *testing.T) (all []sums) {
	t.Helper()
	c.until(t, "P2, P4: every reservation is decided, every order that is not paid has expired", func() bool {
		pause(t.Context(), 100*time.Millisecond)
		now, err := c.books.look(t.Context())
		all = now
		return err == nil && !slices.ContainsFunc(now, func(s sums) bool { return !s.atRest() })
	})
	return all
}

// sellOut sells what the books say is left of the sale that everybody wants: no more
// than that can be bought, and no less, whatever a gateway remembers of it.
func (c *campaign) sellOut(t *testing.T, left int64) {
	t.Helper()
	ctx, give := context.WithTimeout(t.Context(), patience)
	defer give()
	cu := &customer{campaign: c, sale: scarce, random: c.random}
	var bought int64
	for cu.replace(ctx); cu.mint(ctx) && cu.buy(ctx); cu.replace(ctx) {
		bought++
		cu.decided(ctx)
		cu.settle(ctx, chaos.Pay)
	}
	if bought != left {
		t.Errorf("P1, P4: %d units of sale %s were left, %d could be bought", left, scarce, bought)
	}
}

func (c *campaign) figures(t *testing.T, took time.Duration, v *verdict) {
	t.Helper()
	for _, broken := range [][]string{v.broken, c.books.broken} {
		for i, b := range broken {
			if i == 20 {
				t.Errorf("and %d more", len(broken)-i)
				break
			}
			t.Error(b)
		}
	}
	for answer, n := range c.count.strange {
		t.Errorf("an answer that no customer may get, %d times: %s", n, answer)
	}
	t.Logf("campaign: %v, %d faults: %v", took.Round(time.Second), c.count.faults.Total(), c.count.faults)
	t.Logf("kills: %d: %v", c.count.kills.Total(), c.count.kills)
	t.Logf("failpoints hit: %d: %v", c.count.points.Total(), c.count.points)
	t.Logf("clients: %v", v)
	t.Logf("promises: oversold %d, lost %d, doubled %d, drift %d; the sums were compared %d times under load and %d times in what a dead process had left; %d looks came to nothing",
		c.books.oversold, v.lost, v.doubled, c.books.drift, c.books.live, c.books.dead, c.books.failed)
	t.Logf("duplicates suppressed: %.0f", c.duplicates.sum)
	t.Logf("recovery: p50 %v, p99 %v, of %d; from a restart until a purchase that was asked for later is answered clearly",
		c.count.percentile(50), c.count.percentile(99), len(c.count.recoveries))
}

// enough fails the campaign where it has not hit what it was to hit.
func (c *campaign) enough(t *testing.T, v *verdict) {
	t.Helper()
	chaos.AtLeast(t, *chaosKills, "kills", c.count.kills.Total())
	for _, point := range passed {
		chaos.AtLeast(t, 2, "failpoint "+string(point), c.count.points[string(point)])
	}
	for _, m := range c.misfortunes() {
		chaos.AtLeast(t, 1, fmt.Sprintf("fault %q", m.name), c.count.faults[m.name])
	}
	for what, n := range map[string]int{
		"202s": v.accepted, "unclear answers": v.unclear, "504s": v.unknown, "repeats of what was taken already": v.rescued,
		"paid": v.paid, "payments that came too late": v.late, "cancelled": v.cancelled, "bought again after a cancel": v.again, "expired": v.expired,
		"refusals because it was sold out": v.soldOut, "refusals because they had bought": v.greedy, "restocks": v.restocked, "duplicates suppressed": int(c.duplicates.sum),
		"looks under load": c.books.live, "looks at what a dead process has left": c.books.dead, "recoveries": len(c.count.recoveries),
	} {
		chaos.AtLeast(t, 1, what, n)
	}
}
