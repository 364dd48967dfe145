package naive

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"sync"

	"github.com/go-sql-driver/mysql"
	amqp "github.com/rabbitmq/amqp091-go"
)

// workers is how many orders are on their way into the database at once.
const workers = 16

// Schema are the naive tables.
var Schema = []string{
	`CREATE TABLE IF NOT EXISTS naive_sales (id VARCHAR(32) PRIMARY KEY, stock_left BIGINT NOT NULL)`,
	`CREATE TABLE IF NOT EXISTS naive_orders (id VARCHAR(128) PRIMARY KEY, sale VARCHAR(32) NOT NULL, user VARCHAR(64) NOT NULL,
		at BIGINT NOT NULL, KEY (sale, user))`,
}

// Work takes orders out of the queue until ctx ends: a transaction and an ack for each.
func Work(ctx context.Context, url, dsn string) error {
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(workers)
	db.SetMaxIdleConns(workers)
	conn, err := amqp.Dial(url)
	if err != nil {
		return err
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	if err := errors.Join(Declare(ch), ch.Qos(256, 0, false)); err != nil {
		return err
	}
	deliveries, err := ch.ConsumeWithContext(ctx, Queue, "", false, false, false, false, nil)
	if err != nil {
		return err
	}
	var group sync.WaitGroup
	errs := make(chan error, workers)
	for range workers {
		group.Go(func() {
			for d := range deliveries {
				if err := place(ctx, db, d.Body); err != nil {
					errs <- err
					return
				}
				if err := d.Ack(false); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	group.Wait()
	if ctx.Err() != nil {
		return nil
	}
	select {
	case err := <-errs:
		return err
	default:
		return errors.New("the queue is gone")
	}
}

func place(ctx context.Context, db *sql.DB, body []byte) error {
	var o Order
	if err := json.Unmarshal(body, &o); err != nil {
		return err
	}
	for {
		err := insert(ctx, db, o)
		if e, ok := errors.AsType[*mysql.MySQLError](err); ok && e.Number == 1213 { // a deadlock is tried again
			continue
		}
		return err
	}
}

func insert(ctx context.Context, db *sql.DB, o Order) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	result, err := tx.ExecContext(ctx, "INSERT IGNORE INTO naive_orders (id, sale, user, at) VALUES (?, ?, ?, ?)", o.Order, o.Sale, o.User, o.At)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return err // it came twice
	}
	if _, err := tx.ExecContext(ctx, "UPDATE naive_sales SET stock_left = stock_left - 1 WHERE id = ? AND stock_left > 0", o.Sale); err != nil {
		return err
	}
	return tx.Commit()
}
