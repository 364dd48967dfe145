package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Exit codes.
const (
	exitGreen  = 0
	exitRed    = 1
	exitUnable = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(exitGreen)
	}
	green := false
	if err == nil {
		green, err = run(ctx, o)
	}
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "verdict:", err)
		os.Exit(exitUnable)
	case !green:
		os.Exit(exitRed)
	}
}

// options are one command line.
type options struct {
	results, sale  string
	plan           *plan // nil: none
	data, dsn      string
	redis, amqp    string
	json           string
	users          int
	allowRejected  bool
	wait, interval time.Duration
}

func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("verdict", flag.ContinueOnError)
	f.StringVar(&o.results, "results", "", "JMeter's results `file` (CSV); required")
	planFile := f.String("plan", "", "the plan's short form, a `file` like jmeter/flash-sale.json: its objectives are judged, too")
	f.StringVar(&o.sale, "sale", "", "`id` of the sale, which must have been made for this run; required but with a --plan that has none")
	f.StringVar(&o.data, "data", "", "`folder` of the embedded file flashgate.db; this or --mysql")
	f.StringVar(&o.dsn, "mysql", "", "`DSN` of MySQL or MariaDB, as in MYSQL_DSN; this or --data")
	f.StringVar(&o.redis, "redis", "", "`URL` of the gate's Redis, as in REDIS_URL: it is judged, too")
	f.StringVar(&o.amqp, "amqp", "", "`URL` of RabbitMQ, as in AMQP_URL: its queues are judged, too")
	f.StringVar(&o.json, "json", "", "write figures and checks to this `file`")
	f.IntVar(&o.users, "users", 1, "how many buyers must have pressed the button at least")
	f.BoolVar(&o.allowRejected, "allow-sold-out", false, "orders may be rejected after a 202: the gate has lost its last writes in this run")
	f.DurationVar(&o.wait, "wait", 15*time.Second, "how long orders may still come in before a check is red for good")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.interval = 250 * time.Millisecond
	if *planFile != "" {
		if o.plan, err = readPlan(*planFile); err != nil {
			return o, err
		}
	}
	needsSale := o.plan == nil || o.plan.Units > 0
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("unknown argument %q", f.Arg(0))
	case o.results == "", o.sale == "" && needsSale:
		return o, errors.New("--results and --sale are required; see: verdict --help")
	case o.sale == "" && o.data+o.dsn+o.redis+o.amqp != "":
		return o, errors.New("--data, --mysql, --redis and --amqp are for a run with a --sale")
	case o.sale != "" && (o.data == "") == (o.dsn == ""):
		return o, errors.New("give one of --data and --mysql: where the orders are")
	case o.users < 1:
		return o, fmt.Errorf("--users is %d; it must be at least 1", o.users)
	}
	return o, nil
}

// subject is what the verdict is on.
func (o options) subject() string {
	if o.sale == "" {
		return "plan " + o.plan.name
	}
	return "sale " + o.sale
}

// run judges until everything is green or the time is over: an order whose 202 is a
// moment old may still be on its way.
func run(ctx context.Context, o options) (bool, error) {
	res, err := readResults(o.results, o.sale)
	if err != nil {
		return false, err
	}
	look, err := open(o)
	if err != nil {
		return false, err
	}
	defer look.close()
	deadline := time.Now().Add(o.wait)
	tick := time.NewTicker(o.interval)
	defer tick.Stop()
	for {
		f, err := look.read(ctx, o.sale)
		if err != nil {
			return false, err
		}
		checks := judge(o, res, f)
		if green(checks) || o.sale == "" || time.Now().After(deadline) {
			printSummary(os.Stdout, res)
			printVerdict(os.Stdout, o, checks)
			return green(checks), writeJSON(o, res, checks)
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-tick.C:
		}
	}
}
