// Command layers measures what each layer of the site is good for: it plays the plan
// seckill-classic on real servers of its own with one layer after the other switched on,
// as jmeter/seckill-classic.Caddyfile has the switches, and prints a table of what was
// reached before and after. `make jmeter-layers` calls it, from the project's folder.
//
// Every run must end green: exactly the units of the sale are ordered, everybody else is
// refused. The layers are measured in turns, so that a busy machine meets all of them.
// It is imported by nobody.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// settings of a run.
type settings struct {
	users, units, rounds, views int
}

// layer is what is switched on for one row of the table.
type layer struct {
	title string
	env   []string
}

// layers are switched on one after the other.
var layers = []layer{
	{"nothing: shop and database alone", []string{"PAGES=off", "QUEUE=off", "FLAG=off", "SHOP_PLACES_ORDERS=yes"}},
	{"+ page_cache", []string{"PAGES=on", "QUEUE=off", "FLAG=off", "SHOP_PLACES_ORDERS=yes"}},
	{"+ stock_gate on Redis, orders by the queue", []string{"PAGES=on", "QUEUE=on", "FLAG=off"}},
	{"+ the gateway's own sold-out flag", []string{"PAGES=on", "QUEUE=on", "FLAG=on"}},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends at once
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "layers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	var s settings
	f := flag.NewFlagSet("layers", flag.ContinueOnError)
	f.SetOutput(progress)
	f.IntVar(&s.users, "users", 5000, "buyers, each of whom presses once")
	f.IntVar(&s.units, "units", 100, "units of the sale")
	f.IntVar(&s.rounds, "rounds", 3, "how often each layer is measured")
	f.IntVar(&s.views, "views", 4, "how often each buyer looks at the product before")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 || s.users <= s.units || s.units < 1 || s.rounds < 1 || s.views < 1 {
		return errors.New("there are no arguments, and --users must be more than --units, and all of them at least 1")
	}
	site, err := newSite(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, site.close()) }()
	t := newTable(s)
	for round := range s.rounds {
		for i := range layers {
			at := i
			if round%2 == 1 { // backwards, so that none is always the first
				at = len(layers) - 1 - i
			}
			fmt.Fprintf(progress, "round %d of %d: %s\n", round+1, s.rounds, layers[at].title)
			got, err := site.play(ctx, layers[at], s)
			if err != nil {
				return fmt.Errorf("%s: %w", layers[at].title, err)
			}
			t.add(at, got)
		}
	}
	t.print(out)
	return nil
}
