// Command scale measures how the cost of the gate grows: with connections, with sales at
// once, with users who have bought, with gateways, and with stock. docs/scale.md
// says what was seen.
//
// It starts everything that it measures, on loopback and free ports, and ends it again.
// It is imported by nobody.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"flashgate/internal/machine"
)

// settings of a run.
type settings struct {
	Rounds  int     `json:"rounds"`  // each point is measured once in each
	Seconds float64 `json:"seconds"` // of a sample that is measured by time
	Quick   bool    `json:"quick"`   // the large points are left out
	Only    string  `json:"only,omitempty"`

	patience time.Duration // for which each curve waits for others to end
}

func (s settings) slice() time.Duration { return time.Duration(s.Seconds * float64(time.Second)) }

// upTo keeps what a quick run has time for.
func (s settings) upTo(most int, xs ...int) (kept []int) {
	for _, x := range xs {
		if !s.Quick || x <= most {
			kept = append(kept, x)
		}
	}
	return kept
}

// curve is one thing that grows.
type curve struct {
	name    string
	title   string
	measure func(context.Context, settings, *curveResult) error
}

func allCurves() []curve {
	return []curve{
		{"connections", "Connections to one gateway", measureConnections},
		{"sales", "Sales at once", measureSales},
		{"users", "Users who have bought in a sale", measureUsers},
		{"gateways", "Gateways on one Redis", measureGateways},
		{"stock", "Units of a sale", measureStock},
	}
}

func main() {
	// The first signal ends the run in good order, a second one at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	err := run(ctx, os.Args[1:])
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	s := settings{Rounds: 3, Seconds: 3}
	flags := flag.NewFlagSet("scale", flag.ContinueOnError)
	flags.BoolVar(&s.Quick, "quick", false, "one round of 1 s, small points only: shows that it runs, not how fast")
	rounds := flags.Int("rounds", 0, "how many rounds; default 3")
	flags.StringVar(&s.Only, "only", "", "measure only this `curve`: "+strings.Join(curveNames(), ", "))
	flags.DurationVar(&s.patience, "patience", 2*time.Minute, "how long each curve waits, all in all, while others are busy on this machine; not with -quick")
	out := flags.String("out", "", "write all figures to this `file` as JSON")
	plots := flags.String("plots", "", "draw the plots as SVG into this `folder`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if s.Quick {
		s.Rounds, s.Seconds, s.patience = 1, 1, 0
	}
	if *rounds > 0 {
		s.Rounds = *rounds
	}
	chosen := chooseCurves(s.Only)
	if len(chosen) == 0 {
		return fmt.Errorf("-only %s: there is no such curve; there are %s", s.Only, strings.Join(curveNames(), ", "))
	}
	if err := machine.RaiseFileLimit(); err != nil {
		return err
	}
	if err := lookUpWrk(); err != nil {
		return err
	}
	r, err := newResult(s)
	if err != nil {
		return err
	}
	for _, c := range chosen {
		begin := time.Now()
		fmt.Fprintf(os.Stderr, "%s …\n", c.name)
		result := curveResult{Name: c.name, Title: c.title, patience: s.patience}
		if err := c.measure(ctx, s, &result); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		result.Seconds = time.Since(begin).Seconds()
		result.sum()
		r.Curves = append(r.Curves, result)
	}
	return r.deliver(*out, *plots)
}

// deliver writes, draws and prints what was measured.
func (r *result) deliver(out, plots string) error {
	if out != "" {
		if err := r.write(out); err != nil {
			return err
		}
	}
	if plots != "" {
		if err := r.draw(plots); err != nil {
			return err
		}
	}
	return r.print(os.Stdout)
}

func chooseCurves(only string) (chosen []curve) {
	for _, c := range allCurves() {
		if only == "" || c.name == only {
			chosen = append(chosen, c)
		}
	}
	return chosen
}

func curveNames() (names []string) {
	for _, c := range allCurves() {
		names = append(names, c.name)
	}
	return names
}
