package main

import (
	"context"
	"database/sql"
	"time"

	_ "modernc.org/sqlite"
)

// orders is what this consumer makes of the events. A real one has its own database
// here; what matters is that one transaction holds the work and the note of its id.
type orders struct{ db *sql.DB }

const tables = `
CREATE TABLE IF NOT EXISTS handled (id INTEGER PRIMARY KEY, at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, sale TEXT NOT NULL, user TEXT NOT NULL, units INTEGER NOT NULL, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS sales (id TEXT PRIMARY KEY, seq INTEGER NOT NULL, sold_out INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS counts (kind TEXT PRIMARY KEY, n INTEGER NOT NULL);
`

func openOrders(file string) (*orders, error) {
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(5000)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(tables); err != nil {
		db.Close()
		return nil, err
	}
	return &orders{db}, nil
}

func (o *orders) Close() error { return o.db.Close() }

// keepIDs is how long the ids of events are remembered. An event comes again soon after
// it was first sent, or when it has waited in the queue: as long as this consumer may be
// away, and some more.
const keepIDs = 30 * 24 * time.Hour

// handle does an event's work, once, and reports whether this was the time.
func (o *orders) handle(ctx context.Context, e event) (fresh bool, err error) {
	tx, err := o.db.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	noted, err := tx.ExecContext(ctx, "INSERT INTO handled (id, at) VALUES (?, ?) ON CONFLICT DO NOTHING", e.ID, time.Now().Unix())
	if err != nil {
		return false, err
	}
	if n, err := noted.RowsAffected(); err != nil || n == 0 {
		return false, err
	}
	if err := work(ctx, tx, e); err != nil {
		return false, err
	}
	if e.ID%1000 == 0 { // now and then
		if _, err := tx.ExecContext(ctx, "DELETE FROM handled WHERE at < ?", time.Now().Add(-keepIDs).Unix()); err != nil {
			return false, err
		}
	}
	return true, tx.Commit()
}

// work is where yours begins. Events of an order may come in another order than they
// happened, so placed never overwrites what comes after it; events of a sale have a
// number, and the highest counts. A kind that it does not know changes nothing but the
// count.
func work(ctx context.Context, tx *sql.Tx, e event) (err error) {
	const put = "INSERT INTO orders (id, sale, user, units, state) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) "
	switch e.Kind {
	case "order.placed":
		_, err = tx.ExecContext(ctx, put+"DO NOTHING", e.Order, e.Sale, e.User, e.Units, "placed")
	case "order.paid":
		_, err = tx.ExecContext(ctx, put+"DO UPDATE SET state = excluded.state", e.Order, e.Sale, e.User, e.Units, "paid")
	case "order.cancelled":
		_, err = tx.ExecContext(ctx, put+"DO UPDATE SET state = excluded.state", e.Order, e.Sale, e.User, e.Units, "cancelled")
	case "order.rejected":
		_, err = tx.ExecContext(ctx, put+"DO UPDATE SET state = excluded.state", e.Order, e.Sale, e.User, e.Units, "rejected")
	case "sale.sold_out", "sale.restocked":
		_, err = tx.ExecContext(ctx, `INSERT INTO sales (id, seq, sold_out) VALUES (?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, sold_out = excluded.sold_out WHERE excluded.seq > sales.seq`,
			e.Sale, e.Seq, e.Kind == "sale.sold_out")
	}
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO counts (kind, n) VALUES (?, 1) ON CONFLICT (kind) DO UPDATE SET n = n + 1", e.Kind)
	return err
}
