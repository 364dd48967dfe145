package main_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"flashgate"
)

// raceFaults are two things that happen at the same time. Expiry against payment,
// and cancel against the worker, are what the customers do all the time.
func (c *campaign) raceFaults() []misfortune {
	return []misfortune{
		{"restock races a late answer", 1, c.restockRace},
		{"dead letter replayed after a reopening", 1, c.deadLetter},
	}
}

// restockRace adds a unit to a sold-out sale while the answers of Redis are late. A
// gateway that believes a sold-out answer from before the restock goes on refusing,
// and the unit is never sold.
func (c *campaign) restockRace(t *testing.T) {
	c.recovered(t, "whatever was before")
	mend := c.poisonAll(t, c.links.of("gateway", toRedis), "latency", fromServer, map[string]int{"latency": 300, "jitter": 200})
	for range 3 {
		pause(t.Context(), 300*time.Millisecond)
		// One that is refused or unclear is the books' business.
		_, _ = c.database.ChangeSale(t.Context(), c.scarce, flashgate.SaleChange{Restock: 1})
	}
	mend()
	free := func() (int64, error) {
		return c.books.redis.HGet(t.Context(), "flashgate:{"+string(c.scarce)+"}:head", "free").Int64()
	}
	end := time.Now().Add(patience)
	for time.Now().Before(end) {
		if n, err := free(); err == nil && n == 0 {
			c.count.raced()
			return
		}
		pause(t.Context(), 50*time.Millisecond)
	}
	n, err := free()
	t.Errorf("P4: %d units of the sale that everybody wants stay free after a restock (%v)", n, err)
}

// deadLetter: the database refuses one order until it is a dead letter; Redis is lost
// and its sale opened again; then the operator replays it.
func (c *campaign) deadLetter(t *testing.T) {
	b := c.stranger(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	insist := func(what, statement string) {
		t.Helper()
		for ctx.Err() == nil {
			_, err := c.books.db.ExecContext(ctx, statement)
			if err == nil {
				return
			}
			pause(ctx, 100*time.Millisecond)
		}
		t.Errorf("%s: out of time", what)
	}
	insist("the trigger", `CREATE OR REPLACE TRIGGER refused_by_the_campaign BEFORE INSERT ON orders FOR EACH ROW
		BEGIN IF NEW.user = '`+string(b.member.User)+`' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'refused by the campaign'; END IF; END`)
	letters := func() (n int) {
		if c.books.db.QueryRowContext(ctx, "SELECT count(*) FROM dead_letter WHERE id = ?", b.minted.Order).Scan(&n) != nil {
			return -1 // the database is away
		}
		return n
	}
	bought := b.buyOnly(ctx)
	for bought && letters() != 1 && ctx.Err() == nil {
		pause(ctx, 100*time.Millisecond)
	}
	c.emptied(t)
	c.recovered(t, "Redis emptied with a dead letter")
	insist("the trigger's end", "DROP TRIGGER refused_by_the_campaign")
	var err error
	for bought && letters() != 0 && ctx.Err() == nil {
		_, err = c.orderworker(t, "orders", "replay", string(b.minted.Order))
		pause(ctx, 100*time.Millisecond)
	}
	switch {
	case ctx.Err() != nil:
		t.Errorf("P2: a dead letter is not replayed: %v", err)
	case bought:
		c.count.replayed()
	}
}

// stranger is a customer of their own, for one purchase of the plentiful sale.
func (c *campaign) stranger(t *testing.T) *customer {
	t.Helper()
	var b *buyer
	for end := time.Now().Add(patience); ; pause(t.Context(), 100*time.Millisecond) {
		var err error
		if b, err = c.newBuyer(t.Context(), c.plenty); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal(fmt.Errorf("no new customer: %w", err))
		}
	}
	return &customer{buyer: b, journal: c.journal, pulse: &c.pulse}
}
