package main_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"flashgate"
	"flashgate/deploy/chaos"
	"flashgate/deploy/contract"
	"flashgate/internal/memory"
	"flashgate/internal/sqlite"
	"flashgate/shopapp/shop"
)

// binary is the demo, built once for all tests.
var binary string

func TestMain(m *testing.M) {
	chaos.KeepIfAsked()
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "flashgate-demo")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "flashgate-demo")
		args := []string{"build", "-o", binary}
		if raceEnabled {
			args = append(args, "-race")
		}
		if out, err := exec.Command("go", append(args, ".")...).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%s\n%v\n", out, err)
			return 1
		}
		return m.Run()
	}())
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const loadtestKey = "only-for-tests"

// demo is a running demo process and what it takes to start it again.
type demo struct {
	url, admin, data, password string
	env                        []string

	cmd    *exec.Cmd
	exited chan struct{} // closed when the process has gone
	err    error         // of Wait, after exited
	log    *lockedBuffer
}

// freeAddr is an address that was free a moment ago.
func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// startDemo starts the demo on ports and data of its own.
func startDemo(t testing.TB, env ...string) *demo {
	t.Helper()
	d := &demo{data: t.TempDir(), log: &lockedBuffer{}}
	addr, admin := freeAddr(t), freeAddr(t)
	d.url, d.admin = "http://"+addr, "http://"+admin
	d.env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "FLASHGATE_DATA=" + d.data,
		"FLASHGATE_ADDR=" + addr, "FLASHGATE_ADMIN=" + admin, "SHOP_ADDR=" + freeAddr(t), "WORKER_ADDR=" + freeAddr(t),
		"FLASHGATE_LOADTEST_KEY=" + loadtestKey,
	}, env...)
	d.start(t)
	t.Cleanup(func() {
		d.kill()
		if t.Failed() {
			t.Logf("the demo's log ends with:\n%s", d.log.tail(8<<10))
		}
	})
	return d
}

// start waits until the process has printed its two lines.
func (d *demo) start(t testing.TB) {
	t.Helper()
	d.cmd = exec.Command(binary)
	d.cmd.Dir = "../.." // where the Caddyfile is
	d.cmd.Env = d.env
	d.cmd.Stderr = d.log
	stdout, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d.exited = make(chan struct{})
	lines := make(chan string, 16)
	go func() {
		defer close(lines)
		for sc := bufio.NewScanner(stdout); sc.Scan(); {
			lines <- sc.Text()
		}
	}()
	cmd, exited := d.cmd, d.exited
	got := map[string]string{}
	deadline := time.After(60 * time.Second)
	for got["url"] == "" || got["password"] == "" {
		select {
		case line, ok := <-lines:
			if !ok {
				err := cmd.Wait()
				t.Fatalf("the demo ended before it was up: %v\n%s", err, d.log.tail(8<<10))
			}
			if name, value, ok := strings.Cut(line, ": "); ok {
				got[name] = value
			}
		case <-deadline:
			cmd.Process.Kill()
			t.Fatalf("the demo was not up in a minute\n%s", d.log.tail(8<<10))
		}
	}
	go func() {
		for range lines { // so that the process never blocks on its output
		}
		d.err = cmd.Wait()
		close(exited)
	}()
	d.password = got["password"]
	if got["url"] != d.url {
		t.Fatalf("it prints url %s, it listens on %s", got["url"], d.url)
	}
}

// kill is kill -9.
func (d *demo) kill() {
	if err := d.cmd.Process.Kill(); err == nil {
		<-d.exited
	}
}

// interrupt is Ctrl-C; it returns how the process ended.
func (d *demo) interrupt(t testing.TB) error {
	t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-d.exited:
		return d.err
	case <-time.After(30 * time.Second):
		t.Fatalf("it did not end in 30 s\n%s", d.log.tail(8<<10))
		return nil
	}
}

// run runs another command of the binary on the same data.
func (d *demo) run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir, cmd.Env = "../..", d.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// crowd makes visitors who are logged in, by the shop's own code.
func (d *demo) crowd(t testing.TB, n int) []*contract.Client {
	t.Helper()
	store, err := sqlite.Open(filepath.Join(d.data, "flashgate.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	state, err := memory.New(memory.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer state.Close()
	keys, err := flashgate.ParseKeyring(flashgate.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	service, err := shop.New(shop.Config{Users: store, Sessions: store, Goods: store, Sales: store, Orders: store, Stock: store, Limiter: state, Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	members, err := service.CreateCrowd(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	site, err := url.Parse(d.url)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]*contract.Client, n)
	for i, m := range members {
		out[i] = contract.NewClient(d.url, loadtestKey, nil)
		out[i].HTTP.Jar.SetCookies(site, []*http.Cookie{{Name: "session", Value: string(m.Token), Path: "/"}})
	}
	return out
}

// lockedBuffer keeps the log of a process.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *lockedBuffer) tail(n int) string {
	s := l.String()
	return s[max(0, len(s)-n):]
}

var _ io.Writer = (*lockedBuffer)(nil)
