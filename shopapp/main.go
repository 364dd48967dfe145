// Command shopapp is the demo shop as a process of its own, on the embedded file.
// Put the gateway in front of it.
//
//	shopapp            serves until SIGINT or SIGTERM
//	shopapp version
//
// Settings: SHOP_ADDR (127.0.0.1:8081), FLASHGATE_DATA (./data), FLASHGATE_KEYS
// (unset: the file `keys` in the data folder, which the gateway shares).
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"flashgate"
	"flashgate/internal/keyfile"
	"flashgate/internal/memory"
	"flashgate/internal/sqlite"
	"flashgate/shopapp/shop"
	"flashgate/shopapp/web"

	"go.uber.org/zap"
)

func main() {
	if len(os.Args) > 1 {
		if os.Args[1] == "version" {
			info, _ := debug.ReadBuildInfo()
			fmt.Println("shopapp", info.Main.Version)
			return
		}
		fmt.Fprintf(os.Stderr, "shopapp: unknown command %q; there is only: version\n", os.Args[1])
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "shopapp:", err)
		os.Exit(1)
	}
}

func setting(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

func run(ctx context.Context) (err error) {
	for _, name := range []string{"REDIS_URL", "AMQP_URL", "MYSQL_DSN"} {
		if os.Getenv(name) != "" {
			return fmt.Errorf("%s is set, but this version has the embedded backends only: unset it", name)
		}
	}
	log, err := zap.NewProduction()
	if err != nil {
		return err
	}
	data := setting("FLASHGATE_DATA", "./data")
	store, err := sqlite.Open(filepath.Join(data, "flashgate.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	keys, err := keyring(data)
	if err != nil {
		return err
	}
	state, err := memory.New(memory.Config{})
	if err != nil {
		return err
	}
	defer state.Close()
	service, err := shop.New(shop.Config{
		Users: store, Sessions: store, Goods: store, Sales: store, Orders: store, Stock: store, Limiter: state, Keys: keys,
	})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", setting("SHOP_ADDR", "127.0.0.1:8081"))
	if err != nil {
		return fmt.Errorf("%w: stop what holds the port, or set SHOP_ADDR to another address", err)
	}
	addr, ok := l.Addr().(*net.TCPAddr)
	site, err := web.New(web.Config{
		Shop: service, Logger: log, TrustGateway: ok && addr.IP.IsLoopback(),
		Checks: map[string]flashgate.Checker{"database": store},
	})
	if err != nil {
		return errors.Join(err, l.Close())
	}
	return serve(ctx, l, site, log)
}

func keyring(data string) (*flashgate.Keyring, error) {
	if text := os.Getenv("FLASHGATE_KEYS"); text != "" {
		return flashgate.ParseKeyring(text)
	}
	return keyfile.LoadOrCreate(data)
}

// serve ends the event streams first: they would hold the stop for its whole time.
func serve(ctx context.Context, l net.Listener, site *web.Server, log *zap.Logger) error {
	srv := &http.Server{Handler: site.Handler(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: zap.NewStdLog(log)}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	log.Info("shop started", zap.String("address", l.Addr().String()))
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return errors.Join(site.Close(), srv.Shutdown(stopping))
}
