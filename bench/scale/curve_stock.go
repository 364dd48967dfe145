package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"flashgate"
)

// smallSales makes up for how short a small sale is: so many reservations at least are
// one sample.
const smallSales = 6400

// measureStock sells sales of different sizes until they are sold out, in batches of
// new users, and counts what each has cost.
func measureStock(ctx context.Context, s settings, c *curveResult) (err error) {
	k, err := openStock("everysec")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, k.close()) }()
	f := c.figure("stock", "Reserving until the sale is sold out, batches of 64", "units of the sale", "µs a reservation")
	n := 0
	for range s.Rounds {
		for _, units := range s.upTo(1000, 10, 1000, 100_000, 1_000_000) {
			if err := c.calm(ctx); err != nil {
				return err
			}
			var sum soldOut
			for sum.reservations < smallSales {
				n++
				sale := flashgate.SaleID(fmt.Sprint("stock", n))
				if err := k.sellOut(ctx, sale, units, &sum); err != nil {
					return fmt.Errorf("%d units: %w", units, err)
				}
			}
			f.add("with the way to Redis", units, perUnit(sum.took, sum.reservations))
			f.add("in Redis", units, perUnit(sum.inside, sum.reservations))
		}
	}
	return nil
}

// soldOut sums up over sales.
type soldOut struct {
	took, inside time.Duration
	reservations int
}

// sellOut opens a sale, reserves until a reservation is refused, and removes the sale.
// Exactly its units must have been held.
func (k *stock) sellOut(ctx context.Context, sale flashgate.SaleID, units int, sum *soldOut) error {
	if err := k.open(ctx, sale, int64(units), 0); err != nil {
		return err
	}
	before, err := k.work(ctx)
	if err != nil {
		return err
	}
	held, at := 0, 0
	for done := false; !done; at += batchSize {
		rs := k.reservations(sale, newcomers(at, batchSize))
		took, count, err := k.reserve(ctx, sale, rs)
		if err != nil {
			return err
		}
		sum.took += took
		sum.reservations += len(rs)
		held += count[flashgate.OutcomePublish]
		done = count[flashgate.OutcomeSoldOut] > 0
		if err := expect(count, flashgate.OutcomePublish, len(rs)-count[flashgate.OutcomeSoldOut]); err != nil {
			return err
		}
	}
	after, err := k.work(ctx)
	if err != nil {
		return err
	}
	sum.inside += after.since(before).inside
	if held != units {
		return fmt.Errorf("%d units were held", held)
	}
	return k.raw.Unlink(ctx, saleKey(sale, "head"), saleKey(sale, "held"), saleKey(sale, "outbox"), saleKey(sale, "buyers"), saleKey(sale, "leased")).Err()
}
