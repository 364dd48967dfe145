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

// customer buys again and again and keeps a journal.
type customer struct {
	*buyer
	journal *chaos.Journal
	pulse   *pulse
	try     int
}

// orderTTL is how long an order of the campaign may stay unpaid.
const orderTTL = 8 * time.Second

// live goes on until selling ends; what was begun is brought to a clear answer while
// patience lasts. Whoever has paid leaves, and somebody else comes.
func (c *customer) live(selling, patience context.Context) {
	for selling.Err() == nil {
		pause(selling, time.Duration(rand.IntN(1200))*time.Millisecond)
		c.mint()
		if !c.buy(patience) {
			continue
		}
		begin := time.Now()
		if rand.IntN(8) == 0 { // cancels before it is decided
			c.settle(patience, "cancel")
		}
		word, err := c.decided(patience, c.try)
		if err != nil || word != "pending" {
			continue
		}
		switch rand.IntN(4) {
		case 0:
			c.settle(patience, "pay")
			c.replace(selling)
		case 1, 2:
			c.settle(patience, "cancel")
			if rand.IntN(4) == 0 {
				c.buy(patience) // the same path again
			}
		default: // pay in the moment in which it expires
			pause(patience, time.Until(begin.Add(orderTTL+time.Duration(rand.IntN(1000)-500)*time.Millisecond)))
			c.settle(patience, "pay")
			c.replace(selling)
		}
	}
}

// replace makes room for somebody new.
func (c *customer) replace(ctx context.Context) {
	for ctx.Err() == nil {
		b, err := c.site.newBuyer(ctx, c.sale)
		if err == nil {
			c.buyer = b
			return
		}
		pause(ctx, 200*time.Millisecond)
	}
}

// ask makes one request and writes it down before, and its answer after. k says at
// which gateway.
func (c *customer) ask(what string, do func(k int) (contract.Answer, error)) chaos.Line {
	k := c.try % 2
	l := chaos.Line{Asks: true, Do: what, Sale: c.sale, Order: c.minted.Order, User: c.member.User, At: time.Now()}
	c.journal.Write(l)
	begin := l.At
	a, err := do(k)
	l.Asks, l.At = false, time.Now()
	if err == nil {
		l.Status, l.Code = a.Status, a.Code
		if what == "buy" {
			c.pulse.answered(c.sale, k, begin, l)
		}
	}
	c.journal.Write(l)
	return l
}

func (c *customer) press(ctx context.Context) chaos.Line {
	return c.ask("buy", func(k int) (contract.Answer, error) { return c.clients[k].Buy(ctx, c.sale, c.minted.Path) })
}

// buyOnly repeats the same path until the answer is clear, and reports whether it was
// 202. What became of the id is not asked.
func (c *customer) buyOnly(ctx context.Context) bool {
	for ; ctx.Err() == nil; c.try++ {
		switch l := c.press(ctx); {
		case l.Status == http.StatusAccepted:
			return true
		case l.Status > 0 && l.Status < 500:
			return false
		}
		pause(ctx, time.Duration(50+rand.IntN(200))*time.Millisecond)
	}
	return false
}

// buy is buyOnly for somebody who comes back when session or path are over: what
// became of the id is known by asking.
func (c *customer) buy(ctx context.Context) bool {
	for ; ctx.Err() == nil; c.try++ {
		l := c.press(ctx)
		switch {
		case l.Status == http.StatusAccepted:
			return true
		case l.Code == flashgate.CodeUnauthenticated && c.login(ctx) != nil:
			// tried again while the server is away
		case l.Code == flashgate.CodeUnauthenticated, l.Code == flashgate.CodePathInvalid:
			word, err := c.decided(ctx, c.try)
			return err == nil && word == "pending"
		case l.Status > 0 && l.Status < 500:
			return false
		}
		c.ponder(ctx)
	}
	return false
}

// ponder is what people do after an unclear answer: most press again at once, some come
// back later, when the order may be the relay's.
func (c *customer) ponder(ctx context.Context) {
	longest := 200
	if rand.IntN(4) == 0 {
		longest = 6000
	}
	pause(ctx, time.Duration(50+rand.IntN(longest))*time.Millisecond)
}

// settle pays or cancels, and repeats that until the answer is clear.
func (c *customer) settle(ctx context.Context, what string) {
	for ; ctx.Err() == nil; c.try++ {
		l := c.ask(what, func(k int) (contract.Answer, error) {
			return c.clients[k].Do(ctx, "POST", "/api/orders/"+string(c.minted.Order)+"/"+what, nil)
		})
		switch {
		case l.Code == flashgate.CodeUnauthenticated:
			_ = c.login(ctx) // tried again while the server is away
		case l.Status > 0 && l.Status < 500:
			return
		}
		pause(ctx, time.Duration(50+rand.IntN(200))*time.Millisecond)
	}
}

// pulse knows when each gateway answered a purchase clearly, and when that was asked.
type pulse struct {
	sale flashgate.SaleID // the one with plenty of units, where each answer is the gate's
	mu   sync.Mutex
	last [2]struct{ asked, answered time.Time }
}

func (p *pulse) answered(sale flashgate.SaleID, gateway int, asked time.Time, l chaos.Line) {
	if sale != p.sale || l.Status != http.StatusAccepted && l.Code != flashgate.CodeAlreadyBought {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if asked.After(p.last[gateway].asked) {
		p.last[gateway].asked, p.last[gateway].answered = asked, l.At
	}
}

// since is how long after begin both gateways had answered something that was asked
// after begin.
func (p *pulse) since(begin time.Time) (took time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, g := range p.last {
		if g.asked.Before(begin) {
			return 0, false
		}
		took = max(took, g.answered.Sub(begin))
	}
	return took, true
}
