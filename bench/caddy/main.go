// Command caddy is the server that the bench measures: Caddy with its standard modules,
// flashgate's, and caddy-ratelimit, all in one binary, so that two rows differ in nothing
// but the lines of their Caddyfiles.
//
// With BENCH_CPU_PROFILE=<file> it writes a CPU profile of its whole life there, with
// BENCH_PROFILES=<prefix> those of allocations, mutexes and blocking at its end.
// Called as `naive-worker` it is the naive order worker, on AMQP_URL and MYSQL_DSN.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"syscall"

	"flashgate/bench/naive"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "flashgate/caddymodule" // the directives

	_ "github.com/caddyserver/cache-handler"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	_ "github.com/mholt/caddy-ratelimit"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == "naive-worker" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
		defer stop()
		if err := naive.Work(ctx, os.Getenv("AMQP_URL"), os.Getenv("MYSQL_DSN")); err != nil {
			fmt.Fprintln(os.Stderr, "naive-worker:", err)
			os.Exit(1)
		}
		return
	}
	if path := os.Getenv("BENCH_CPU_PROFILE"); path != "" {
		if err := profile(path); err != nil {
			fmt.Fprintln(os.Stderr, "caddy:", err)
			os.Exit(1)
		}
	}
	if prefix := os.Getenv("BENCH_PROFILES"); prefix != "" {
		profileMore(prefix)
	}
	caddycmd.Main()
}

// profileMore counts every hundredth lock that somebody waited for, and what blocked for
// longer than 10 µs.
func profileMore(prefix string) {
	runtime.SetMutexProfileFraction(100)
	runtime.SetBlockProfileRate(10_000)
	caddy.OnExit(func(context.Context) {
		for _, name := range []string{"allocs", "mutex", "block"} {
			f, err := os.Create(prefix + "." + name + ".pprof")
			if err != nil {
				continue // it is missed when it is read
			}
			_ = pprof.Lookup(name).WriteTo(f, 0)
			_ = f.Close()
		}
	})
}

// profile ends with Caddy, which never returns from its main.
func profile(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	caddy.OnExit(func(context.Context) {
		pprof.StopCPUProfile()
		_ = f.Close() // a profile that is cut short says so when it is read
	})
	return nil
}
