package command

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"flashgate"
	"flashgate/internal/keyfile"
	"flashgate/internal/sqlite"
	"flashgate/orderworker/worker"

	"go.uber.org/zap"
)

const defaultAddr = "127.0.0.1:8082"

// backends are the ports that the commands work on.
type backends struct {
	flashgate.Ledger
	flashgate.SaleStore
	flashgate.OrderStore
	flashgate.Stock
	letters flashgate.DeadLetterStore
	real    *realBackends // nil when they are embedded
	worker  worker.Config // the worker's part of them
	closes  []func() error
}

// close closes in the opposite order.
func (b *backends) close() error {
	var errs []error
	for i := len(b.closes) - 1; i >= 0; i-- {
		errs = append(errs, b.closes[i]())
	}
	return errors.Join(errs...)
}

// serverSettings name the real backends: all three of them, or none.
var serverSettings = []string{"REDIS_URL", "AMQP_URL", "MYSQL_DSN"}

// open opens the backends that the settings name.
func (c *cli) open(ctx context.Context, use use) (*backends, error) {
	missing := ""
	for _, name := range serverSettings {
		if c.Getenv(name) == "" {
			missing = name
		}
	}
	if missing == "" {
		if c.data != "" {
			return nil, flashgate.Invalid("command.open", "--data", "names embedded files, but REDIS_URL, AMQP_URL and MYSQL_DSN are set: leave it out, or unset them")
		}
		return c.openReal(ctx, use)
	}
	for _, name := range serverSettings {
		if c.Getenv(name) != "" {
			return nil, flashgate.Invalid("command.open", name, "is set and %s is not: set REDIS_URL, AMQP_URL and MYSQL_DSN for the real backends, or none of them for the data folder", missing)
		}
	}
	return c.openEmbedded(use)
}

// use says what a command needs of its backends.
type use int

const (
	useRecords use = iota // what is written down; a missing data file means a wrong folder
	useQueue              // to run the worker: the queue as well, and a data file is made
)

func (c *cli) openEmbedded(use use) (*backends, error) {
	dir := c.data
	if dir == "" {
		dir = c.Getenv("FLASHGATE_DATA")
	}
	if dir == "" {
		dir = "./data"
	}
	path := filepath.Join(dir, "flashgate.db")
	if _, err := os.Stat(path); use == useRecords && errors.Is(err, fs.ErrNotExist) {
		return nil, flashgate.Errorf(flashgate.CodeNotFound, "command.open",
			"There is no data file %s: name its folder with --data or FLASHGATE_DATA, or start the gateway or the worker first.", path)
	}
	s, err := sqlite.Open(path)
	if err != nil {
		return nil, err
	}
	return &backends{
		Ledger: s, SaleStore: s, OrderStore: s, Stock: s, letters: s,
		worker: worker.Config{Consumer: s, Ledger: s}, closes: []func() error{s.Close},
	}, nil
}

// with opens the backends for one command.
func (c *cli) with(ctx context.Context, work func(*backends) error) error {
	b, err := c.open(ctx, useRecords)
	if err != nil {
		return err
	}
	return errors.Join(work(b), b.close())
}

// orderTTL reads ORDER_TTL.
func (c *cli) orderTTL() (time.Duration, error) {
	text := c.Getenv("ORDER_TTL")
	if text == "" {
		return worker.DefaultOrderTTL, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Second {
		return 0, flashgate.Invalid("command.orderTTL", "ORDER_TTL", "is %q; it must be a duration of at least 1s, such as 15m", text)
	}
	return d, nil
}

// bound reads SALE_BOUND; zero means the default.
func (c *cli) bound() (int64, error) {
	text := c.Getenv("SALE_BOUND")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 || n > flashgate.MaxStock {
		return 0, flashgate.Invalid("command.bound", "SALE_BOUND", "is %q; it must be a number of units from 1 to %d", text, int64(flashgate.MaxStock))
	}
	return n, nil
}

// keys reads FLASHGATE_KEYS; nil when they are not set.
func (c *cli) keys(log *zap.Logger) (flashgate.Keys, error) {
	setting := c.Getenv("FLASHGATE_KEYS")
	if setting == "" {
		return nil, nil
	}
	source, err := keyfile.Open(setting, "", func(err error) {
		if err != nil {
			log.Error("the signing keys cannot be read any more, the last ones go on to hold: mend the file", zap.Error(err))
		} else {
			log.Info("the signing keys can be read again")
		}
	})
	if e, ok := errors.AsType[*flashgate.Error](err); ok && e.Code == flashgate.CodeInvalid {
		return nil, flashgate.Invalid("command.keys", "FLASHGATE_KEYS", "%s", e.Message)
	}
	if err != nil {
		return nil, err
	}
	return source, nil
}

// addr reads WORKER_ADDR.
func (c *cli) addr() string {
	if a := c.Getenv("WORKER_ADDR"); a != "" {
		return a
	}
	return defaultAddr
}
