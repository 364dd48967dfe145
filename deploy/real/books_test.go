package main_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"flashgate"

	_ "github.com/go-sql-driver/mysql"
	goredis "github.com/redis/go-redis/v9"
)

func sessionCookie(token flashgate.SessionToken) []*http.Cookie {
	return []*http.Cookie{{Name: "session", Value: string(token)}}
}

// books are the sums of one sale, read with plain SQL and plain Redis commands and
// none of our adapters.
type books struct {
	Seeded, StockLeft, Live    int64 // units
	Orders, Users              int64 // live orders, and the users who have one
	SoldOut, OtherRejected     int64 // rejected rows
	Dead, Strangers            int64 // dead letters; orders of users that do not exist
	Seq, Applied               int64
	Free, Held                 int64 // units at the gate
	HeldOrders, Outbox, Queued int64
	BuyerTaken                 int64
}

// audit reads the books of a sale.
type audit struct {
	db    *sql.DB
	redis goredis.UniversalClient
	site  *site
}

func (s *site) audit(t testing.TB) *audit {
	t.Helper()
	db, err := sql.Open("mysql", s.maria.DSN(database))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	opts, err := goredis.ParseURL(s.redisURL)
	if err != nil {
		t.Fatal(err)
	}
	rdb := goredis.NewClient(opts)
	t.Cleanup(func() { rdb.Close() })
	return &audit{db: db, redis: rdb, site: s}
}

func (a *audit) read(ctx context.Context, sale flashgate.SaleID) (b books, err error) {
	for text, into := range map[string][]any{
		"SELECT seeded, stock_left, seq FROM sale WHERE id = ?":                                                                       {&b.Seeded, &b.StockLeft, &b.Seq},
		"SELECT coalesce(sum(units), 0), count(*), count(DISTINCT user) FROM orders WHERE sale = ? AND status IN ('pending', 'paid')": {&b.Live, &b.Orders, &b.Users},
		"SELECT count(*) FROM orders WHERE sale = ? AND status = 'rejected' AND reason = 'sold_out'":                                  {&b.SoldOut},
		"SELECT count(*) FROM orders WHERE sale = ? AND status = 'rejected' AND reason <> 'sold_out'":                                 {&b.OtherRejected},
		"SELECT count(*) FROM dead_letter WHERE sale = ? OR sale = ''":                                                                {&b.Dead},
		"SELECT count(*) FROM orders o LEFT JOIN users u ON u.id = o.user WHERE o.sale = ? AND u.id IS NULL":                          {&b.Strangers},
		"SELECT coalesce(sum(taken), 0) FROM buyer WHERE sale = ?":                                                                    {&b.BuyerTaken},
	} {
		if err := a.db.QueryRowContext(ctx, text, sale).Scan(into...); err != nil {
			return b, fmt.Errorf("%s: %w", text, err)
		}
	}
	key := func(name string) string { return "flashgate:{" + string(sale) + "}:" + name }
	head, err := a.redis.HGetAll(ctx, key("head")).Result()
	if err != nil {
		return b, err
	}
	for name, into := range map[string]*int64{"free": &b.Free, "held": &b.Held, "applied": &b.Applied} {
		if *into, err = strconv.ParseInt(head[name], 10, 64); err != nil {
			return b, fmt.Errorf("head of sale %s: %s is %q", sale, name, head[name])
		}
	}
	if b.HeldOrders, err = a.redis.HLen(ctx, key("held")).Result(); err != nil {
		return b, err
	}
	for _, name := range []string{"outbox", "leased"} {
		n, err := a.redis.ZCard(ctx, key(name)).Result()
		if err != nil {
			return b, err
		}
		b.Outbox += n
	}
	b.Queued, err = a.queued()
	return b, err
}

// queued counts the messages in all queues, given out or not.
func (a *audit) queued() (n int64, err error) {
	out, err := a.site.rabbit.Ctl("-q", "list_queues", "messages")
	if err != nil {
		return 0, err
	}
	for _, line := range strings.Fields(out) {
		if v, err := strconv.ParseInt(line, 10, 64); err == nil {
			n += v
		}
	}
	return n, nil
}

// rest is quiet, in a sale that nothing was to go wrong in.
func (a *audit) rest(t testing.TB, sale flashgate.SaleID) books {
	t.Helper()
	b := a.quiet(t, sale)
	if b.OtherRejected != 0 {
		t.Errorf("%d orders were rejected, and not for want of stock", b.OtherRejected)
	}
	return b
}

// quiet waits until everything has come to rest and checks the promises that hold
// then, also where Redis has lost something on the way.
func (a *audit) quiet(t testing.TB, sale flashgate.SaleID) books {
	t.Helper()
	var b books
	var err error
	eventually(t, "the sale comes to rest", func() bool {
		b, err = a.read(t.Context(), sale)
		return err == nil && b.Held == 0 && b.HeldOrders == 0 && b.Outbox == 0 && b.Applied == b.Seq && b.Queued == 0
	})
	if b.Seeded != b.StockLeft+b.Live {
		t.Errorf("P4, database: seeded %d ≠ stock_left %d + live %d", b.Seeded, b.StockLeft, b.Live)
	}
	if b.Free != b.StockLeft {
		t.Errorf("P4, gate: free %d ≠ stock_left %d, with nothing held", b.Free, b.StockLeft)
	}
	if b.StockLeft < 0 || b.Free < 0 {
		t.Errorf("P1: stock_left %d, free %d", b.StockLeft, b.Free)
	}
	if b.Orders != b.Users || b.BuyerTaken != b.Live {
		t.Errorf("P3: %d orders of %d users, who have taken %d of %d units", b.Orders, b.Users, b.BuyerTaken, b.Live)
	}
	if b.Dead != 0 || b.Strangers != 0 {
		t.Errorf("%d dead letters, %d orders of nobody", b.Dead, b.Strangers)
	}
	return b
}

// rows counts the rows of ids by status and reason.
func (a *audit) rows(t testing.TB, ids []flashgate.OrderID) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, id := range ids {
		var status, reason string
		err := a.db.QueryRowContext(t.Context(), "SELECT status, reason FROM orders WHERE id = ?", id).Scan(&status, &reason)
		switch {
		case err == sql.ErrNoRows:
			out["none"]++
		case err != nil:
			t.Fatal(err)
		default:
			out[strings.TrimSpace(status+" "+reason)]++
		}
	}
	return out
}
