package main_test

import (
	"context"
	"flag"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"flashgate"
	"flashgate/deploy/chaos"
	"flashgate/internal/failpoint"
	"flashgate/internal/fleet"
	"flashgate/internal/rabbitmq"
	"flashgate/internal/servers"
)

var (
	chaosFor  = flag.Duration("chaos.for", 0, "how long TestChaos goes on with further rounds; 0: one round, each kind of fault once")
	chaosOnly = flag.String("chaos.only", "", "only faults whose name matches this regular expression, to look into one; the campaign is incomplete then")
	chaosSeed = flag.Uint64("chaos.seed", 1, "seed of TestChaos' faults; 0 draws one")
)

// campaign is what goes on: customers buy, pay, cancel, let orders expire and come back,
// while processes and servers are killed, frozen, emptied, set back and failed over, at
// random and where it hurts most, and while links between them are slow, silent, in
// pieces or cut.
type campaign struct {
	*site
	books          *audit
	journal        *chaos.Journal
	publisher      *rabbitmq.Publisher // to deliver an order twice
	random         *rand.Rand
	scarce, plenty flashgate.SaleID
	breakable      []*link
	pulse          pulse
	count          counts
	figures        *figures
	older          string         // an earlier state of Redis' folder
	replica        *servers.Redis // of the fail-over
}

// misfortune is one kind of fault, and how often it comes in a round of a long campaign.
type misfortune struct {
	name  string
	times int
	hit   func(*testing.T)
}

// `make chaos` runs it for long. An auditor that shares no code with the site reads the
// clients' journal and the servers when all has come to rest. The faults and their order
// follow from the seed, their effects also from the machine.
func TestChaos(t *testing.T) {
	seed := *chaosSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d (repeat it with -chaos.seed)", seed)
	c := startChaos(t, seed)
	customers := append(c.crowd(t, c.scarce, 60), c.crowd(t, c.plenty, 90)...)

	selling, end := context.WithCancel(t.Context())
	defer end()
	enough, give := context.WithTimeout(t.Context(), *chaosFor+10*time.Minute)
	defer give()
	var shopping, rest sync.WaitGroup
	for _, b := range customers {
		cu := &customer{buyer: b, journal: c.journal, pulse: &c.pulse}
		shopping.Go(func() { cu.live(selling, enough) })
	}
	var got sampled
	rest.Go(func() { got = c.books.sample(selling, []flashgate.SaleID{c.scarce, c.plenty}) })
	rest.Go(func() { c.restock(selling) })
	rest.Go(func() { c.figures.watch(selling, c.processes()) })
	rest.Go(func() {
		if err := c.breakLinks(selling, rand.New(rand.NewPCG(seed, 1))); err != nil {
			t.Error(err)
		}
	})
	begin := time.Now()
	c.rounds(t, begin.Add(*chaosFor))
	took := time.Since(begin)
	c.recovered(t, "the last fault")
	end()
	shopping.Wait()
	rest.Wait()
	if enough.Err() != nil {
		t.Error("P2: customers were left without a clear answer")
	}
	c.report(t, took, got)
}

func startChaos(t *testing.T, seed uint64) *campaign {
	t.Helper()
	c := &campaign{site: startBreakable(t, "ORDER_TTL="+orderTTL.String()), random: rand.New(rand.NewPCG(seed, 0)), figures: newFigures()}
	for _, l := range c.links.all {
		if l.process != "test" {
			c.breakable = append(c.breakable, l)
		}
	}
	c.books, c.journal = c.audit(t), chaos.Start(t)
	var err error
	c.publisher, err = rabbitmq.OpenPublisher(rabbitmq.Config{URL: c.rabbit.URL()})
	must(t, err)
	t.Cleanup(func() { must(t, c.publisher.Close()) })
	c.scarce, c.plenty = c.newSale(t, "scarce", 40), c.newSale(t, "plenty", 100_000)
	c.pulse.sale = c.plenty
	return c
}

// rounds hits with one fault after the other until the time is over, at least one round.
func (c *campaign) rounds(t *testing.T, until time.Time) {
	kinds := append(append(append(c.processFaults(), c.pointFaults()...), c.redisFaults()...), c.raceFaults()...)
	only := regexp.MustCompile(*chaosOnly)
	kinds = slices.DeleteFunc(kinds, func(k misfortune) bool { return !only.MatchString(k.name) })
	for first := true; first || time.Now().Before(until); first = false {
		for _, k := range c.shuffled(kinds, *chaosFor == 0) {
			if !first && time.Now().After(until) {
				return
			}
			if c.random.IntN(4) == 0 {
				c.older = copyOf(t, c.redis)
			}
			begin := time.Now()
			k.hit(t)
			c.count.fault(k.name)
			if testing.Verbose() {
				t.Logf("%s: %v", k.name, time.Since(begin).Round(time.Millisecond))
			}
			if c.random.IntN(2) == 0 { // else the next fault meets one that is not over
				c.recovered(t, k.name)
			} else {
				c.wait(t, time.Second)
			}
		}
	}
}

// shuffled is a round.
func (c *campaign) shuffled(kinds []misfortune, once bool) (deck []misfortune) {
	for _, k := range kinds {
		n := k.times
		if once {
			n = 1
		}
		for range n {
			deck = append(deck, k)
		}
	}
	c.random.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
	return deck
}

// upTo is a random time.
func upTo(r *rand.Rand, d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(d))) }

// wait lets up to d pass.
func (c *campaign) wait(t *testing.T, d time.Duration) { pause(t.Context(), upTo(c.random, d)) }

// recoverWithin is how long a buyer may have to wait, after whatever has happened.
const recoverWithin = 90 * time.Second

// recovered waits until both gateways have answered a purchase clearly that was made
// from now on, and notes how long that took.
func (c *campaign) recovered(t *testing.T, after string) {
	t.Helper()
	begin := time.Now()
	for time.Since(begin) < recoverWithin {
		c.revive(t)
		if took, ok := c.pulse.since(begin); ok {
			c.count.recoveredIn(after, took)
			return
		}
		pause(t.Context(), 10*time.Millisecond)
	}
	t.Errorf("not within %v after this do both gateways sell again: %s", recoverWithin, after)
}

// revive starts a process again that has ended by itself. That somebody else has taken its
// port while it was down is nobody's fault; whatever else ends one is.
func (c *campaign) revive(t *testing.T) {
	t.Helper()
	for _, p := range append(append([]*fleet.Process{c.Shop}, c.Gateways...), c.Workers...) {
		select {
		case <-p.Exited():
			if last := p.Tail(); !strings.Contains(last, "address already in use") {
				t.Errorf("%s has ended by itself:\n%s", p.Name, last)
			}
			must(t, p.Launch())
		default:
		}
	}
}

// restock adds a unit to the scarce sale now and then.
func (c *campaign) restock(ctx context.Context) {
	for ctx.Err() == nil {
		pause(ctx, 2*time.Second)
		// One that is refused, or unclear, is the books' business.
		_, _ = c.database.ChangeSale(ctx, c.scarce, flashgate.SaleChange{Restock: 1})
	}
}

// report audits, prints the figures, and fails where the campaign has shown nothing.
func (c *campaign) report(t *testing.T, took time.Duration, got sampled) {
	t.Helper()
	sales := []flashgate.SaleID{c.scarce, c.plenty}
	for _, sale := range sales {
		c.books.unpaid(t, sale)
		t.Logf("sale %s at rest: %+v", sale, c.books.quiet(t, sale))
	}
	v := c.books.judge(t, c.journal.Close(t), sales, c.count.losses)
	for _, broken := range append(got.broken, v.broken...) {
		t.Error(broken)
	}
	f := c.figures
	duplicates, settles := f.sum("flashgate_worker_duplicates_total"), f.sum("flashgate_worker_settled_total")
	takeovers, epochs := f.sum("flashgate_worker_relayed_total"), c.books.epochs(t, sales)
	t.Logf("campaign: %v, %d faults: %v", took.Round(time.Second), c.count.faults.Total(), c.count.faults)
	t.Logf("kills: %d: %v", c.count.kills.Total(), c.count.kills)
	t.Logf("failpoints hit: %d: %v", c.count.points.Total(), c.count.points)
	t.Logf("link faults: %d: %v", c.count.broken.Total(), c.count.broken)
	t.Logf("clients: %v", v)
	t.Logf("promises: oversold %d, lost %d, doubled %d, drift %d; P4 compared %d times in the database and %d times at the gate",
		v.oversold, v.lost, v.doubled, got.drift(), got.database, got.gate)
	t.Logf("the faults have hit: %d duplicates suppressed, %d unknown outcomes, %d relay takeovers, %d epochs raised, %d settles, %d restocks raced, %d dead letters replayed",
		duplicates, v.unclear, takeovers, epochs, settles, c.count.races, c.count.letters)
	t.Logf("recovery, from the end of a fault until both gateways have sold something that was asked for later: %s", c.count.recovery(""))
	for _, from := range []string{toRedis, toRabbitMQ, toMariaDB, "gateway", "worker"} {
		t.Logf("recovery from a fault of %s: %s", from, c.count.recovery(from))
	}
	seen := f.moved(t)
	if *chaosOnly != "" {
		t.Log("only some faults were asked for: this is not a campaign")
		return
	}
	if *chaosFor > 0 { // one round may be too short for what is read every two seconds
		for what, n := range seen {
			chaos.AtLeast(t, 1, "an operator's figure that should have moved: "+what, n)
		}
	}
	c.enough(t, map[string]int{
		"202s": v.accepted, "unclear answers": v.unclear, "504s": v.unknown, "cancelled": v.cancelled, "paid": v.paid, "payments that came too late": v.late,
		"samples of the database": got.database, "samples of the gate": got.gate, "duplicates suppressed": duplicates, "relay takeovers": takeovers,
		"epochs raised": epochs, "settles": settles, "restocks raced": c.count.races, "dead letters replayed": c.count.letters,
	})
}

// enough fails the campaign where it has not hit what it was to hit: everything once,
// and in 20 minutes each process ten times, RabbitMQ twenty times, 200 kills and 100
// link faults in all.
func (c *campaign) enough(t *testing.T, hits map[string]int) {
	t.Helper()
	share := func(n int) int { return max(1, int(float64(n)*chaosFor.Minutes()/20)) }
	for _, name := range failpoint.Names() {
		chaos.AtLeast(t, 1, "failpoint "+string(name), c.count.points[string(name)])
	}
	for _, p := range c.processes() {
		chaos.AtLeast(t, share(10), "kills of "+p.Name, c.count.kills[p.Name])
	}
	chaos.AtLeast(t, share(10), "kills of Redis", c.count.kills[toRedis])
	chaos.AtLeast(t, share(10), "kills of MariaDB", c.count.kills[toMariaDB])
	chaos.AtLeast(t, share(20), "kills of RabbitMQ", c.count.kills[toRabbitMQ])
	chaos.AtLeast(t, share(200), "kills", c.count.kills.Total())
	chaos.AtLeast(t, share(100), "link faults", c.count.broken.Total())
	for what, n := range hits {
		chaos.AtLeast(t, 1, what, n)
	}
}
