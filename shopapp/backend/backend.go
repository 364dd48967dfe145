// Package backend opens what the shop stands on: one embedded file, or MySQL and
// Redis. The shop's main calls it, and the load tester's command that makes users.
package backend

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"flashgate"
	"flashgate/internal/keyfile"
	"flashgate/internal/memory"
	"flashgate/internal/mysql"
	"flashgate/internal/redis"
	"flashgate/internal/sqlite"
	"flashgate/shopapp/shop"
)

// Backend is open. Close it.
type Backend struct {
	Config shop.Config                  // all but the keys
	Checks map[string]flashgate.Checker // by name, for readiness
	Data   string                       // folder of the embedded files, and of the demo's password

	env     func(string) string
	migrate func(context.Context) error
	closes  []func() error
}

// Open opens what the settings name: MYSQL_DSN and REDIS_URL, or neither for the
// embedded file in FLASHGATE_DATA (./data). With one of the two it wants both: half a
// shop would write orders where no worker looks. It dials nobody.
func Open(env func(string) string) (_ *Backend, err error) {
	b := &Backend{Data: env("FLASHGATE_DATA"), env: env, migrate: func(context.Context) error { return nil }}
	if b.Data == "" {
		b.Data = "./data"
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Close())
		}
	}()
	dsn, url := env("MYSQL_DSN"), env("REDIS_URL")
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

func (b *Backend) openEmbedded() error {
	store, err := sqlite.Open(filepath.Join(b.Data, "flashgate.db"))
	if err != nil {
		return err
	}
	b.closes = append(b.closes, store.Close)
	state, err := memory.New(memory.Config{})
	if err != nil {
		return err
	}
	b.closes = append(b.closes, state.Close)
	b.Config = shop.Config{Users: store, Sessions: store, Goods: store, Sales: store, Orders: store, Stock: store, Limiter: state}
	if b.Config.Direct, err = Direct(b.env, store); err != nil {
		return err
	}
	b.Checks = map[string]flashgate.Checker{"database": store}
	return nil
}

func (b *Backend) openReal(dsn, url string) error {
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
	b.Config = shop.Config{Users: database, Sessions: gate, Goods: database, Sales: database, Orders: database, Stock: gate, Limiter: gate}
	if b.Config.Direct, err = Direct(b.env, database); err != nil {
		return err
	}
	b.Checks = map[string]flashgate.Checker{"database": database, "gate": gate}
	return nil
}

// Direct reads SHOP_PLACES_ORDERS: nil unless it is yes. Then the shop places orders
// itself, which ORDER_TTL (15m) keeps for so long.
func Direct(env func(string) string, placer flashgate.Placer) (*shop.Direct, error) {
	switch v := env("SHOP_PLACES_ORDERS"); v {
	case "", "no":
		return nil, nil
	case "yes":
	default:
		return nil, fmt.Errorf("SHOP_PLACES_ORDERS is %q: write yes or no", v)
	}
	ttl := 15 * time.Minute
	if text := env("ORDER_TTL"); text != "" {
		var err error
		if ttl, err = time.ParseDuration(text); err != nil || ttl < time.Second {
			return nil, fmt.Errorf("ORDER_TTL is %q; it must be a duration of at least 1s, such as 15m", text)
		}
	}
	return &shop.Direct{Placer: placer, OrderTTL: ttl}, nil
}

// Keys reads the signing keys: FLASHGATE_KEYS, which must be set on real backends, or the
// file `keys` in the data folder, which the gateway shares. report is told when a file
// cannot be read any more, and with nil when it can again.
func (b *Backend) Keys(report func(error)) (flashgate.Keys, error) {
	setting := b.env("FLASHGATE_KEYS")
	if setting == "" && b.env("MYSQL_DSN") != "" {
		return nil, errors.New("FLASHGATE_KEYS is not set: gateways and shop must have the same signing keys; make one with: caddy flashgate sign key")
	}
	return keyfile.Open(setting, b.Data, report)
}

// Migrate brings the database's schema up to date. Seeding does it, and the order
// worker; the shop itself starts without its database and waits for it.
func (b *Backend) Migrate(ctx context.Context) error { return b.migrate(ctx) }

// Close closes in the opposite order.
func (b *Backend) Close() error {
	var errs []error
	for i := len(b.closes) - 1; i >= 0; i-- {
		errs = append(errs, b.closes[i]())
	}
	return errors.Join(errs...)
}
