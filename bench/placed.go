package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"flashgate"
	"flashgate/bench/naive"
	"flashgate/internal/mysql"
	"flashgate/internal/servers"
)

// drainTimeout is how long the last order of a sample may take into the database, and a
// sale until it is open.
const drainTimeout = 2 * time.Minute

// pollEvery is how often the bench looks whether the last order is in the database. It is
// counted into the time that the orders took.
const pollEvery = 20 * time.Millisecond

// placer is a stock behind which a worker places the orders.
type placer interface {
	stock
	// placed is how many orders of the sale are in the database.
	placed(ctx context.Context, sale flashgate.SaleID) (int64, error)
}

// onDatabase is flashgate's own database with its worker, which opens the gate.
type onDatabase struct {
	gateStock
	database *mysql.Store
}

func newPlaced(gate gateStock, s *server) (_ stock, err error) {
	o := &onDatabase{gateStock: gate}
	if o.database, err = mysql.Open(mysql.Config{DSN: s.dsn}); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := o.database.Migrate(ctx); err != nil {
		return nil, err
	}
	return o, o.database.PutGoods(ctx, flashgate.Goods{ID: "goods", Title: "Goods", Price: 100})
}

// open makes the sale and waits until the worker has opened its gate.
func (o *onDatabase) open(ctx context.Context, sale flashgate.Sale, _ *orders) error {
	if err := o.database.CreateSale(ctx, sale); err != nil {
		return err
	}
	return until(ctx, "the worker has opened the sale", func() (bool, error) {
		view, err := o.store.View(ctx, sale.ID)
		if code := flashgate.ErrorCode(err); code == flashgate.CodeNotFound || code == flashgate.CodeSaleClosed {
			return false, nil
		}
		return view.Open, err
	})
}

func (o *onDatabase) sold(ctx context.Context, sale flashgate.SaleID) (int64, error) {
	view, err := o.store.View(ctx, sale)
	return plenty - view.Free, err
}

func (o *onDatabase) placed(ctx context.Context, sale flashgate.SaleID) (int64, error) {
	s, err := o.database.Sale(ctx, sale)
	return s.Seeded - s.StockLeft, err
}

func (o *onDatabase) close() error { return errors.Join(o.gateStock.close(), o.database.Close()) }

// onNaiveDatabase is the naive one's.
type onNaiveDatabase struct {
	naiveKeys
	db *sql.DB
}

func newNaivePlaced(keys naiveKeys, s *server) (stock, error) {
	db, err := sql.Open("mysql", s.dsn)
	if err != nil {
		return nil, err
	}
	for _, statement := range naive.Schema {
		if _, err := db.Exec(statement); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	return &onNaiveDatabase{keys, db}, nil
}

func (o *onNaiveDatabase) open(ctx context.Context, sale flashgate.Sale, all *orders) error {
	if _, err := o.db.ExecContext(ctx, "INSERT INTO naive_sales (id, stock_left) VALUES (?, ?)", string(sale.ID), sale.StockLeft); err != nil {
		return err
	}
	return o.naiveKeys.open(ctx, sale, all)
}

func (o *onNaiveDatabase) placed(ctx context.Context, sale flashgate.SaleID) (n int64, err error) {
	err = o.db.QueryRowContext(ctx, "SELECT ? - stock_left FROM naive_sales WHERE id = ?", plenty, string(sale)).Scan(&n)
	return n, err
}

func (o *onNaiveDatabase) close() error { return errors.Join(o.naiveKeys.close(), o.db.Close()) }

// drain waits until every order of the sample is in the database, and returns how long.
func (s *server) drain(ctx context.Context) (time.Duration, error) {
	p, ok := s.stock.(placer)
	if !ok {
		return 0, nil
	}
	begin := time.Now()
	err := until(ctx, "the last order is in the database", func() (bool, error) {
		sold, err := p.sold(ctx, s.orders.sale)
		if err != nil {
			return false, err
		}
		placed, err := p.placed(ctx, s.orders.sale)
		return placed == sold, err
	})
	return time.Since(begin), err
}

// until asks again and again.
func until(ctx context.Context, what string, ask func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if yes, err := ask(); yes || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, ctx.Err())
		}
	}
}

// services are servers that rows share: each row has a virtual host or a database of its
// own, and in a sample only the row's own work is in them.
type services struct {
	rabbit *servers.RabbitMQ
	maria  *servers.MariaDB
}

func (b *bench) startServices(groups []group) (err error) {
	if anyRow(groups, func(r row) bool { return r.queue }) {
		if b.rabbit, err = servers.StartRabbitMQ(servers.RabbitMQConfig{Dir: filepath.Join(b.dir, "rabbitmq")}); err != nil {
			return err
		}
	}
	if anyRow(groups, row.places) {
		b.maria, err = servers.StartMariaDB(servers.MariaDBConfig{Dir: filepath.Join(b.dir, "mariadb")})
	}
	return err
}

func (s services) close() (err error) {
	if s.rabbit != nil {
		err = s.rabbit.Close()
	}
	if s.maria != nil {
		err = errors.Join(err, s.maria.Close())
	}
	return err
}

// places reports whether a worker places the row's orders.
func (r row) places() bool { return r.stock == placedStock || r.stock == naivePlaced }

// share gives a row its part of the services, and returns what its processes are told of
// them.
func (b *bench) share(ctx context.Context, s *server, name string) (env []string, err error) {
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r
		}
		return '_'
	}, strings.ToLower(name))
	if s.row.queue {
		if _, err := b.rabbit.Ctl("add_vhost", name); err != nil {
			return nil, err
		}
		if _, err := b.rabbit.Ctl("set_permissions", "-p", name, "guest", ".*", ".*", ".*"); err != nil {
			return nil, err
		}
		env = append(env, "AMQP_URL="+b.rabbit.URL()+name)
	}
	if s.row.places() {
		if err := b.maria.CreateDatabase(ctx, name); err != nil {
			return nil, err
		}
		s.dsn = b.maria.DSN(name)
		env = append(env, "MYSQL_DSN="+s.dsn)
	}
	return env, nil
}

// startWorker starts the order worker of a row that has one.
func (b *bench) startWorker(s *server, dir string, env []string) error {
	var cmd *exec.Cmd
	switch s.row.stock {
	case placedStock:
		port, err := servers.FreePort()
		if err != nil {
			return err
		}
		cmd = exec.Command(b.worker, "run")
		env = append(env, fmt.Sprintf("WORKER_ADDR=127.0.0.1:%d", port), fmt.Sprintf("SALE_BOUND=%d", flashgate.MaxStock))
	case naivePlaced:
		cmd = exec.Command(b.caddy, "naive-worker")
	default:
		return nil
	}
	cmd.Env = append(os.Environ(), env...)
	cmd.Dir = dir
	s.worker = &process{name: s.row.name + "'s worker", cmd: cmd, log: filepath.Join(dir, "worker.log")}
	return s.worker.run()
}
