// Command flashgate-real runs the site on Redis, RabbitMQ and MySQL: gateways, shop
// and order workers as separate processes, started and stopped together. It is what
// `make run-real` calls.
//
//	flashgate-real [--gateways N] [--workers N]
//
// The backends are those of REDIS_URL, AMQP_URL and MYSQL_DSN; without them, those
// that `make services` has started. It prints a line `url: …` for each gateway and
// one line `password: …`, and ends cleanly on the first Ctrl-C.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"flashgate/internal/fleet"
)

func main() {
	gateways := flag.Int("gateways", 1, "how many gateways")
	workers := flag.Int("workers", 1, "how many order workers")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "flashgate-real: unknown argument %q\n", flag.Arg(0))
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends at once, and the processes with it.
	context.AfterFunc(ctx, stop)
	if err := run(ctx, *gateways, *workers); err != nil {
		fmt.Fprintln(os.Stderr, "flashgate-real:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, gateways, workers int) error {
	cfg, err := config()
	if err != nil {
		return err
	}
	cfg.Gateways, cfg.Workers, cfg.Output = gateways, workers, os.Stderr
	f, err := fleet.Start(ctx, cfg)
	if err != nil {
		return err
	}
	for _, url := range f.URLs {
		fmt.Println("url:", url)
	}
	fmt.Println("password:", f.Password)
	select {
	case <-ctx.Done():
	case err = <-f.Failed(ctx):
	}
	return errors.Join(err, f.Stop())
}

// config reads the settings. The programs are beside this one.
func config() (fleet.Config, error) {
	self, err := os.Executable()
	if err != nil {
		return fleet.Config{}, err
	}
	data, err := filepath.Abs(or(os.Getenv("FLASHGATE_DATA"), "./data"))
	if err != nil {
		return fleet.Config{}, err
	}
	cfg := fleet.Config{
		Bin: filepath.Dir(self), Data: data, LoadtestKey: os.Getenv("FLASHGATE_LOADTEST_KEY"),
		GatewayAddr: os.Getenv("FLASHGATE_ADDR"), AdminAddr: os.Getenv("FLASHGATE_ADMIN"),
		ShopAddr: os.Getenv("SHOP_ADDR"), WorkerAddr: os.Getenv("WORKER_ADDR"),
	}
	for _, name := range []string{"ORDER_TTL", "SALE_BOUND"} {
		if v := os.Getenv(name); v != "" {
			cfg.Env = append(cfg.Env, name+"="+v)
		}
	}
	env, err := backends(filepath.Join(data, "services", "services.env"))
	if err != nil {
		return cfg, err
	}
	cfg.RedisURL, cfg.AMQPURL, cfg.MySQLDSN = env["REDIS_URL"], env["AMQP_URL"], env["MYSQL_DSN"]
	cfg.Keys, err = keys(data)
	return cfg, err
}

func or(v, otherwise string) string {
	if v != "" {
		return v
	}
	return otherwise
}
