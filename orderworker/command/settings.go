package command

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"flashgate"
	"flashgate/internal/sqlite"
	"flashgate/orderworker/worker"
)

const defaultAddr = "127.0.0.1:8082"

// backends are the ports that the commands work on.
type backends struct {
	flashgate.Consumer
	flashgate.Ledger
	flashgate.SaleStore
	flashgate.OrderStore
	flashgate.Stock
	letters flashgate.DeadLetterStore
	close   func() error
}

// open opens the backends that the settings name. Only `run` makes a data file;
// for an operator's command a missing one means a wrong folder.
func (c *cli) open(create bool) (*backends, error) {
	const op = "command.open"
	for _, name := range []string{"REDIS_URL", "AMQP_URL", "MYSQL_DSN"} {
		if c.Getenv(name) != "" {
			return nil, flashgate.Invalid(op, name, "is set, but this version has the embedded backends only: unset it to work on the data folder")
		}
	}
	dir := c.data
	if dir == "" {
		dir = c.Getenv("FLASHGATE_DATA")
	}
	if dir == "" {
		dir = "./data"
	}
	path := filepath.Join(dir, "flashgate.db")
	if _, err := os.Stat(path); !create && errors.Is(err, fs.ErrNotExist) {
		return nil, flashgate.Errorf(flashgate.CodeNotFound, op,
			"There is no data file %s: name its folder with --data or FLASHGATE_DATA, or start the gateway or the worker first.", path)
	}
	s, err := sqlite.Open(path)
	if err != nil {
		return nil, err
	}
	return &backends{Consumer: s, Ledger: s, SaleStore: s, OrderStore: s, Stock: s, letters: s, close: s.Close}, nil
}

// with opens the backends for one command.
func (c *cli) with(work func(*backends) error) error {
	b, err := c.open(false)
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

// addr reads WORKER_ADDR.
func (c *cli) addr() string {
	if a := c.Getenv("WORKER_ADDR"); a != "" {
		return a
	}
	return defaultAddr
}
