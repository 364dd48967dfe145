// Command conformance runs the public suite http-tests/cache-tests against a built
// Caddy with page_cache in front of the suite's origin, both on free ports of the
// loopback address, and prints the tests of each kind that passed, of how many, and
// the ids of those that did not. A required test that fails and is not one of the two
// that are allowed to makes it exit with 1; of the release on npm, which is older, some
// more may fail, each for a reason.
package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

//go:embed client.mjs
var client []byte

// limit of a run; it takes about a minute.
const limit = 10 * time.Minute

func main() {
	caddy := flag.String("caddy", "bin/caddy", "the built Caddy")
	suite := flag.String("suite", "", "folder of the suite, its dependencies installed")
	release := flag.Bool("npm-release", false, "the suite is the old release on npm, some of whose tests are outdated")
	verbose := flag.Bool("v", false, "say why a test did not pass")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, limit)
	failed, err := run(ctx, *caddy, *suite, *release, *verbose)
	cancel()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(2)
	}
	if failed > 0 {
		os.Exit(1)
	}
}

func run(ctx context.Context, caddy, suite string, release, verbose bool) (failed int, err error) {
	if suite == "" {
		return 0, errors.New("-suite: a folder is required")
	}
	caddy, err = filepath.Abs(caddy)
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "flashgate-conformance")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	ports, err := freePorts(2)
	if err != nil {
		return 0, err
	}
	origin, front := ports[0], ports[1]
	script, config := filepath.Join(dir, "client.mjs"), filepath.Join(dir, "Caddyfile")
	if err := errors.Join(os.WriteFile(script, client, 0o600), os.WriteFile(config, []byte(caddyfile(front, origin)), 0o600)); err != nil {
		return 0, err
	}

	server := "test-engine/server/server.mjs"
	if _, err := os.Stat(filepath.Join(suite, server)); err != nil {
		server = "server/server.mjs" // older releases
	}
	node := exec.Command("node", server)
	node.Dir = suite
	node.Env = append(os.Environ(), "npm_config_protocol=http", "npm_config_port="+strconv.Itoa(origin),
		"npm_config_pidfile="+filepath.Join(dir, "pid"))
	stopNode, err := start(ctx, node, origin)
	if err != nil {
		return 0, err
	}
	defer stopNode()
	gate := exec.Command(caddy, "run", "--config", config)
	gate.Dir = dir
	gate.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir)
	stopGate, err := start(ctx, gate, front)
	if err != nil {
		return 0, err
	}
	defer stopGate()

	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, "node", "--no-warnings", script, suite, fmt.Sprintf("http://127.0.0.1:%d", front))
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("the suite's client: %w\n%s", err, said.String())
	}
	all, err := parseResults(out)
	if err != nil {
		return 0, err
	}
	mayFail := allowed
	if release {
		mayFail = slices.Concat(allowed, outdated)
	}
	return report(os.Stdout, all, mayFail, verbose), nil
}

// caddyfile has page_cache in front of the suite's origin. Connections to it are not
// kept: Go's client asks again when a kept one is cut, and the suite counts requests.
// The answer must be the origin's own: no compression on the way.
func caddyfile(front, origin int) string {
	return fmt.Sprintf(`{
	admin off
	auto_https off
	persist_config off
}
http://127.0.0.1:%d {
	page_cache
	reverse_proxy 127.0.0.1:%d {
		transport http {
			keepalive off
			compression off
		}
	}
}
`, front, origin)
}

// start runs a server until the returned function is called, and waits for its port.
func start(ctx context.Context, cmd *exec.Cmd, port int) (stop func(), err error) {
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	late := time.After(30 * time.Second)
	for {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return stop, c.Close()
		}
		select {
		case <-tick.C:
			continue
		case <-ended:
			err = errors.New("it ended")
		case <-late:
			err = errors.New("it does not listen")
		case <-ctx.Done():
			err = ctx.Err()
		}
		stop()
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, said.String())
	}
}

// freePorts finds different ports of the loopback address that nobody listens on.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
