package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"flashgate"
	"flashgate/internal/keyfile"
	"flashgate/internal/memory"
	"flashgate/internal/mysql"
	"flashgate/internal/redis"
	"flashgate/internal/sqlite"
	"flashgate/shopapp/shop"
)

// backends are what the shop stands on: one embedded file, or MySQL and Redis.
type backends struct {
	config shop.Config
	checks map[string]flashgate.Checker
	data   string // folder of the embedded files, and of the demo's password
	closes []func() error

	// migrate brings the database's schema up to date. Seeding does it, and the order
	// worker; the shop itself starts without its database and waits for it.
	migrate func(context.Context) error
}

// openBackends opens what the settings name. With one of MYSQL_DSN and REDIS_URL set
// it wants both: half a shop would write orders where no worker looks.
func openBackends() (_ *backends, err error) {
	b := &backends{migrate: func(context.Context) error { return nil }, data: setting("FLASHGATE_DATA", "./data")}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	dsn, url := os.Getenv("MYSQL_DSN"), os.Getenv("REDIS_URL")
	switch {
	case dsn == "" && url == "":
		return b, b.openEmbedded()
	case dsn == "":
		return nil, errors.New("REDIS_URL is set and MYSQL_DSN is not: set both for the real backends, or neither for the embedded ones")
	case url == "":
		return nil, errors.New("MYSQL_DSN is set and REDIS_URL is not: set both for the real backends, or neither for the embedded ones")
	default:
		return b, b.openReal(dsn, url)
	}
}

func (b *backends) openEmbedded() error {
	store, err := sqlite.Open(filepath.Join(b.data, "flashgate.db"))
	if err != nil {
		return err
	}
	b.closes = append(b.closes, store.Close)
	state, err := memory.New(memory.Config{})
	if err != nil {
		return err
	}
	b.closes = append(b.closes, state.Close)
	keys, err := keyring(b.data)
	if err != nil {
		return err
	}
	b.config = shop.Config{
		Users: store, Sessions: store, Goods: store, Sales: store, Orders: store, Stock: store, Limiter: state, Keys: keys,
	}
	b.checks = map[string]flashgate.Checker{"database": store}
	return nil
}

func (b *backends) openReal(dsn, url string) error {
	text := os.Getenv("FLASHGATE_KEYS")
	if text == "" {
		return errors.New("FLASHGATE_KEYS is not set: gateways and shop must have the same signing keys; make one with: caddy flashgate sign key")
	}
	keys, err := flashgate.ParseKeyring(text)
	if err != nil {
		return err
	}
	database, err := mysql.Open(mysql.Config{DSN: dsn})
	if err != nil {
		return err
	}
	b.closes = append(b.closes, database.Close)
	b.migrate = database.Migrate
	gate, err := redis.Open(redis.Config{URL: url})
	if err != nil {
		return err
	}
	b.closes = append(b.closes, gate.Close)
	b.config = shop.Config{
		Users: database, Sessions: gate, Goods: database, Sales: database, Orders: database, Stock: gate, Limiter: gate, Keys: keys,
	}
	b.checks = map[string]flashgate.Checker{"database": database, "gate": gate}
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

func keyring(data string) (*flashgate.Keyring, error) {
	if text := os.Getenv("FLASHGATE_KEYS"); text != "" {
		return flashgate.ParseKeyring(text)
	}
	return keyfile.LoadOrCreate(data)
}

// seed fills the shop with the demo and prints its password.
func seed(ctx context.Context) (err error) {
	b, err := openBackends()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.migrate(ctx); err != nil {
		return err
	}
	service, err := shop.New(b.config)
	if err != nil {
		return err
	}
	password, err := service.Seed(ctx, filepath.Join(b.data, "password"))
	if err != nil {
		return err
	}
	_, err = fmt.Println("password:", password)
	return err
}
