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
	data, dsn      string
	redis, amqp    string // empty: not looked at
	plan           *plan  // nil: the labels are not judged
	json           string // file for the figures; empty: none
	users          int
	samples        int // below 0: not known
	allowRejected  bool
	wait, interval time.Duration
}

func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("verdict", flag.ContinueOnError)
	f.StringVar(&o.results, "results", "", "JMeter's results `file` (CSV); required")
	planFile := f.String("plan", "", "`file` with the plan's objectives, such as jmeter/flash-sale.json; none: the sale alone is judged")
	f.StringVar(&o.json, "json", "", "`file` for the figures")
	f.StringVar(&o.sale, "sale", "", "`id` of the sale, which must have been made for this run; required but for plans without one")
	f.StringVar(&o.data, "data", "", "`folder` of the embedded file flashgate.db; this or --mysql")
	f.StringVar(&o.dsn, "mysql", "", "`DSN` of MySQL or MariaDB, as in MYSQL_DSN; this or --data")
	f.StringVar(&o.redis, "redis", "", "`URL` of the gate's Redis, as in REDIS_URL; none: it is not looked at")
	f.StringVar(&o.amqp, "amqp", "", "`URL` of RabbitMQ, as in AMQP_URL; none: it is not looked at")
	servers := f.Bool("env", false, "take those three that are not given from MYSQL_DSN, REDIS_URL and AMQP_URL: every user of the machine can read a command line")
	f.IntVar(&o.users, "users", 1, "how many buyers must have pressed the button at least")
	f.IntVar(&o.samples, "samples", -1, "how many samples the results file must have, as JMeter's last summary says: JMeter does not notice a full disk; below 0: not looked at")
	f.BoolVar(&o.allowRejected, "allow-sold-out", false, "orders may be rejected after a 202: the gate has lost its last writes in this run")
	f.DurationVar(&o.wait, "wait", 15*time.Second, "how long orders may still come in before a check is red for good")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if *servers {
		for name, to := range map[string]*string{"MYSQL_DSN": &o.dsn, "REDIS_URL": &o.redis, "AMQP_URL": &o.amqp} {
			if *to == "" {
				*to = os.Getenv(name)
			}
		}
	}
	o.interval = 250 * time.Millisecond
	if f.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q", f.Arg(0))
	}
	if *planFile != "" {
		if o.plan, err = readPlan(*planFile); err != nil {
			return o, err
		}
	}
	return o, o.validate()
}

func (o options) validate() error {
	switch {
	case !o.hasSale() && (o.sale != "" || o.data != "" || o.dsn != "" || o.redis != "" || o.amqp != ""):
		return errors.New("this plan has no sale (units is 0): leave out --sale, --data, --mysql, --redis and --amqp")
	case !o.hasSale() && o.results == "":
		return errors.New("--results is required; see: verdict --help")
	case !o.hasSale():
		return nil
	case o.results == "" || o.sale == "":
		return errors.New("--results and --sale are required; see: verdict --help")
	case (o.data == "") == (o.dsn == ""):
		return errors.New("give one of --data and --mysql: where the orders are")
	case o.data != "" && (o.redis != "" || o.amqp != ""):
		return errors.New("--redis and --amqp are of a site with --mysql: with --data gate and queue are in the same file")
	case o.users < 1:
		return fmt.Errorf("--users is %d; it must be at least 1", o.users)
	}
	return nil
}

// hasSale: without a plan there always is one.
func (o options) hasSale() bool { return o.plan == nil || o.plan.Units > 0 }

// run judges until everything is green or the time is over: an order whose 202 is a
// moment old may still be on its way.
func run(ctx context.Context, o options) (bool, error) {
	res, err := readResults(o.results, o.sale, o.plan != nil)
	if err != nil {
		return false, err
	}
	if n := res.samples(); o.samples >= 0 && n != o.samples {
		return false, fmt.Errorf("%s has %d of the %d samples that JMeter has made: is the disk full?", o.results, n, o.samples)
	}
	checks, err := judgeInTime(ctx, o, res)
	if err != nil {
		return false, err
	}
	printSummary(os.Stdout, res)
	printVerdict(os.Stdout, o, checks)
	if o.json != "" {
		err = newFigures(o, res, checks).write(o.json)
	}
	return green(checks), err
}

func judgeInTime(ctx context.Context, o options, res *results) ([]check, error) {
	if !o.hasSale() {
		return judgePlan(o, res), nil
	}
	s, err := openSources(o)
	if err != nil {
		return nil, err
	}
	defer s.close()
	deadline := time.Now().Add(o.wait)
	tick := time.NewTicker(o.interval)
	defer tick.Stop()
	for {
		checks, err := s.judge(ctx, o, res)
		if err != nil {
			return nil, err
		}
		// What JMeter has seen does not change by waiting.
		if green(checks) || time.Now().After(deadline) {
			return append(checks, judgePlan(o, res)...), nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}
