// Command engines runs the Go benchmarks of the domain and of the engines, and compares
// them with those stored in docs/performance/benchmarks.txt:
//
//	go -C bench run ./engines          compare; status 1 when something got worse
//	go -C bench run ./engines -store   measure anew and store
//
// Judged are bytes and allocations of an operation, which do not depend on the machine.
// Times are printed and never judged. `make bench-go` calls it; it is imported by nobody.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
)

// packages have benchmarks of what a request or an order meets in a process. Those of
// adapters measure a server, and are not here.
var packages = []string{
	".", "./internal/challenge", "./internal/gate", "./internal/httpcache", "./internal/keyfile", "./internal/pagestore",
	"./internal/pathpattern", "./internal/problem", "./internal/ratelimit", "./internal/signedurl",
}

// Files, seen from the bench's folder.
const (
	root   = ".."
	stored = "docs/performance/benchmarks.txt" // below root
	fresh  = "bin/benchmarks.txt"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "engines:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("engines", flag.ContinueOnError)
	store := flags.Bool("store", false, "store what is measured, and compare nothing")
	count := flags.Int("count", 6, "how many samples of each benchmark")
	only := flags.String("bench", ".", "benchmarks to run, a `regexp`; only these are compared")
	// Long enough for what is counted to settle, and the same for both files.
	each := flags.String("benchtime", "300ms", "how long a sample takes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	path := filepath.Join(root, fresh)
	if *store {
		if *only != "." {
			return errors.New("-store takes all benchmarks: leave -bench out")
		}
		path = filepath.Join(root, stored)
	}
	text, err := measure(ctx, *only, *each, *count)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path, text, 0o644); err != nil || *store {
		return err
	}
	if err := benchstat(ctx, filepath.Join(root, stored), path); err != nil {
		return err
	}
	before, err := readFile(filepath.Join(root, stored))
	if err != nil {
		return err
	}
	now, err := read(bytes.NewReader(text), fresh)
	if err != nil {
		return err
	}
	return judge(os.Stdout, before, now, *only == ".")
}

// measure runs the benchmarks one package after the other, on two processors whatever
// the machine has: their number is a part of the names, and of what runs in parallel.
func measure(ctx context.Context, only, each string, count int) ([]byte, error) {
	args := []string{"test", "-run", "^$", "-bench", only, "-benchmem", "-benchtime", each, "-count", fmt.Sprint(count), "-cpu", "2", "-p", "1"}
	cmd := exec.CommandContext(ctx, "go", append(args, packages...)...)
	var out bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = root, io.MultiWriter(&out, os.Stderr), os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("go test -bench: %w", err)
	}
	return out.Bytes(), nil
}

func benchstat(ctx context.Context, before, now string) error {
	cmd := exec.CommandContext(ctx, "go", "tool", "benchstat", "stored="+before, "now="+now)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("benchstat: %w", err)
	}
	return nil
}
