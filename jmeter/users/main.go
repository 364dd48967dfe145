// Command users makes what a load test needs in the shop: customers with a session
// each, in a CSV file that the plans read, and a sale for the run. `make
// jmeter-users` and jmeter/load call it.
//
//	users [--csv FILE] N                        N customers; FILE is - by default: standard output
//	users [--csv FILE] --sale ID --units U N    also a sale of U units that is open now
//	users --clean --csv FILE [--sale ID]        takes them away again, and the sale with all that is about it
//	users --check --sale ID                     says whether the sale can be bought in, in the database and at the gate
//
// It works through the shop's own code on the backends that the settings name
// (FLASHGATE_DATA, or MYSQL_DSN and REDIS_URL), which a running site may use. The
// customers' passwords are cheap to hash, and so cheap to guess: never run it on a
// shop with real customers.
//
// --clean wants a sale that has ended, or --close, and on the real backends AMQP_URL as
// well: a message that is still in the queue would leave a dead letter behind. It refuses
// users who are not a load test's, and a sale in which somebody else has ordered; it may
// be repeated. Whatever fails, or when it is stopped, it takes away what it has made until
// then. The command ends with 2 for a command line or a file that cannot be meant, and with
// 1 when it was refused or something was away.
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
	work := run
	switch {
	case o.clean:
		work = clean
	case o.check:
		work = check
	}
	if err := work(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "users:", err)
		os.Exit(1)
	}
}

// options are one command line.
type options struct {
	n       int
	csv     string
	clean   bool
	check   bool
	close   bool           // end the sale before it is taken away
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
	f.DurationVar(&o.patient, "wait", 30*time.Second, "how long to wait until the gate sells it, or until it is at rest")
	f.BoolVar(&o.clean, "clean", false, "take the users of --csv away, and the sale")
	f.BoolVar(&o.check, "check", false, "make nothing: end with 1 and say why when the sale cannot be bought in")
	f.BoolVar(&o.close, "close", false, "with --clean: end the sale first")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	switch {
	case o.clean && f.NArg() > 0:
		return o, fmt.Errorf("--clean takes no number: %q", f.Arg(0))
	case o.clean && o.csv == "-":
		return o, errors.New("--clean needs --csv: the file of the users who are to go")
	case o.close && (!o.clean || *sale == ""):
		return o, errors.New("--close is for --clean with --sale")
	case o.check && (o.clean || *sale == "" || f.NArg() > 0):
		return o, errors.New("--check takes --sale, and nothing else")
	case o.check:
	case !o.clean && f.NArg() != 1:
		return o, errors.New("say how many customers: users [flags] N")
	case !o.clean:
		if o.n, err = strconv.Atoi(f.Arg(0)); err != nil || o.n < 1 {
			return o, fmt.Errorf("%q is not a number of customers: it must be at least 1", f.Arg(0))
		}
	}
	if *sale != "" {
		if o.sale.ID, err = flashgate.ParseSaleID(*sale); err != nil {
			return o, err
		}
	}
	o.sale.Goods = flashgate.GoodsID(*goods)
	return o, nil
}

// administrator acts for the load tester.
var administrator = flashgate.User{ID: "load-test", Role: flashgate.RoleAdministrator}

// open opens the backends that the settings name, and the shop on them.
func open() (*backend.Backend, *shop.Service, error) {
	b, err := backend.Open(os.Getenv)
	if err != nil {
		return nil, nil, err
	}
	// Nothing that is made here is signed: any key will do.
	var service *shop.Service
	if b.Config.Keys, err = flashgate.ParseKeyring(flashgate.NewKey()); err == nil {
		service, err = shop.New(b.Config)
	}
	if err != nil {
		return nil, nil, errors.Join(err, b.Close())
	}
	return b, service, nil
}

func run(ctx context.Context, o options) (err error) {
	b, service, err := open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	f, err := newFile(o.csv)
	if err != nil {
		return err
	}
	defer f.close()
	m := &made{}
	if err = m.make(ctx, service, b.Config.Stock, o); err == nil {
		err = f.write(m.crowd)
	}
	if err == nil {
		return nil
	}
	if back := m.takeBack(ctx, b, service, o); back != nil {
		err = fmt.Errorf("%w; what was made until then is still there: %w", err, back)
		if len(m.crowd) > 0 { // without the file nobody could take them away later
			err = errors.Join(err, f.write(m.crowd))
		}
	}
	return err
}

// made is what a run has made until now.
type made struct {
	sale  bool
	crowd []shop.Member
}

func (m *made) make(ctx context.Context, service *shop.Service, stock flashgate.Stock, o options) (err error) {
	if o.sale.ID != "" {
		// A little back, so that no gateway's clock is before it.
		o.sale.Starts = time.Now().Add(-time.Minute)
		o.sale.Ends = time.Now().Add(o.open)
		if _, err := service.CreateSale(ctx, administrator, o.sale); err != nil {
			return err
		}
		m.sale = true
		if err := untilOpen(ctx, stock, o); err != nil {
			return err
		}
	}
	m.crowd, err = service.CreateCrowd(ctx, o.n)
	return err
}

// backPatience is within what a caller waits who has asked it to stop.
const backPatience = 15 * time.Second

// takeBack takes it away again, also when ctx has ended.
func (m *made) takeBack(ctx context.Context, b *backend.Backend, service *shop.Service, o options) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), backPatience)
	defer cancel()
	if m.sale {
		o.close, o.patient = true, backPatience
		if err := removeSale(ctx, b, service, o, m.crowd); err != nil {
			return err
		}
	}
	return service.RemoveCrowd(ctx, m.crowd)
}

// untilOpen waits until the gate sells the new sale: on the real backends a worker opens
// it a moment later.
func untilOpen(ctx context.Context, stock flashgate.Stock, o options) error {
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
