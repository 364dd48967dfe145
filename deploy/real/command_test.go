package main_test

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"flashgate/deploy/contract"
	"flashgate/internal/servers/serverstest"
	"flashgate/shopapp/shop"
)

// command is flashgate-real with nothing in its environment but what is given.
func command(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "flashgate-real"), args...)
	cmd.Env, cmd.Dir = append([]string{"PATH=" + os.Getenv("PATH")}, env...), "../.."
	return cmd
}

// What `make run-real GATEWAYS=2 WORKERS=2` runs: it prints the addresses and the
// password, serves, and ends cleanly when it is told to.
func TestCommand(t *testing.T) {
	cmd := command(t, []string{
		"REDIS_URL=" + serverstest.Redis(t).URL(), "AMQP_URL=" + serverstest.RabbitMQ(t).URL(), "MYSQL_DSN=" + serverstest.Database(t),
		"FLASHGATE_DATA=" + t.TempDir(), "FLASHGATE_ADDR=127.0.0.1:0", "FLASHGATE_ADMIN=127.0.0.1:0", "SHOP_ADDR=127.0.0.1:0", "WORKER_ADDR=127.0.0.1:0",
	}, "--gateways", "2", "--workers", "2")
	var log strings.Builder
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	var urls []string
	password := ""
	lines := bufio.NewScanner(out)
	for password == "" && lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "url":
			urls = append(urls, value)
		case "password":
			password = value
		}
	}
	if len(urls) != 2 || password == "" {
		err := cmd.Wait()
		t.Fatalf("it printed the addresses %v and the password %q: %v\n%s", urls, password, err, log.String())
	}
	// A session of one gateway is one of the other.
	c := contract.NewClient(urls[0], "", nil)
	if a, err := c.Login(t.Context(), shop.DemoCustomer, password); err != nil || a.Status != http.StatusOK {
		t.Errorf("login: %s, %v", a, err)
	}
	for _, c.URL = range urls {
		if a, err := c.Do(t.Context(), "GET", "/api/me", nil); err != nil || a.Status != http.StatusOK {
			t.Errorf("who am I at %s: %s, %v", c.URL, a, err)
		}
	}
	must(t, cmd.Process.Signal(syscall.SIGINT))
	if err := cmd.Wait(); err != nil {
		t.Errorf("after an interrupt: %v\n%s", err, log.String())
	}
}

// Settings that are not enough are one clear line.
func TestCommandRefuses(t *testing.T) {
	t.Parallel()
	data := "FLASHGATE_DATA=" + t.TempDir()
	for name, c := range map[string]struct {
		env  []string
		args []string
		want string
	}{
		"nothing set": {[]string{data}, nil, "start private servers with `make services`"},
		"half set":    {[]string{data, "REDIS_URL=redis://127.0.0.1:1"}, nil, "set all of them, or none"},
		"no gateway": {[]string{data, "REDIS_URL=redis://127.0.0.1:1", "AMQP_URL=amqp://127.0.0.1:1", "MYSQL_DSN=root@tcp(127.0.0.1:1)/x"},
			[]string{"--gateways", "0"}, "there must be 1 to 50 of each"},
		"no database": {[]string{data, "REDIS_URL=redis://127.0.0.1:1", "AMQP_URL=amqp://127.0.0.1:1", "MYSQL_DSN=root@tcp(127.0.0.1:1)/x"},
			nil, "the shop cannot be seeded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := command(t, c.env, c.args...).CombinedOutput()
			if err == nil || !strings.Contains(string(out), c.want) {
				t.Errorf("it ended with %v and said:\n%s\nwant %q", err, out, c.want)
			}
		})
	}
}
