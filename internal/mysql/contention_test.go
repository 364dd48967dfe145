package mysql_test

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/mysql"
	"flashgate/internal/servers/serverstest"
)

// crowd is what the goroutines of one test share.
type crowd struct {
	*mysql.Store
	sales []flashgate.SaleID

	mu  sync.Mutex
	all map[flashgate.SaleID][]flashgate.Reservation
}

func (c *crowd) add(sale flashgate.SaleID, rs []flashgate.Reservation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all[sale] = append(c.all[sale], rs...)
}

// some is one that was decided, or nothing.
func (c *crowd) some(r *rand.Rand, sale flashgate.SaleID) (flashgate.Reservation, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	rs := c.all[sale]
	if len(rs) == 0 {
		return flashgate.Reservation{}, false
	}
	return rs[r.IntN(len(rs))], true
}

// step makes one random call. An order that is in another state by now is no failure.
func (c *crowd) step(ctx context.Context, r *rand.Rand) (what string, err error) {
	sale := c.sales[r.IntN(len(c.sales))]
	one, ok := c.some(r, sale)
	what = "Decide"
	switch n := r.IntN(10); {
	case !ok || n < 3:
		rs := reservations(sale, 1+r.IntN(8))
		ttl := time.Hour
		if n%2 == 0 {
			ttl = time.Millisecond
		}
		_, err = c.Decide(ctx, sale, rs, ttl)
		c.add(sale, rs)
	case n < 5:
		what = "Cancel"
		_, err = c.Cancel(ctx, one.Order, one.User)
	case n < 7:
		what = "Pay"
		_, err = c.Pay(ctx, one.Order, one.User)
	case n < 9:
		what = "Expire"
		_, _, err = c.Expire(ctx, 20)
	default:
		what = "ChangeSale"
		_, err = c.ChangeSale(ctx, sale, flashgate.SaleChange{Restock: 3})
	}
	if flashgate.ErrorCode(err) == flashgate.CodeWrongState {
		err = nil
	}
	return what, err
}

// deadlocks is how many the server has seen since it started.
func deadlocks(t testing.TB, dsn string) int {
	t.Helper()
	var name, value string
	if err := plain(t, dsn).QueryRowContext(t.Context(), "SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'").Scan(&name, &value); err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(value)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// All that changes a sale, on two sales at once: no call fails, the sums hold, and the
// server has found no deadlock, which a retry would have hidden. The tables are small,
// when a server likes to read them from end to end.
func TestContention(t *testing.T) {
	t.Parallel()
	server := serverstest.OwnMariaDB(t) // its deadlocks are ours
	if err := server.CreateDatabase(t.Context(), "crowd"); err != nil {
		t.Fatal(err)
	}
	dsn := server.DSN("crowd")
	const units, goroutines, steps = 60, 12, 60
	s := openStore(t, dsn)
	c := &crowd{Store: s, sales: []flashgate.SaleID{createSale(t, s, units, 1), createSale(t, s, units, 1)},
		all: map[flashgate.SaleID][]flashgate.Reservation{}}
	var wg sync.WaitGroup
	for i := range goroutines {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			for range steps {
				if what, err := c.step(t.Context(), r); err != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
	wg.Wait()
	for _, sale := range c.sales {
		wantWhole(t, s, dsn, sale, units, c.all[sale])
	}
	// Now several take the events, so that these meet each other as well.
	for range 4 {
		wg.Go(func() {
			for {
				n, err := s.Deliver(t.Context(), 7, func(context.Context, []flashgate.Event) error { return nil })
				if err != nil {
					t.Errorf("Deliver: %v", err)
				}
				if n == 0 {
					return
				}
			}
		})
	}
	wg.Wait()
	if n := deadlocks(t, dsn); n != 0 {
		t.Errorf("the server found %d deadlocks in %d calls, want none: a transaction locks in another order", n, goroutines*steps)
	}
}
