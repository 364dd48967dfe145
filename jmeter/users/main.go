// Command users makes what a load test needs in the shop: customers with a session
// each, in a CSV file that the plans read, and a sale for the run. `make
// jmeter-users` and jmeter/load call it.
//
//	users [--csv FILE] N                        N customers; FILE is - by default: standard output
//	users [--csv FILE] --sale ID --units U N    also a sale of U units that is open now
//
// It works through the shop's own code on the backends that the settings name
// (FLASHGATE_DATA, or MYSQL_DSN and REDIS_URL), which a running site may use. The
// customers' passwords are cheap to hash, and so cheap to guess: never run it on a
// shop with real customers.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"flashgate"
	"flashgate/shopapp/backend"
	"flashgate/shopapp/shop"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "users:", err)
		os.Exit(2)
	}
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "users:", err)
		os.Exit(1)
	}
}

// options are one command line.
type options struct {
	n       int
	csv     string
	sale    flashgate.Sale // ID is empty: none
	open    time.Duration  // how long the sale is open
	patient time.Duration  // how long to wait until the gate sells it
}

func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("users", flag.ContinueOnError)
	f.Usage = func() {
		fmt.Fprintln(f.Output(), "usage: users [flags] N")
		f.PrintDefaults()
	}
	f.StringVar(&o.csv, "csv", "-", "`file` for the sessions, readable for its owner only; - is standard output")
	sale := f.String("sale", "", "make a sale of this `id`, too")
	f.Int64Var(&o.sale.Seeded, "units", 100, "units of the sale")
	f.IntVar(&o.sale.PerUser, "per-user", 1, "units that one user may hold")
	goods := f.String("goods", "1", "product of the sale; it must exist")
	f.Int64Var(&o.sale.FlashPrice, "price", 990, "flash price in minor units")
	f.DurationVar(&o.open, "for", time.Hour, "how long the sale is open from now on")
	f.DurationVar(&o.patient, "wait", 30*time.Second, "how long to wait until the gate sells it")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() != 1 {
		return o, errors.New("say how many customers: users [flags] N")
	}
	if o.n, err = strconv.Atoi(f.Arg(0)); err != nil || o.n < 1 {
		return o, fmt.Errorf("%q is not a number of customers: it must be at least 1", f.Arg(0))
	}
	if *sale != "" {
		if o.sale.ID, err = flashgate.ParseSaleID(*sale); err != nil {
			return o, err
		}
	}
	o.sale.Goods = flashgate.GoodsID(*goods)
	return o, nil
}

func run(ctx context.Context, o options) (err error) {
	b, err := backend.Open(os.Getenv)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	// Nothing that is made here is signed: any key will do.
	if b.Config.Keys, err = flashgate.ParseKeyring(flashgate.NewKey()); err != nil {
		return err
	}
	service, err := shop.New(b.Config)
	if err != nil {
		return err
	}
	if o.sale.ID != "" {
		if err := openSale(ctx, service, b.Config.Stock, o); err != nil {
			return err
		}
	}
	crowd, err := service.CreateCrowd(ctx, o.n)
	if err != nil {
		return err
	}
	return write(o.csv, crowd)
}

// openSale makes the sale and waits until its gate is open: on the real backends a
// worker opens it a moment later.
func openSale(ctx context.Context, service *shop.Service, stock flashgate.Stock, o options) error {
	// A little back, so that no gateway's clock is before it.
	o.sale.Starts = time.Now().Add(-time.Minute)
	o.sale.Ends = time.Now().Add(o.open)
	if _, err := service.CreateSale(ctx, flashgate.User{ID: "load-test", Role: flashgate.RoleAdministrator}, o.sale); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.patient)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		v, err := stock.View(ctx, o.sale.ID)
		if err == nil && v.Open && v.Free == o.sale.Seeded {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the gate did not open sale %s in %s: does an order worker run? (%w)", o.sale.ID, o.patient, errors.Join(err, ctx.Err()))
		case <-tick.C:
		}
	}
}

func write(file string, crowd []shop.Member) error {
	if file == "-" {
		return shop.WriteCSV(os.Stdout, crowd)
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(shop.WriteCSV(f, crowd), f.Close())
}
