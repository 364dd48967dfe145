package main_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"flashgate"
	"flashgate/deploy/chaos"
	"flashgate/internal/failpoint"
	"flashgate/internal/fleet"
)

// scenario brings the site, step by step and without luck, into the situation that one
// safeguard of the protocol is for. deploy/mutants takes the safeguards out, one after
// the other, and runs the scenario that must notice.
type scenario struct {
	name    string
	units   int64
	perUser int
	play    func(*scene)
}

// scenarios are in the order of an order's life.
var scenarios = []scenario{
	// What a gateway does.
	{"repeats", 3, 2, (*scene).repeats},
	{"returned-message", 1, 1, (*scene).returnedMessage},
	{"lost-confirm", 1, 1, (*scene).lostConfirm},
	{"gateway-dies-after-the-reserve", 1, 1, (*scene).gatewayDiesAfterReserve},
	{"gateway-stands-longer-than-D", 1, 1, (*scene).gatewayStandsLongerThanD},

	// What a worker does.
	{"more-than-there-is", 1, 1, (*scene).moreThanThereIs},
	{"published-twice", 6, 2, (*scene).publishedTwice},
	{"takeover", 3, 1, (*scene).takeover},
	{"relay-stands-longer-than-its-lease", 2, 1, (*scene).relayStandsLongerThanItsLease},
	{"commit-with-redis-down", 3, 1, (*scene).commitWithRedisDown},
	{"log-applied-twice", 3, 1, (*scene).logAppliedTwice},
	{"held-after-its-decision", 3, 2, (*scene).heldAfterDecision},
	{"duplicate-acked-before-it-is-settled", 3, 2, (*scene).duplicateAckedBeforeSettled},

	// What shop and operators do.
	{"cancel-before-the-gate-knows", 1, 1, (*scene).cancelBeforeGateKnows},
	{"expiry-and-payment", 3, 1, (*scene).expiryAndPayment},
	{"restock-and-a-late-answer", 1, 1, (*scene).restockAndLateAnswer},
	{"refused-restock", 1, 1, (*scene).refusedRestock},
	{"dead-letter-after-a-reopening", 1, 1, (*scene).deadLetterAfterReopening},

	// Redis loses writes.
	{"redis-older", 2, 1, (*scene).redisOlder},
	{"redis-there-and-back", 2, 1, (*scene).redisThereAndBack},
	{"redis-lost-with-a-full-queue", 1, 1, (*scene).redisLostWithFullQueue},
	{"fence-overtakes", 1, 1, (*scene).fenceOvertakes},
	{"two-reconcilers", 1, 1, (*scene).twoReconcilersAtOnce},
}

// All scenarios are played on one site, each in a sale of its own.
func TestScenarios(t *testing.T) {
	s := startBreakable(t)
	books := s.audit(t)
	var played []*scene
	for _, sc := range scenarios {
		t.Run(sc.name, func(t *testing.T) {
			sn := &scene{site: s, t: t, books: books, journal: chaos.Start(t)}
			t.Cleanup(func() { s.mend(t) })
			sn.sale = s.saleOf(t, sc.name, sc.units, sc.perUser)
			sc.play(sn)
			played = append(played, sn)
		})
	}
	// What has come later, to a sale that had come to rest. A worker that stood still until
	// the end has the fences of other sales before it.
	eventually(t, "P2: no message is left in the queues", func() bool { n, err := books.queued(); return err == nil && n == 0 })
	for _, sn := range played {
		sn.t = t
		b, err := sn.sums()
		must(t, err)
		for _, broken := range b.check(sn.limit(t)) {
			t.Errorf("sale %s at the end: %s", sn.sale, broken)
		}
	}
}

// scene is a scenario that is being played.
type scene struct {
	*site
	t       *testing.T
	books   *audit
	journal *chaos.Journal
	sale    flashgate.SaleID
	losses  []time.Time // when Redis lost writes
	pulse   pulse
}

// saleOf makes the sale of a scenario and waits until its gate is open.
func (s *site) saleOf(t *testing.T, name string, units int64, perUser int) flashgate.SaleID {
	t.Helper()
	id := flashgate.SaleID(name[:min(len(name), 32)])
	now := time.Now()
	must(t, s.database.CreateSale(t.Context(), flashgate.Sale{
		ID: id, Goods: "1", FlashPrice: 990, PerUser: perUser, Seeded: units, Starts: now.Add(-time.Minute), Ends: now.Add(time.Hour),
	}))
	eventually(t, "the gate opens", func() bool {
		v, err := s.gate.View(t.Context(), id)
		return err == nil && v.Open
	})
	return id
}

// mend puts everything back: whatever a scenario, or its failure, has left broken.
func (s *site) mend(t *testing.T) {
	t.Helper()
	for _, p := range s.processes() {
		must(t, p.Signal(syscall.SIGCONT))
		for _, point := range failpoint.Names() {
			path := filepath.Join(pointFolder(s.points, p.Name), string(point))
			for _, file := range []string{path, path + ".hit"} {
				if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Fatal(err)
				}
			}
		}
	}
	for _, l := range s.links.all {
		l.proxy.Toxics.ResetToxics(context.Background())
	}
	for _, server := range []server{s.redis, s.rabbit, s.maria} {
		must(t, server.Start())
	}
	for _, p := range s.processes() {
		if gone(p) {
			must(t, p.Launch())
		}
	}
	for _, p := range s.processes() {
		must(t, p.WaitReady(context.Background()))
	}
	if t.Failed() {
		return // perhaps they never will be
	}
	sales, err := s.database.Sales(context.Background())
	must(t, err)
	eventually(t, "all sales are open", func() bool { // but one that is long over, which can wait
		return !slices.ContainsFunc(sales, func(sale flashgate.Sale) bool {
			v, err := s.gate.View(context.Background(), sale.ID)
			return sale.Ends.After(time.Now()) && (err != nil || !v.Open)
		})
	})
}

func gone(p *fleet.Process) bool {
	select {
	case <-p.Exited():
		return true
	default:
		return false
	}
}
