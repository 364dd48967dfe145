// Command shopapp is the demo shop as a process of its own. Put the gateway in front
// of it.
//
//	shopapp            serves until SIGINT or SIGTERM
//	shopapp seed       fills the shop with the demo and prints its password
//	shopapp version
//
// Settings: SHOP_ADDR (127.0.0.1:8081); MYSQL_DSN and REDIS_URL with FLASHGATE_KEYS
// for the real backends; without them the embedded file in FLASHGATE_DATA (./data),
// and FLASHGATE_KEYS may be left to the file `keys` there, which the gateway shares. The keys,
// or file:<path> of a file that is read again when it changes. SHOP_PLACES_ORDERS=yes
// lets the shop place orders itself, which ORDER_TTL (15m) keeps for so long.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"flashgate/shopapp/web"

	"go.uber.org/zap"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	arg := ""
	if len(os.Args) > 1 {
		arg = os.Args[1]
	}
	var err error
	switch arg {
	case "":
		err = run(ctx)
	case "seed":
		err = seed(ctx)
	case "version":
		info, _ := debug.ReadBuildInfo()
		fmt.Println("shopapp", info.Main.Version)
	default:
		fmt.Fprintf(os.Stderr, "shopapp: unknown command %q; there are: seed, version, and none at all to serve\n", arg)
		os.Exit(2)
	}
	if err != nil {
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
	log, err := zap.NewProduction()
	if err != nil {
		return err
	}
	b, service, err := open(log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	l, err := net.Listen("tcp", setting("SHOP_ADDR", "127.0.0.1:8081"))
	if err != nil {
		return fmt.Errorf("%w: stop what holds the port, or set SHOP_ADDR to another address", err)
	}
	addr, ok := l.Addr().(*net.TCPAddr)
	site, err := web.New(web.Config{
		Shop: service, Logger: log, TrustGateway: ok && addr.IP.IsLoopback(), Checks: b.Checks,
	})
	if err != nil {
		return errors.Join(err, l.Close())
	}
	return serve(ctx, l, site, log)
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
