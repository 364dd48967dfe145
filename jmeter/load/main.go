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

// Exit statuses, those of the verdict.
const (
	exitGreen  = 0
	exitRed    = 1
	exitUnable = 2
)

func main() {
	// The first signal ends the run in good order, a second one at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop)
	exit, err := command(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
	}
	os.Exit(exit)
}

const usage = "usage: load run [flags] [-Jname=value …] [PLAN…], or load compare [flags] [-Jname=value …] A B PLAN"

func command(ctx context.Context, args []string) (exit int, err error) {
	if len(args) == 0 {
		return exitUnable, errors.New(usage)
	}
	commands := map[string]func(context.Context, settings, []string) (int, error){"run": run, "compare": compare}
	do, ok := commands[args[0]]
	if !ok {
		return exitUnable, fmt.Errorf("there is no command %q; %s", args[0], usage)
	}
	s, err := settingsFrom(os.Getenv)
	if err != nil {
		return exitUnable, err
	}
	rest, err := s.parse(args[0], args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return exitGreen, nil
	}
	if err != nil {
		return exitUnable, err
	}
	if err := machine.RaiseFileLimit(); err != nil {
		return exitUnable, err
	}
	return do(ctx, s, rest)
}

// parse reads the flags of a command, and -Jname=value, which flag does not know. What
// remains are plans and targets.
func (s *settings) parse(command string, args []string) ([]string, error) {
	f := flag.NewFlagSet("load "+command, flag.ContinueOnError)
	f.Usage = func() {
		fmt.Fprintln(f.Output(), usage)
		f.PrintDefaults()
	}
	f.StringVar(&s.history, "history", s.history, "append a line for each run to this `file`; default: HISTORY, or none")
	f.DurationVar(&s.wait, "wait", 15*time.Second, "how long orders may still come in before the verdict is red for good")
	engines := f.String("engines", "", "remote engines as `host:port,host:port`; JMeter's servers must run there")
	if command == "compare" {
		f.IntVar(&s.rounds, "rounds", s.rounds, "how often each of the two is asked")
	}
	var rest []string
	for _, a := range args {
		if name, ok := strings.CutPrefix(a, "-J"); ok {
			if key, _, given := strings.Cut(name, "="); !given || key == "" {
				return nil, fmt.Errorf("%q must be -Jname=value", a)
			}
			s.properties = append(s.properties, name)
			continue
		}
		rest = append(rest, a)
	}
	if err := f.Parse(rest); err != nil {
		return nil, err
	}
	if *engines != "" {
		s.engines = strings.Split(*engines, ",")
	}
	return f.Args(), nil
}
