// Command mutants shows that the tests would notice if a safeguard of the protocol were
// missing. Each patch in this folder takes one out, as somebody might have written it
// wrongly in good faith, and names the promise that breaks and the test that must
// notice. `make chaos-mutants` runs it.
//
//	go run ./deploy/mutants [-only NAME] [-list]
//
// It copies the project into a temporary folder, sees the tests pass there, and then
// applies one patch after the other, runs its test, and takes it back. A mutant is
// caught when its test fails and says that its promise is broken; a test that does not
// build, hangs, or fails with other words has caught nothing.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	only := flag.String("only", "", "only the mutants whose file has this, or one of several with | between them, in its name")
	list := flag.Bool("list", false, "list them and run nothing")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ok, err := run(ctx, *only, *list)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// run is called in the project's root. It reports whether all mutants were caught.
func run(ctx context.Context, only string, list bool) (bool, error) {
	all, err := load(filepath.Join("deploy", "mutants"))
	if err != nil {
		return false, err
	}
	var chosen []mutant
	for _, m := range all {
		if slices.ContainsFunc(strings.Split(only, "|"), func(part string) bool { return strings.Contains(m.file, part) }) {
			chosen = append(chosen, m)
		}
	}
	if len(chosen) == 0 {
		return false, fmt.Errorf("no mutant has %q in its name", only)
	}
	if list {
		for _, m := range chosen {
			fmt.Printf("%-38s %s  %s %s\n", m.file, m.breaks, m.pkg, m.test)
		}
		return true, nil
	}
	tree, err := copyTree(ctx)
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(tree.dir)
	begin := time.Now()
	for _, group := range byPackage(chosen) {
		since := time.Now()
		if out, err := tree.test(ctx, group.pkg, group.tests...); err != nil {
			return false, fmt.Errorf("without a mutant the tests of %s fail (%w):\n%s", group.pkg, err, tail(out))
		}
		fmt.Printf("%-38s pass without a mutant (%ds)\n", group.pkg, seconds(since))
	}
	caught := 0
	for _, m := range chosen {
		since := time.Now()
		v, err := tree.try(ctx, m)
		if err != nil {
			return false, fmt.Errorf("%s: %w", m.file, err)
		}
		if v.caught {
			caught++
			fmt.Printf("%-38s caught by %s, %s (%ds)\n", m.file, m.test, m.breaks, seconds(since))
		} else {
			fmt.Printf("%-38s NOT CAUGHT by %s: %s (%ds)\n%s\n", m.file, m.test, v.why, seconds(since), tail(v.output))
		}
	}
	fmt.Printf("%d of %d mutants caught in %s\n", caught, len(chosen), time.Since(begin).Round(time.Second))
	return caught == len(chosen), nil
}

func seconds(since time.Time) int { return int(time.Since(since).Seconds() + 0.5) }

// tail is the end of an output, with what tests say and without the processes' logs.
func tail(out string) string {
	const lines = 40
	var kept []string
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(strings.TrimSpace(line), "{") {
			kept = append(kept, "    "+line)
		}
	}
	return strings.Join(kept[max(0, len(kept)-lines):], "")
}
