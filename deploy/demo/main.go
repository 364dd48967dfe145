package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"

	"flashgate"
	"flashgate/internal/keyfile"
	"flashgate/internal/sqlite"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "flashgate/caddymodule"

	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

func main() {
	arg := ""
	if len(os.Args) > 1 {
		arg = os.Args[1]
	}
	var err error
	switch arg {
	case "":
		// The first signal drains; a second one, when that takes too long, ends at once.
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		context.AfterFunc(ctx, stop)
		err = run(ctx, settingsFrom(os.Getenv), os.Stdout)
		stop()
	case "reset":
		err = reset(settingsFrom(os.Getenv).data)
	case "version":
		fmt.Println(version())
	case "caddy":
		os.Args = append([]string{"caddy"}, os.Args[2:]...)
		caddycmd.Main()
		return
	default:
		fmt.Fprintf(os.Stderr, "flashgate-demo: unknown command %q; there are: reset, version, caddy …, and none at all to run the demo\n", arg)
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "flashgate-demo:", err)
		os.Exit(1)
	}
}

// settings are the demo's part of the settings of the README.
type settings struct {
	addr      string // FLASHGATE_ADDR
	admin     string // FLASHGATE_ADMIN
	shop      string // SHOP_ADDR
	worker    string // WORKER_ADDR
	data      string // FLASHGATE_DATA
	keys      string // FLASHGATE_KEYS
	orderTTL  string // ORDER_TTL
	caddyfile string

	env func(string) string // for what the shop reads itself
}

func settingsFrom(env func(string) string) settings {
	or := func(name, otherwise string) string {
		if v := env(name); v != "" {
			return v
		}
		return otherwise
	}
	return settings{
		addr: or("FLASHGATE_ADDR", ":8080"), admin: or("FLASHGATE_ADMIN", "localhost:2019"),
		shop: or("SHOP_ADDR", "127.0.0.1:8081"), worker: or("WORKER_ADDR", "127.0.0.1:8082"),
		data: or("FLASHGATE_DATA", "./data"), keys: env("FLASHGATE_KEYS"), orderTTL: or("ORDER_TTL", "15m"),
		caddyfile: "Caddyfile", env: env,
	}
}

func (s settings) file() string { return filepath.Join(s.data, "flashgate.db") }

func (s settings) passwordFile() string { return filepath.Join(s.data, "password") }

// signing are the keys as the gateway has them. It says when their file cannot be read.
func (s settings) signing() (flashgate.Keys, error) { return keyfile.Open(s.keys, s.data, nil) }

// reset removes what the demo has made, file by file: the folder may be anybody's.
func reset(data string) error {
	s := settings{data: data}
	if err := sqlite.Remove(s.file()); err != nil {
		return err
	}
	for _, name := range []string{filepath.Join(data, keyfile.Name), s.passwordFile()} {
		if err := os.Remove(name); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	fmt.Println("the data in", data, "is wiped")
	return nil
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return "flashgate-demo " + info.Main.Version
	}
	return "flashgate-demo (devel)"
}
