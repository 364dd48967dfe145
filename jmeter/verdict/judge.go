package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// check is one line of the verdict.
type check struct {
	name   string // run, rows, or the promise: P1 … P5; redis, queue, users, label
	text   string // what was found
	faults []string
}

func (c *check) fault(format string, args ...any) {
	c.faults = append(c.faults, fmt.Sprintf(format, args...))
}

func green(checks []check) bool {
	return !slices.ContainsFunc(checks, func(c check) bool { return len(c.faults) > 0 })
}

// judge compares what the buyers were told with what the database has.
func judge(o options, res *results, b *books) []check {
	return []check{
		runCheck(o, res),
		neverOversold(b),
		everyAcceptedIsAnOrder(o, res, b),
		nobodyHasTooMuch(b),
		nothingUnasked(res, b),
		noUnitIsLost(res, b),
		repeatsAreOne(res, b),
	}
}

// judgePlan judges the samples alone; nothing without a plan.
func judgePlan(o options, res *results) []check {
	if o.plan == nil {
		return nil
	}
	var checks []check
	if !o.hasSale() {
		c := check{name: "run", text: fmt.Sprintf("%d samples", res.honest.count+res.bots.count)}
		if len(res.labels) == 0 {
			c.fault("the results file has no sample")
		}
		checks = append(checks, c)
	}
	return append(append(checks, judgeHonest(o.plan, res)), judgeLabels(o.plan, res)...)
}

// runCheck: a test that did not happen proves nothing.
func runCheck(o options, res *results) check {
	c := check{name: "run", text: fmt.Sprintf("%d buyers pressed", len(res.buyers))}
	switch {
	case len(res.buyers) == 0 && res.foreign > 0:
		c.fault("no purchase of sale %s; %d lines are of another sale", o.sale, res.foreign)
	case len(res.buyers) == 0 && len(res.odd) == 0:
		c.fault("the results file has no purchase")
	case len(res.buyers) < o.users:
		c.fault("of %d buyers only %d came to press", o.users, len(res.buyers))
	}
	c.faults = append(c.faults, res.odd...)
	return c
}

func neverOversold(b *books) check {
	live := b.live()
	c := check{name: "P1", text: fmt.Sprintf("not oversold: %d units seeded, %d in live orders, %d left", b.seeded, live, b.stockLeft)}
	if live > b.seeded {
		c.fault("%d units are sold, %d were there", live, b.seeded)
	}
	return c
}

// everyAcceptedIsAnOrder is P2. A dead letter counts: an operator will replay or
// drop it.
func everyAcceptedIsAnOrder(o options, res *results, b *books) check {
	c := check{name: "P2"}
	accepted, repeated, soldOut, bought, dead := 0, 0, 0, 0, 0
	ends := map[string]int{} // of the accepted ones
	for _, id := range sorted(res.purchases) {
		p := res.purchases[id]
		r, placed := b.rows[id]
		if b.letters[id] {
			dead++
		}
		if placed && final(p.status) && r.status != p.status {
			c.fault("order %s of user %s was %s when last seen, and is %s", id, p.user, p.status, r.status)
		}
		if p.accepted == 0 {
			if !placed && !b.letters[id] && decided(p.status) {
				c.fault("order %s of user %s was %s when last seen, and is gone", id, p.user, p.status)
			}
			continue
		}
		accepted++
		if p.accepted+p.unknown > 1 {
			repeated++
		}
		ends[end(r, placed, b.letters[id])]++
		switch {
		case placed && b.letters[id]:
			c.fault("order %s has a row and a dead letter", id)
		case !placed && !b.letters[id]:
			c.fault("order %s of user %s was answered 202 and is not in the database", id, p.user)
		case r.status == "rejected" && r.reason == "already_bought":
			bought++
		case r.status == "rejected" && r.reason == "sold_out":
			soldOut++
		}
	}
	if n := soldOut + bought; n > 0 && !o.allowRejected {
		c.fault("%d orders were rejected after a 202: %d sold_out, %d already_bought", n, soldOut, bought)
	}
	c.text = fmt.Sprintf("every 202 is one order: %d accepted (%d asked for more than once), %d rejected afterwards, %d dead letters", accepted, repeated, soldOut+bought, dead)
	if len(ends) > 0 {
		c.text += "; they are " + counted(ends)
	}
	if b.strayLetters > 0 {
		c.text += fmt.Sprintf("; %d dead letters name no sale", b.strayLetters)
	}
	return c
}

// end is what became of an order that was answered 202.
func end(r row, placed, dead bool) string {
	switch {
	case placed:
		return r.status
	case dead:
		return "dead_lettered"
	}
	return "missing"
}

// decided reports whether a status, as a buyer saw it, promises a row or a dead letter.
func decided(status string) bool {
	switch status {
	case "pending", "paid", "cancelled", "rejected", "dead_lettered":
		return true
	default:
		return false
	}
}

// final reports whether nothing may follow a status.
func final(status string) bool {
	return status == "paid" || status == "cancelled" || status == "rejected"
}

func nobodyHasTooMuch(b *books) check {
	units := map[string]int64{}
	for _, r := range b.rows {
		if r.live() {
			units[r.user] += r.units
		}
	}
	c := check{name: "P3", text: fmt.Sprintf("nobody has more than %d: %d users hold live orders", b.perUser, len(units))}
	for _, user := range sorted(units) {
		if units[user] > b.perUser {
			c.fault("user %s has %d units", user, units[user])
		}
	}
	return c
}

// nothingUnasked: every row is one that a buyer of this run asked for and was not
// refused, with exactly what was asked for. An order that was written twice under
// another id shows here.
func nothingUnasked(res *results, b *books) check {
	c := check{name: "rows", text: fmt.Sprintf("every order was asked for, by a user that exists: %d rows", len(b.rows))}
	for _, id := range sorted(b.rows) {
		r := b.rows[id]
		p, known := res.purchases[id]
		if !r.known {
			c.fault("order %s is of user %s, who does not exist", id, r.user)
		}
		switch {
		case !known:
			c.fault("order %s of user %s: nobody in this run asked for it", id, r.user)
		case !p.asked():
			c.fault("order %s of user %s exists, but the buyer was only ever refused", id, r.user)
		case r.user != p.user:
			c.fault("order %s is of user %s, but user %s asked for it", id, r.user, p.user)
		case r.units != 1:
			c.fault("order %s has %d units, asked for was 1", id, r.units)
		}
	}
	return c
}

// noUnitIsLost is P4 with the database at rest.
func noUnitIsLost(res *results, b *books) check {
	live := b.live()
	c := check{name: "P4", text: fmt.Sprintf("no unit is lost: %d seeded = %d left + %d live", b.seeded, b.stockLeft, live)}
	if b.seeded != b.stockLeft+live {
		c.fault("seeded %d is not stock_left %d + live %d", b.seeded, b.stockLeft, live)
	}
	units := map[string]int64{}
	for _, r := range b.rows {
		if r.live() {
			units[r.user] += r.units
		}
	}
	for _, user := range sorted(b.taken) {
		if b.taken[user] != units[user] {
			c.fault("user %s has taken %d units by the table buyer, %d by the orders", user, b.taken[user], units[user])
		}
		delete(units, user)
	}
	for _, user := range sorted(units) {
		c.fault("user %s has live orders and is not in the table buyer", user)
	}
	if b.gate && (b.free+b.held != b.stockLeft || b.held != 0 && len(b.letters) == 0) {
		c.fault("the gate has %d free and %d held; at rest it must be %d and 0", b.free, b.held, b.stockLeft)
	}
	if n := refusedAlthoughLeft(res, b); n > 0 {
		c.fault("%d buyers were refused for good although %d units are left and nobody gave one back", n, b.stockLeft)
	}
	return c
}

// refusedAlthoughLeft counts the buyers without an order while units are left. It is
// zero where a unit may have come back after the refusal.
func refusedAlthoughLeft(res *results, b *books) (n int) {
	if b.stockLeft == 0 || len(b.letters) > 0 {
		return 0
	}
	for _, r := range b.rows {
		if !r.live() {
			return 0
		}
	}
	for _, p := range res.purchases {
		if p.soldOut && !p.asked() {
			n++
		}
	}
	return n
}

// repeatsAreOne is P5: who pressed again was told the same again, and has one order of one
// unit. Ids are keys, so a repeat that took another unit took it under another id.
func repeatsAreOne(res *results, b *books) check {
	c := check{name: "P5"}
	of := map[string][]string{} // a user's rows
	for _, id := range sorted(b.rows) {
		of[b.rows[id].user] = append(of[b.rows[id].user], id)
	}
	repeats := 0
	for _, id := range sorted(res.purchases) {
		p := res.purchases[id]
		if p.presses < 2 {
			continue
		}
		repeats++
		for _, answer := range p.denied {
			c.fault("order %s was answered 202, and then %s", id, answer)
		}
		if r, ok := b.rows[id]; ok && r.units != 1 {
			c.fault("order %s was asked for %d times and has %d units", id, p.presses, r.units)
		}
		for _, other := range of[p.user] {
			if _, asked := res.purchases[other]; !asked {
				c.fault("user %s asked for order %s %d times, and has %s as well", p.user, id, p.presses, other)
			}
		}
	}
	c.text = fmt.Sprintf("a repeat is the same order: %d orders were asked for more than once", repeats)
	return c
}

// sorted gives the keys in order, so that the same run has the same verdict.
func sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
