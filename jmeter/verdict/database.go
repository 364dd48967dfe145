package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	_ "github.com/go-sql-driver/mysql" // the driver
	_ "modernc.org/sqlite"             // the driver
)

// books are one sale in the database, at one moment.
type books struct {
	seeded, stockLeft, perUser int64
	rows                       map[string]row   // by order id
	letters                    map[string]bool  // ids with a dead letter
	taken                      map[string]int64 // units of live orders, as the table of buyers has them
	seq, epoch                 int64            // of the sale
	strayLetters               int64            // dead letters without a sale

	// The gate's side, where it is in the same file.
	gate       bool
	free, held int64
}

// row is one order.
type row struct {
	user           string
	known          bool // the user exists
	units          int64
	status, reason string
}

func (r row) live() bool { return r.status == "pending" || r.status == "paid" }

// live sums the units of the live orders.
func (b *books) live() (units int64) {
	for _, r := range b.rows {
		if r.live() {
			units += r.units
		}
	}
	return units
}

// database is either of the two.
type database struct {
	*sql.DB
	embedded bool
}

func openDatabase(o options) (*database, error) {
	if o.dsn != "" {
		db, err := sql.Open("mysql", o.dsn)
		if err != nil {
			return nil, fmt.Errorf("--mysql: %w", err)
		}
		return &database{DB: db}, nil
	}
	path, err := filepath.Abs(filepath.Join(o.data, "flashgate.db"))
	if err != nil {
		return nil, err
	}
	// Opening would make the file.
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("--data: %w", err)
	}
	name := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(),
		RawQuery: url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(5000)", "query_only(1)"}}.Encode()}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		return nil, err
	}
	return &database{DB: db, embedded: true}, nil
}

// read takes one snapshot: a reading transaction of SQLite, a repeatable read of
// InnoDB.
func (d *database) read(ctx context.Context, sale string) (_ *books, err error) {
	tx, err := d.BeginTx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("the database does not answer: %w", err)
	}
	defer tx.Rollback()
	b := &books{rows: map[string]row{}, letters: map[string]bool{}, taken: map[string]int64{}, gate: d.embedded}
	err = tx.QueryRowContext(ctx, "SELECT seeded, stock_left, per_user, seq, epoch FROM sale WHERE id = ?", sale).Scan(
		&b.seeded, &b.stockLeft, &b.perUser, &b.seq, &b.epoch)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("there is no sale %q in the database", sale)
	}
	if err != nil {
		return nil, fmt.Errorf("the sale: %w", err)
	}
	var id string
	var r row
	err = each(ctx, tx, func() { b.rows[id] = r }, []any{&id, &r.user, &r.units, &r.status, &r.reason, &r.known},
		`SELECT o.id, o.user, o.units, o.status, o.reason, u.id IS NOT NULL
		 FROM orders o LEFT JOIN users u ON u.id = o.user WHERE o.sale = ?`, sale)
	if err != nil {
		return nil, fmt.Errorf("the orders: %w", err)
	}
	if err = each(ctx, tx, func() { b.letters[id] = true }, []any{&id}, "SELECT id FROM dead_letter WHERE sale = ?", sale); err != nil {
		return nil, fmt.Errorf("the dead letters: %w", err)
	}
	if err = tx.QueryRowContext(ctx, "SELECT count(*) FROM dead_letter WHERE sale = ''").Scan(&b.strayLetters); err != nil {
		return nil, fmt.Errorf("the dead letters: %w", err)
	}
	var units int64
	if err = each(ctx, tx, func() { b.taken[id] = units }, []any{&id, &units}, "SELECT user, taken FROM buyer WHERE sale = ?", sale); err != nil {
		return nil, fmt.Errorf("the buyers: %w", err)
	}
	if b.gate {
		if err = tx.QueryRowContext(ctx, "SELECT free, held FROM gate WHERE sale = ?", sale).Scan(&b.free, &b.held); err != nil {
			return nil, fmt.Errorf("the gate: %w", err)
		}
	}
	return b, nil
}

// each scans every row of a query into the same variables and calls keep.
func each(ctx context.Context, tx *sql.Tx, keep func(), into []any, text string, args ...any) error {
	rows, err := tx.QueryContext(ctx, text, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		keep()
	}
	return rows.Err()
}
