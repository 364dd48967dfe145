package command_test

import (
	"bytes"
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"flashgate"
	"flashgate/internal/sqlite"
	"flashgate/orderworker/command"
)

// childVariable makes the test binary be orderworker: a real process to kill.
const childVariable = "FLASHGATE_TEST_ORDERWORKER"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		os.Exit(command.Main(ctx, command.Process{
			Args: os.Args[1:], Getenv: os.Getenv, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		}))
	}
	goleak.VerifyTestMain(m)
}

const patience = 30 * time.Second

var keys = func() *flashgate.Keyring {
	k, err := flashgate.ParseKeyring(flashgate.NewKey())
	if err != nil {
		panic(err)
	}
	return k
}()

func reservation(sale flashgate.SaleID, user string) flashgate.Reservation {
	_, id := keys.Mint(flashgate.Claim{Sale: string(sale), User: user}, time.Now().Add(time.Minute))
	return flashgate.Reservation{Order: id, User: flashgate.UserID(user), Units: 1}
}

func openStore(t *testing.T, dir string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(filepath.Join(dir, "flashgate.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func createSale(t *testing.T, s *sqlite.Store, id flashgate.SaleID, units int64, starts, ends time.Duration) {
	t.Helper()
	err := s.CreateSale(t.Context(), flashgate.Sale{
		ID: id, Goods: "lamp", FlashPrice: 1999, PerUser: 1, Seeded: units,
		Starts: time.Now().Add(starts), Ends: time.Now().Add(ends),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// buffer is an output that is read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// call runs a command line in process.
func call(ctx context.Context, env map[string]string, stdin string, interactive bool, args ...string) (exit int, stdout, stderr string) {
	var out, errs buffer
	exit = command.Main(ctx, command.Process{
		Args: args, Getenv: func(k string) string { return env[k] },
		Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs, Interactive: interactive,
	})
	return exit, out.String(), errs.String()
}

// eventually polls until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("it never happened: %s", what)
		}
	}
}
