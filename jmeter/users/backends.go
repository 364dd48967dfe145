package main

import (
	"errors"
	"path/filepath"

	"flashgate"
	"flashgate/internal/memory"
	"flashgate/internal/mysql"
	"flashgate/internal/redis"
	"flashgate/internal/sqlite"
	"flashgate/shopapp/shop"
)

// backends are what the shop's code works on here.
type backends struct {
	config shop.Config
	closes []func() error
}

func openBackends(env func(string) string) (_ *backends, err error) {
	b := &backends{}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	// Nothing that is made here is signed: any key will do.
	if b.config.Keys, err = flashgate.ParseKeyring(flashgate.NewKey()); err != nil {
		return nil, err
	}
	switch dsn, url := env("MYSQL_DSN"), env("REDIS_URL"); {
	case dsn != "" && url != "":
		return b, b.openReal(dsn, url)
	case dsn != "" || url != "":
		return nil, errors.New("only one of MYSQL_DSN and REDIS_URL is set: set both for the real backends, or neither for the embedded ones")
	default:
		return b, b.openEmbedded(env("FLASHGATE_DATA"))
	}
}

// openReal takes users and sales from MySQL, sessions and stock from Redis. It leaves
// the schema to the order worker.
func (b *backends) openReal(dsn, url string) error {
	database, err := mysql.Open(mysql.Config{DSN: dsn})
	if err != nil {
		return err
	}
	b.closes = append(b.closes, database.Close)
	gate, err := redis.Open(redis.Config{URL: url})
	if err != nil {
		return err
	}
	b.closes = append(b.closes, gate.Close)
	b.config.Users, b.config.Goods, b.config.Sales, b.config.Orders = database, database, database, database
	b.config.Sessions, b.config.Stock, b.config.Limiter = gate, gate, gate
	return nil
}

func (b *backends) openEmbedded(folder string) error {
	if folder == "" {
		folder = "./data"
	}
	store, err := sqlite.Open(filepath.Join(folder, "flashgate.db"))
	if err != nil {
		return err
	}
	b.closes = append(b.closes, store.Close)
	state, err := memory.New(memory.Config{})
	if err != nil {
		return err
	}
	b.closes = append(b.closes, state.Close)
	b.config.Users, b.config.Sessions, b.config.Goods, b.config.Sales = store, store, store, store
	b.config.Orders, b.config.Stock, b.config.Limiter = store, store, state
	return nil
}

// close closes in the opposite order.
func (b *backends) close() error {
	var errs []error
	for i := len(b.closes) - 1; i >= 0; i-- {
		errs = append(errs, b.closes[i]())
	}
	return errors.Join(errs...)
}
