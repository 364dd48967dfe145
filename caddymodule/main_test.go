package caddymodule_test

import (
	"fmt"
	"io"
	"os"
	"testing"

	"flashgate/internal/servers/serverstest"

	"github.com/caddyserver/caddy/v2"
)

// gatewayConfig names the file of an adapted configuration: then this test binary is
// a gateway of its own, until its standard input ends.
const gatewayConfig = "FLASHGATE_TEST_GATEWAY"

func TestMain(m *testing.M) {
	if file := os.Getenv(gatewayConfig); file != "" {
		if err := serveGateway(file); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	serverstest.Main(m)
}

func serveGateway(file string) error {
	config, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := caddy.Load(config, true); err != nil {
		return err
	}
	fmt.Println("ready")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	return caddy.Stop()
}
