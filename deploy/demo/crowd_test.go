package main_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"flashgate"
	"flashgate/deploy/contract"
)

// tally is how a crowd fared.
type tally struct {
	mu                        sync.Mutex
	pending, soldOut, retries int
	other                     []string
}

func (y *tally) note(pending, soldOut int, other string) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.pending += pending
	y.soldOut += soldOut
	if other != "" {
		y.other = append(y.other, other)
	}
}

func (y *tally) repeat() {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.retries++
}

// buyer is one visitor of the crowd with the path in hand.
type buyer struct {
	*contract.Client
	minted contract.Minted
}

// paths lets everybody solve a captcha, some at a time.
func paths(t *testing.T, crowd []*contract.Client) []*buyer {
	t.Helper()
	out := make([]*buyer, len(crowd))
	turns := make(chan struct{}, 16)
	var wg sync.WaitGroup
	for i, c := range crowd {
		wg.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			m, a, err := c.Path(t.Context(), "1")
			if err != nil || a.Status != 200 {
				t.Errorf("path: %s, %v", a, err)
			}
			out[i] = &buyer{c, m}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return out
}

// 2,000 buyers press at once for 100 units.
func TestCrowd(t *testing.T) {
	d := startDemo(t)
	const n, units = 2000, 100
	crowd := paths(t, d.crowd(t, n))
	var y tally
	var wg sync.WaitGroup
	start := make(chan struct{})
	for _, b := range crowd {
		wg.Go(func() {
			<-start
			a, err := b.Buy(t.Context(), "1", b.minted.Path)
			for ; err == nil && a.Status >= 500; a, err = b.Buy(t.Context(), "1", b.minted.Path) {
				y.repeat() // the machine was too slow to tell in time; the id is the same
			}
			switch {
			case err != nil:
				y.note(0, 0, err.Error())
			case a.Status == 202:
				if o, err := b.Decided(t.Context(), b.minted.Order); err != nil || o.Status != flashgate.StatusPending {
					y.note(0, 0, fmt.Sprint(o, err))
					return
				}
				y.note(1, 0, "")
			case a.Code == flashgate.CodeSoldOut:
				y.note(0, 1, "")
			default:
				y.note(0, 0, a.String())
			}
		})
	}
	began := time.Now()
	close(start)
	wg.Wait()
	t.Logf("%d buyers, %d units: %d orders, %d sold out, %d other, %d repeats, in %v", n, units, y.pending, y.soldOut, len(y.other), y.retries, time.Since(began).Round(time.Millisecond))
	if y.pending != units || y.soldOut != n-units || len(y.other) != 0 {
		t.Errorf("want %d orders and %d plain refusals; other answers: %.5q", units, n-units, y.other)
	}
	b := read(t, d.data, "1")
	b.quiet(t)
	if b.Orders != units || b.StockLeft != 0 {
		t.Errorf("the books: %+v", b)
	}
}

// The same with kill -9 in the middle, ten times; after each, the same clients
// repeat the same ids.
func TestCrowdThroughKills(t *testing.T) {
	d := startDemo(t)
	const n, units, kills = 2000, 100, 10
	crowd := paths(t, d.crowd(t, n))
	deadline, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()

	var y tally
	var wg sync.WaitGroup
	answered := make(chan bool, n) // one for every final answer; true for a 202
	turns := make(chan struct{}, 24)
	for _, b := range crowd {
		wg.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			b.insist(deadline, &y, answered)
		})
	}
	go func() { wg.Wait(); close(answered) }()

	// A kill after every few purchases, so that all of them fall into the sale.
	killed, bought, since, next := 0, 0, 0, 5
	for is202 := range answered {
		since++
		if is202 {
			bought++
		}
		if killed < kills && (bought >= next || bought == units && since > 20) {
			next, since = bought+8, 0
			d.kill()
			killed++
			read(t, d.data, "1").balanced(t) // the file as the killed process left it
			d.start(t)
		}
	}
	t.Logf("%d buyers, %d units, %d kills: %d orders, %d sold out, %d repeats", n, units, killed, y.pending, y.soldOut, y.retries)
	if killed != kills || y.retries == 0 {
		t.Errorf("%d kills, %d repeats: the kills have hit nothing", killed, y.retries)
	}
	if y.pending != units || y.soldOut != n-units || len(y.other) != 0 {
		t.Errorf("want %d orders and %d refusals; other answers: %.5q", units, n-units, y.other)
	}
	b := read(t, d.data, "1")
	b.quiet(t)
	if b.Orders != units || b.StockLeft != 0 {
		t.Errorf("the books: %+v", b)
	}
}

// insist buys until it knows: it repeats the same path after every unclear answer,
// and a path that has expired meanwhile is replaced by a new one only when the old
// id names nothing.
func (b *buyer) insist(ctx context.Context, y *tally, answered chan<- bool) {
	for ctx.Err() == nil {
		a, err := b.Buy(ctx, "1", b.minted.Path)
		switch {
		case err == nil && a.Status == 202:
			answered <- true
			o, err := b.Decided(ctx, b.minted.Order)
			if err != nil || o.Status != flashgate.StatusPending {
				y.note(0, 0, fmt.Sprint("after a 202: ", o, err))
				return
			}
			y.note(1, 0, "")
			return
		case err == nil && a.Code == flashgate.CodeSoldOut:
			// A refusal says nothing about an earlier try with the same id: poll it.
			o, known, err := b.poll(ctx)
			switch {
			case err != nil:
				continue
			case known && o.Status == flashgate.StatusPending:
				y.note(1, 0, "")
				answered <- true
			case known:
				y.note(0, 0, fmt.Sprint("after sold_out: ", o))
				answered <- false
			default:
				y.note(0, 1, "")
				answered <- false
			}
			return
		case err == nil && a.Code == flashgate.CodePathInvalid:
			if _, known, err := b.poll(ctx); err != nil || known {
				continue
			}
			if m, a, err := b.Path(ctx, "1"); err == nil && a.Status == 200 {
				b.minted = m
			}
		case err == nil && a.Status < 500:
			y.note(0, 0, a.String())
			answered <- false
			return
		}
		y.repeat()
		pause := time.NewTimer(time.Duration(50+rand.IntN(100)) * time.Millisecond)
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
	}
	y.note(0, 0, "out of time")
	answered <- false
}

// poll asks for the order until the site answers: decided, or no such order.
func (b *buyer) poll(ctx context.Context) (o contract.Order, known bool, err error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		o, a, err := b.GetOrder(ctx, b.minted.Order)
		switch {
		case err == nil && a.Status == 200 && o.Status != flashgate.StatusUndecided:
			return o, true, nil
		case err == nil && a.Code == flashgate.CodeNotFound:
			return o, false, nil
		}
		select {
		case <-ctx.Done():
			return o, false, ctx.Err()
		case <-tick.C:
		}
	}
}
