package main_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"flashgate"
)

// tally is how a crowd fared.
type tally struct {
	mu       sync.Mutex
	accepted []flashgate.OrderID // every id that was answered 202 at least once
	repeats  int
	final    map[string]int // by the last word that each buyer got
	answered chan struct{}  // one for every last word
}

func newTally(n int) *tally {
	return &tally{final: map[string]int{}, answered: make(chan struct{}, n)}
}

func (y *tally) note(word string) {
	y.mu.Lock()
	y.final[word]++
	y.mu.Unlock()
	y.answered <- struct{}{}
}

func (y *tally) accept(id flashgate.OrderID) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.accepted = append(y.accepted, id)
}

func (y *tally) repeat() {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.repeats++
}

// insist buys until it knows. It repeats the same path at either gateway after every
// unclear answer; a path that has expired meanwhile is replaced only when the old id
// names nothing.
func (b *buyer) insist(ctx context.Context, y *tally) {
	for try := rand.IntN(2); ctx.Err() == nil; try++ {
		c := b.clients[try%2]
		a, err := c.Buy(ctx, b.sale, b.minted.Path)
		switch {
		case err == nil && a.Status == 202:
			y.accept(b.minted.Order)
			word, err := b.decided(ctx, try)
			if err != nil {
				word = "after a 202: " + err.Error()
			}
			y.note(word)
			return
		case err == nil && a.Code == flashgate.CodeSoldOut:
			// A refusal says nothing about an earlier try with the same id: poll it.
			word, err := b.decided(ctx, try)
			if err != nil {
				continue
			}
			if word == "none" {
				word = "sold_out"
			}
			y.note(word)
			return
		case err == nil && a.Code == flashgate.CodePathInvalid:
			if word, err := b.decided(ctx, try); err == nil && word != "none" {
				y.note(word)
				return
			} else if err == nil {
				b.mint()
			}
		case err == nil && a.Code == flashgate.CodeUnauthenticated:
			// The session is lost, and with it the path: what became of the old order
			// comes first, then a new path.
			if b.login(ctx) != nil {
				break
			}
			if word, err := b.decided(ctx, try); err == nil && word != "none" {
				y.note(word)
				return
			} else if err == nil {
				b.mint()
			}
		case err == nil && a.Status < 500:
			y.note(a.String())
			return
		}
		y.repeat()
		pause(ctx, time.Duration(50+rand.IntN(150))*time.Millisecond)
	}
	y.note("out of time")
}

// decided polls until the site says what became of the order: its status and reason,
// or "none".
func (b *buyer) decided(ctx context.Context, try int) (string, error) {
	for ; ; try++ {
		o, a, err := b.clients[try%2].GetOrder(ctx, b.minted.Order)
		switch {
		case err == nil && a.Status == 200 && o.Status != flashgate.StatusUndecided:
			if o.Reason != "" {
				return string(o.Status) + " " + o.Reason, nil
			}
			return string(o.Status), nil
		case err == nil && a.Code == flashgate.CodeNotFound:
			return "none", nil
		case err == nil && a.Code == flashgate.CodeUnauthenticated:
			_ = b.login(ctx) // tried again while the server is away
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		pause(ctx, 100*time.Millisecond)
	}
}

// fault is something that happens in the middle of a sale.
type fault struct {
	name string
	hit  func(t *testing.T, s *site, sale flashgate.SaleID)
	// lossy says that Redis loses writes: a rejection after a 202 is possible then.
	lossy bool
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// 2,000 buyers press at two gateways for 100 units: exactly 100 orders, whatever
// happens in between.
func TestCrowd(t *testing.T) {
	s := startSite(t)
	a := s.audit(t)
	for i, f := range []fault{
		{name: "nothing happens", hit: func(*testing.T, *site, flashgate.SaleID) {}},
		{name: "a gateway is killed", hit: func(t *testing.T, s *site, _ flashgate.SaleID) {
			must(t, s.Gateways[0].Kill())
			must(t, s.Gateways[0].Start(t.Context()))
		}},
		{name: "each worker is killed", hit: func(t *testing.T, s *site, _ flashgate.SaleID) {
			for _, w := range s.Workers { // one of them is the active one
				must(t, w.Kill())
				must(t, w.Start(t.Context()))
			}
		}},
		{name: "Redis stops and starts", hit: func(t *testing.T, s *site, _ flashgate.SaleID) {
			must(t, s.redis.Stop())
			must(t, s.redis.Start())
		}},
		{name: "RabbitMQ stops and starts", hit: func(t *testing.T, s *site, _ flashgate.SaleID) {
			must(t, s.rabbit.Stop())
			must(t, s.rabbit.Start())
		}},
		{name: "MariaDB stops and starts", hit: func(t *testing.T, s *site, _ flashgate.SaleID) {
			must(t, s.maria.Kill())
			must(t, s.maria.Start())
		}},
		{name: "Redis comes back empty", lossy: true, hit: func(t *testing.T, s *site, _ flashgate.SaleID) {
			must(t, s.redis.Kill())
			must(t, s.redis.Wipe())
			must(t, s.redis.Start())
		}},
		{name: "Redis comes back older", lossy: true, hit: backToOlderAOF},
	} {
		t.Run(f.name, func(t *testing.T) {
			sale := s.newSale(t, flashgate.SaleID(fmt.Sprint("crowd-", i)), 100)
			s.rush(t, a, sale, 2000, 100, f)
		})
	}
}

// rush lets n buyers insist on units, with a fault in the middle of it.
func (s *site) rush(t *testing.T, a *audit, sale flashgate.SaleID, n, units int, f fault) {
	t.Helper()
	buyers := s.crowd(t, sale, n)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	y := newTally(n)
	began := time.Now()
	done := make(chan struct{})
	go func() {
		defer close(done)
		each(buyers, 64, func(_ int, b *buyer) { b.insist(ctx, y) })
	}()
	for range units / 4 { // so that the fault falls into the sale
		<-y.answered
	}
	f.hit(t, s, sale)
	<-done
	b := a.rest(t, sale)
	rows := a.rows(t, y.accepted)
	t.Logf("%s: %d buyers, %d units, in %v: %d repeats, last words %v; %d ids with a 202, their rows %v; books %+v",
		f.name, n, units, time.Since(began).Round(time.Millisecond), y.repeats, y.final, len(y.accepted), rows, b)

	if b.Orders != int64(units) || b.StockLeft != 0 {
		t.Errorf("%d orders and %d units left, want %d and 0", b.Orders, b.StockLeft, units)
	}
	if y.final["pending"] != units {
		t.Errorf("%d buyers have an order, want %d", y.final["pending"], units)
	}
	if rows["none"] != 0 {
		t.Errorf("P2: %d ids were answered 202 and have no row", rows["none"])
	}
	for word, k := range y.final {
		switch {
		case word == "pending", word == "sold_out":
		case word == "rejected sold_out" && f.lossy:
		default:
			t.Errorf("%d buyers were told %q", k, word)
		}
	}
	if b.SoldOut != 0 && !f.lossy {
		t.Errorf("%d orders were rejected(sold_out), though Redis lost nothing", b.SoldOut)
	}
}
