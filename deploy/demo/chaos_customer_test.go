package main_test

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"flashgate"
	"flashgate/deploy/chaos"
	"flashgate/deploy/contract"
)

// orderTTL is how long an order of the campaign may stay unpaid.
const orderTTL = 3 * time.Second

// customer buys again and again over HTTP, and writes down every request and answer.
type customer struct {
	*campaign
	*contract.Client
	random *rand.Rand
	sale   flashgate.SaleID
	user   flashgate.UserID
	minted contract.Minted
}

// shopping goes on until selling ends; what was begun is brought to a clear answer
// while patience lasts. Whoever has paid leaves, and somebody else comes.
func (cu *customer) shopping(selling, patience context.Context) {
	cu.replace(selling)
	for selling.Err() == nil {
		pause(selling, upTo(cu.random, time.Second))
		if !cu.mint(selling) {
			continue
		}
		if !cu.buy(patience) {
			// A refusal says nothing about an earlier try with the same id.
			cu.decided(patience)
			continue
		}
		if cu.oneIn(8) { // before it is decided, if they are fast enough
			cu.settle(patience, chaos.Cancel)
		}
		if cu.decided(patience) == flashgate.StatusPending {
			cu.conclude(selling, patience, time.Now())
		}
	}
}

// conclude is what somebody does with an order that they have just seen placed.
func (cu *customer) conclude(selling, patience context.Context, placed time.Time) {
	switch cu.random.IntN(6) {
	case 0:
		cu.settle(patience, chaos.Pay)
		cu.replace(selling)
	case 1, 2:
		cu.settle(patience, chaos.Cancel)
		if cu.oneIn(2) {
			cu.buy(patience) // the same path again
			cu.decided(patience)
		}
	case 3, 4: // pays in the moment in which it expires
		pause(patience, time.Until(placed.Add(orderTTL-400*time.Millisecond+upTo(cu.random, 500*time.Millisecond))))
		cu.settle(patience, chaos.Pay)
		cu.replace(selling)
	default: // forgets to pay, and comes back
		if cu.oneIn(2) && cu.mint(patience) { // wants a second one
			cu.buy(patience)
			cu.decided(patience)
		}
		pause(patience, orderTTL)
		for cu.decided(patience) == flashgate.StatusPending && patience.Err() == nil {
			pause(patience, 200*time.Millisecond)
		}
	}
}

func (cu *customer) oneIn(n int) bool { return cu.random.IntN(n) == 0 }

// replace lets somebody new take the place.
func (cu *customer) replace(ctx context.Context) {
	select {
	case cu.Client = <-cu.newcomers:
	case <-ctx.Done():
		return
	}
	var me struct {
		ID flashgate.UserID `json:"id"`
	}
	for cu.user = ""; cu.user == "" && ctx.Err() == nil; {
		a, err := cu.Do(ctx, http.MethodGet, "/api/me", nil)
		if err == nil && a.Status == http.StatusOK && a.Into(&me) == nil {
			cu.user = me.ID
			return
		}
		pause(ctx, 100*time.Millisecond)
	}
}

// mint solves captchas until there is a path. A captcha that was asked for before a
// kill is not known after it.
func (cu *customer) mint(ctx context.Context) bool {
	for ctx.Err() == nil {
		m, a, err := cu.Path(ctx, cu.sale)
		switch {
		case err == nil && a.Status == http.StatusOK:
			cu.minted = m
			return true
		case err == nil && a.Status < 500:
			switch a.Code {
			case flashgate.CodeCaptchaRequired, flashgate.CodeCaptchaWrong, flashgate.CodeRateLimited:
			default:
				cu.count.odd("a path: " + a.String())
			}
		}
		pause(ctx, 100*time.Millisecond+upTo(cu.random, 200*time.Millisecond))
	}
	return false
}

// ask makes one request and writes it down before, and its answer after.
func (cu *customer) ask(what string, do func() (contract.Answer, flashgate.Status, error)) chaos.Line {
	l := chaos.Line{Asks: true, Do: what, Sale: cu.sale, Order: cu.minted.Order, User: cu.user, At: time.Now()}
	cu.journal.Write(l)
	asked := l.At
	a, state, err := do()
	l.Asks, l.At = false, time.Now()
	if err == nil {
		l.Status, l.Code, l.State = a.Status, a.Code, state
	}
	if what == chaos.Buy {
		cu.pulse.answered(asked, l)
	}
	if l.Status == http.StatusGatewayTimeout {
		cu.count.unknown.Add(1)
	}
	cu.journal.Write(l)
	return l
}

// press presses the button, some twice at once.
func (cu *customer) press(ctx context.Context) chaos.Line {
	once := func() chaos.Line {
		return cu.ask(chaos.Buy, func() (contract.Answer, flashgate.Status, error) {
			a, err := cu.Buy(ctx, cu.sale, cu.minted.Path)
			return a, "", err
		})
	}
	if !cu.oneIn(6) {
		return once()
	}
	var first, second chaos.Line
	var wg sync.WaitGroup
	wg.Go(func() { first = once() })
	wg.Go(func() { second = once() })
	wg.Wait()
	if second.Status == http.StatusAccepted {
		return second
	}
	return first
}

// buy repeats the same path until the answer is clear, and reports whether it was 202.
func (cu *customer) buy(ctx context.Context) bool {
	for ctx.Err() == nil {
		l := cu.press(ctx)
		switch {
		case l.Status == http.StatusAccepted:
			return true
		case !l.Unclear():
			switch l.Code {
			case flashgate.CodeSoldOut, flashgate.CodeAlreadyBought, flashgate.CodePathInvalid:
			default:
				cu.count.odd("a purchase: " + string(l.Code))
			}
			return false
		}
		pause(ctx, 30*time.Millisecond+upTo(cu.random, 200*time.Millisecond))
	}
	return false
}

// decided looks until the order is decided, or is known not to be there.
func (cu *customer) decided(ctx context.Context) flashgate.Status {
	for ctx.Err() == nil {
		l := cu.ask(chaos.See, func() (contract.Answer, flashgate.Status, error) {
			o, a, err := cu.GetOrder(ctx, cu.minted.Order)
			return a, o.Status, err
		})
		switch {
		case l.Unclear(), l.State == flashgate.StatusUndecided:
		case l.Status == http.StatusOK, l.Code == flashgate.CodeNotFound:
			return l.State
		default:
			cu.count.odd("a look: " + string(l.Code))
		}
		pause(ctx, 50*time.Millisecond)
	}
	return ""
}

// settle pays or cancels, and repeats that until the answer is clear.
func (cu *customer) settle(ctx context.Context, what string) {
	for ctx.Err() == nil {
		l := cu.ask(what, func() (contract.Answer, flashgate.Status, error) {
			a, err := cu.Do(ctx, http.MethodPost, "/api/orders/"+string(cu.minted.Order)+"/"+what, nil)
			return a, "", err
		})
		if !l.Unclear() {
			return
		}
		pause(ctx, 30*time.Millisecond+upTo(cu.random, 200*time.Millisecond))
	}
}

// pulse times how long buyers wait for a clear answer after something has happened.
type pulse struct {
	sale         flashgate.SaleID // the one with plenty of units, where each answer is the gate's
	mu           sync.Mutex
	begin, first time.Time
}

// reset begins a measurement.
func (p *pulse) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begin, p.first = time.Now(), time.Time{}
}

func (p *pulse) answered(asked time.Time, l chaos.Line) {
	if l.Sale != p.sale || l.Status != http.StatusAccepted && l.Code != flashgate.CodeAlreadyBought {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.first.IsZero() && asked.After(p.begin) {
		p.first = l.At
	}
}

// took is how long after the beginning the first clear answer came to a purchase that
// was asked for after it.
func (p *pulse) took() (d time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.first.Sub(p.begin), !p.first.IsZero()
}

// upTo is a random time.
func upTo(r *rand.Rand, d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(d))) }

// pause waits a little, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
