// Command bench measures what flashgate's directives cost, against the same server
// without them and against what else does the job. README.md says how to read it.
//
// It starts everything that it measures, on loopback and free ports, and ends it again.
// It imports internal/servers for Redis and is imported by nobody; nothing in flashgate
// depends on this module or on what it requires.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

// judged is how many rounds a run must have to be judged: fewer do not know their noise.
const judged = 5

// daily are the groups of a quick run.
const daily = "denied/|page/|refused/|reserve/|accept/"

// settings of a run. In JSON a duration is in seconds.
type settings struct {
	Rounds      int     `json:"rounds"`
	Seconds     float64 `json:"seconds"` // of each row in each round
	Connections int     `json:"connections"`
	Threads     int     `json:"threads"` // of wrk
	Keys        int     `json:"keys"`
	Only        string  `json:"only,omitempty"`

	profiles    string // folder for CPU profiles; empty: none
	allProfiles bool   // those of allocations, mutexes and blocking too
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
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (err error) {
	s := settings{Rounds: 5, Seconds: 2, Connections: 64, Threads: 2, Keys: 10_000}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	quick := flags.Bool("quick", false, "one round of 1 s, without -only of the daily groups: shows that it runs, not how fast")
	out := flags.String("out", "", "write all figures to this `file` as JSON")
	rounds := flags.Int("rounds", 0, "how many rounds; default 5")
	slice := flags.Duration("slice", 0, "how long each row is measured in each round; default 2s")
	flags.StringVar(&s.Only, "only", "", "measure only rows whose `group/name` contains this, or one of several with | between them, and what they are compared with")
	flags.StringVar(&s.profiles, "profiles", "", "write a CPU profile of each Caddy into this `folder`; slows them all down")
	flags.BoolVar(&s.allProfiles, "all-profiles", false, "with -profiles: those of allocations, mutexes and blocking, too")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if *quick {
		s.Rounds, s.Seconds = 1, 1
		s.Only = cmp.Or(s.Only, daily)
	}
	if *rounds > 0 {
		s.Rounds = *rounds
	}
	if *slice > 0 {
		s.Seconds = slice.Seconds()
	}
	groups := selectRows(allGroups(), s.Only)
	if len(groups) == 0 {
		return fmt.Errorf("-only %s: no such row; there are:\n%s", s.Only, names(allGroups()))
	}
	b, err := newBench(ctx, s, groups)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.start(ctx, groups); err != nil {
		return err
	}
	result := newResult(s, b)
	result.Groups, err = b.measure(ctx, groups)
	if err != nil {
		return err
	}
	result.Memory = measureMemory(memoryKeys)
	result.Goals = judge(result.Groups, result.Memory)
	if *out != "" {
		if err := result.write(*out); err != nil {
			return err
		}
	}
	result.print(os.Stdout)
	if goals := failed(result.Goals); len(goals) > 0 && s.Rounds >= judged {
		return fmt.Errorf("%d of the goals are missed by more than the run's noise", len(goals))
	}
	return nil
}

// each is how long one row of one round takes.
func (s settings) each() time.Duration { return time.Duration(s.Seconds * float64(time.Second)) }

// sharedCores is said with every result: who reads a figure must know it.
func sharedCores() string {
	return fmt.Sprintf("%d cores, shared by the load generator, the servers and whatever else runs here", runtime.NumCPU())
}
