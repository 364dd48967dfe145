// Command caddy is the server that the bench measures: Caddy with its standard modules,
// flashgate's, and caddy-ratelimit, all in one binary, so that two rows differ in nothing
// but the lines of their Caddyfiles.
//
// With BENCH_CPU_PROFILE=<file> it writes a CPU profile of its whole life there.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime/pprof"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "flashgate/caddymodule"

	_ "github.com/caddyserver/cache-handler"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	_ "github.com/mholt/caddy-ratelimit"
)

func main() {
	if path := os.Getenv("BENCH_CPU_PROFILE"); path != "" {
		if err := profile(path); err != nil {
			fmt.Fprintln(os.Stderr, "caddy:", err)
			os.Exit(1)
		}
	}
	caddycmd.Main()
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
