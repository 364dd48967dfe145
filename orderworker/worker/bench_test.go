package worker_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"flashgate"
	"flashgate/internal/mysql"
	"flashgate/internal/servers/serverstest"
	"flashgate/orderworker/worker"
)

// benchOrders is how many orders wait in the queue when the worker comes.
const benchOrders = 40_960

// BenchmarkPlaced works off a queue of orders, on the real servers: each is a row, acked
// and applied at the end. In the same round, and in turns before and after it, the bare
// loop writes as many rows into tables of the same form: for every 1,024 orders one
// transaction of four statements. ratio is the worker's speed in parts of the loop's.
func BenchmarkPlaced(b *testing.B) {
	for _, c := range []struct{ sales, parts int }{{1, 256}, {1, 1}, {8, 256}, {8, 1}} {
		b.Run(fmt.Sprintf("sales=%d/parts=%d", c.sales, c.parts), func(b *testing.B) {
			bare := newBareLoop(b)
			var placing, inserting time.Duration
			n := 0
			for b.Loop() {
				b.StopTimer()
				l := newLoad(b, c.sales, benchOrders/c.sales, c.parts)
				if n%2 == 0 {
					inserting += bare.run(benchOrders)
				}
				b.StartTimer()
				placing += l.run()
				b.StopTimer()
				l.check()
				if n%2 == 1 {
					inserting += bare.run(benchOrders)
				}
				n++
				b.StartTimer()
			}
			b.ReportMetric(float64(n*benchOrders)/placing.Seconds(), "orders/s")
			b.ReportMetric(float64(n*benchOrders)/inserting.Seconds(), "bare-rows/s")
			b.ReportMetric(inserting.Seconds()/placing.Seconds(), "ratio")
		})
	}
}

// bareLoop is one connection that writes what it is told, and judges nothing.
type bareLoop struct {
	b   *testing.B
	db  *sql.DB
	seq int
}

func newBareLoop(b *testing.B) *bareLoop {
	b.Helper()
	dsn := serverstest.Database(b)
	s, err := mysql.Open(mysql.Config{DSN: dsn})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { closed(b, s.Close()) }()
	if err := s.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	err = s.CreateSale(b.Context(), flashgate.Sale{ID: "bare", Goods: "g", FlashPrice: 100, PerUser: 1, Seeded: flashgate.MaxStock, Starts: now, Ends: now.Add(time.Hour)})
	if err != nil {
		b.Fatal(err)
	}
	db, err := sql.Open("mysql", dsn+"&interpolateParams=true&charset=utf8mb4")
	if err != nil {
		b.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	b.Cleanup(func() { closed(b, db.Close()) })
	return &bareLoop{b: b, db: db}
}

func (l *bareLoop) run(orders int) time.Duration {
	l.b.Helper()
	const rows = flashgate.MaxMessageReservations
	many := func(insert, row string) string { return insert + row + strings.Repeat(", "+row, rows-1) }
	intoOrders := many("INSERT INTO orders (id, sale, user, units, price, status, reason, seq, created, expires, updated) VALUES ",
		"(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
	intoBuyers := many("INSERT INTO buyer (sale, user, taken) VALUES ", "(?, ?, ?)")
	type decision struct{ Kind, Order, User, Units any }
	ids := make([]flashgate.OrderID, orders)
	for i := range ids {
		_, ids[i] = keys.Mint(flashgate.Claim{Sale: "bare", User: fmt.Sprint(i)}, time.Now().Add(time.Minute))
	}
	begin := time.Now()
	for at := 0; at < orders; at += rows {
		l.seq++
		var os, us []any
		var ds []decision
		for _, id := range ids[at : at+rows] {
			user := fmt.Sprint(13_800_000_000 + l.seq*rows + len(ds))
			os = append(os, string(id), "bare", user, 1, 100, "pending", "", l.seq, 1, 2, 1)
			us = append(us, "bare", user, 1)
			ds = append(ds, decision{"placed", id, user, 1})
		}
		text, err := json.Marshal(ds)
		if err != nil {
			l.b.Fatal(err)
		}
		tx, err := l.db.Begin()
		if err != nil {
			l.b.Fatal(err)
		}
		for _, s := range []struct {
			text string
			args []any
		}{
			{intoOrders, os},
			{intoBuyers, us},
			{"UPDATE sale SET stock_left = stock_left - ?, seq = seq + 1 WHERE id = 'bare'", []any{rows}},
			{"INSERT INTO stock_log (sale, seq, epoch, left_after, starts, ends, decisions) VALUES ('bare', ?, 1, 1, 1, 2, ?)", []any{l.seq, string(text)}},
		} {
			if _, err := tx.Exec(s.text, s.args...); err != nil {
				l.b.Fatal(err)
			}
		}
		if err := tx.Commit(); err != nil {
			l.b.Fatal(err)
		}
	}
	return time.Since(begin)
}

// BenchmarkLone is one order at an idle worker, from before its message is published
// until its row is committed.
func BenchmarkLone(b *testing.B) {
	r := shared(b)
	committed := make(chan struct{}, 1)
	r.work(func(c *worker.Config) { production(c); c.Ledger = &telling{Ledger: c.Ledger, committed: committed} })
	id := r.newSale(loadUnits)
	r.opens(id, 2)
	var took []time.Duration
	for b.Loop() {
		b.StopTimer()
		res := r.reserve(id, "u"+flashgate.NewKey())
		m := flashgate.NewMessage(id, 2, res)
		b.StartTimer()
		begin := time.Now()
		if err := r.publisher.Publish(b.Context(), m); err != nil {
			b.Fatal(err)
		}
		<-committed
		took = append(took, time.Since(begin))
		b.StopTimer()
		r.published(res)
		r.eventually("it is applied", func() bool { return r.view(id).Held == 0 })
		b.StartTimer()
	}
	slices.Sort(took)
	for name, at := range map[string]int{"p50-ms": len(took) / 2, "p99-ms": len(took) * 99 / 100} {
		b.ReportMetric(took[at].Seconds()*1000, name)
	}
}

// telling is a Ledger that tells when a batch is committed.
type telling struct {
	flashgate.Ledger
	committed chan struct{}
}

func (t *telling) Decide(ctx context.Context, sale flashgate.SaleID, rs []flashgate.Reservation, ttl time.Duration) ([]flashgate.Decision, error) {
	ds, err := t.Ledger.Decide(ctx, sale, rs, ttl)
	t.committed <- struct{}{}
	return ds, err
}
