package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"flashgate"
	"flashgate/bench/chart"
)

const (
	// mostMemory is what the largest sale's buyers may take of the machine, in bytes.
	mostMemory = 4 << 30
	// mostFilling is how long it may take to fill a sale.
	mostFilling = 3 * time.Minute
	// fewerUsers replaces the largest sale where it would take more of either.
	fewerUsers = 3_000_000
	// userBatches are one sample.
	userBatches = 300
)

// measureUsers fills sales with users who have bought, all in one Redis, and then
// reserves batches in each in turn: by users who are new, and by some who have bought.
func measureUsers(ctx context.Context, s settings, c *curveResult) (err error) {
	k, err := openStock("off") // a file of this size would cost the disk, and shows nothing here
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, k.close()) }()
	size := c.figure("users-memory", "Memory of the users who have bought", "users who have bought", "bytes a user")
	cost := c.figure("users-cost", "A reservation, by how many have bought; batches of 64", "users who have bought", "µs a reservation")
	sales := map[int]flashgate.SaleID{}
	var sizes []int
	var perUser, seconds float64 // of the sale before
	for _, users := range s.upTo(100_000, 10, 1000, 100_000, 1_000_000, 10_000_000) {
		memory, filling := perUser*float64(users), seconds*float64(users)
		if memory > mostMemory || filling > mostFilling.Seconds() {
			c.Notes = append(c.Notes, fmt.Sprintf("%s users would take %.1f GB and %.0f s to fill in, more than the %d GB and %.0f s that a run may: %s instead",
				chart.Thousands(float64(users)), memory/1e9, filling, mostMemory>>30, mostFilling.Seconds(), chart.Thousands(fewerUsers)))
			users = fewerUsers
		}
		sale, begin := flashgate.SaleID(fmt.Sprint("users", users)), time.Now()
		if perUser, err = k.fill(ctx, sale, users, size); err != nil {
			return fmt.Errorf("%d users: %w", users, err)
		}
		seconds = time.Since(begin).Seconds() / float64(users)
		sales[users], sizes = sale, append(sizes, users)
	}
	for round := range s.Rounds {
		for _, users := range sizes {
			if err := c.calm(ctx); err != nil {
				return err
			}
			if err := k.reserveAmong(ctx, sales[users], users, round, cost); err != nil {
				return fmt.Errorf("%d users: %w", users, err)
			}
		}
	}
	return nil
}

// fill opens a sale and puts users into its buyers, as apply does for orders that were
// placed. It returns how many bytes each takes.
func (k *stock) fill(ctx context.Context, sale flashgate.SaleID, users int, f *figure) (perUser float64, err error) {
	if err := k.open(ctx, sale, flashgate.MaxStock, 0); err != nil {
		return 0, err
	}
	before, err := k.work(ctx)
	if err != nil {
		return 0, err
	}
	var first flashgate.OrderID
	for at := 0; at < users; {
		pipe := k.raw.Pipeline()
		for range 20 {
			var fields []any
			for ; len(fields) < 1000 && at < users; at++ {
				user := userOf(at)
				order := k.reservation(sale, user).Order
				if at == 0 {
					first = order
				}
				fields = append(fields, "o:"+string(order), "1 "+string(user), "u:"+string(user), "1 "+string(order))
			}
			if len(fields) > 0 {
				pipe.HSet(ctx, saleKey(sale, "buyers"), fields...)
			}
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return 0, err
		}
	}
	after, err := k.work(ctx)
	if err != nil {
		return 0, err
	}
	usage, err := k.raw.MemoryUsage(ctx, saleKey(sale, "buyers"), 1000).Result()
	if err != nil {
		return 0, err
	}
	perUser = float64(after.since(before).memory) / float64(users)
	if users >= 1000 { // of a few it shows what the server needs for itself
		f.add("Redis as a whole (used_memory)", users, perUser)
	}
	f.add("the key buyers (MEMORY USAGE)", users, float64(usage)/float64(users))
	return perUser, k.knows(ctx, sale, first)
}

// knows checks that what was filled in is what the scripts read: the first user's order
// is known, and another one is refused and told of it.
func (k *stock) knows(ctx context.Context, sale flashgate.SaleID, first flashgate.OrderID) error {
	again, another := k.reservation(sale, userOf(0)), k.reservation(sale, userOf(0))
	again.Order = first
	out, err := k.store.Reserve(ctx, sale, []flashgate.Reservation{again, another})
	if err != nil {
		return err
	}
	if out[0].Outcome != flashgate.OutcomeAccepted || out[1].Outcome != flashgate.OutcomeAlreadyBought || out[1].Prior != first {
		return fmt.Errorf("the first user is not known as one who has bought: %+v", out)
	}
	return nil
}

// reserveAmong takes one sample of each kind, and leaves the sale as it was.
func (k *stock) reserveAmong(ctx context.Context, sale flashgate.SaleID, users, round int, f *figure) error {
	for _, kind := range []struct {
		name string
		want flashgate.Outcome
		user func(i int) flashgate.UserID
	}{
		{"new", flashgate.OutcomePublish, func(i int) flashgate.UserID { return newcomers(i, 1)[0] }},
		{"has bought", flashgate.OutcomeAlreadyBought, func(int) flashgate.UserID { return userOf(rand.IntN(users)) }},
	} {
		before, err := k.work(ctx)
		if err != nil {
			return err
		}
		var took time.Duration
		var added []string
		for batch := range userBatches {
			rs := make([]flashgate.Reservation, batchSize)
			for i := range rs {
				rs[i] = k.reservation(sale, kind.user((round*userBatches+batch)*batchSize+i))
				added = append(added, "u:"+string(rs[i].User))
			}
			d, count, err := k.reserve(ctx, sale, rs)
			if err == nil {
				err = expect(count, kind.want, len(rs))
			}
			if err != nil {
				return err
			}
			took += d
		}
		after, err := k.work(ctx)
		if err != nil {
			return err
		}
		n := userBatches * batchSize
		f.add(kind.name+", with the way to Redis", users, perUnit(took, n))
		f.add(kind.name+", in Redis", users, perUnit(after.since(before).inside, n))
		if kind.want == flashgate.OutcomePublish {
			if err := k.forget(ctx, sale, added); err != nil {
				return err
			}
		}
	}
	return nil
}

// forget takes what is held out of a sale, so that it stays as large as it is.
func (k *stock) forget(ctx context.Context, sale flashgate.SaleID, fields []string) error {
	pipe := k.raw.TxPipeline()
	pipe.Del(ctx, saleKey(sale, "held"), saleKey(sale, "outbox"))
	pipe.HDel(ctx, saleKey(sale, "buyers"), fields...)
	pipe.HIncrBy(ctx, saleKey(sale, "head"), "free", int64(len(fields)))
	pipe.HSet(ctx, saleKey(sale, "head"), "held", 0)
	_, err := pipe.Exec(ctx)
	return err
}
