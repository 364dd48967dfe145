package command_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"flashgate"
	"flashgate/internal/sqlite"
	"flashgate/orderworker/command"
)

var addressForm = regexp.MustCompile(`"worker started","address":"([^"]+)"`)

// The whole process in process: it makes its data, serves health, decides, drains.
func TestRun(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var log buffer
	exit := make(chan int, 1)
	env := map[string]string{"WORKER_ADDR": "127.0.0.1:0", "ORDER_TTL": "1m"}
	go func() {
		exit <- command.Main(ctx, command.Process{
			Args: []string{"--data", dir}, Getenv: func(k string) string { return env[k] },
			Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: &log,
		})
	}()
	eventually(t, "it says where it listens", func() bool { return addressForm.MatchString(log.String()) })
	url := "http://" + addressForm.FindStringSubmatch(log.String())[1]

	s := openStore(t, dir)
	createSale(t, s, "1", 10, -patience, patience)
	r := reservation("1", "ann")
	if _, err := s.Reserve(t.Context(), "1", []flashgate.Reservation{r}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the order is decided", func() bool {
		o, err := s.Order(t.Context(), r.Order)
		return err == nil && o.Status == flashgate.StatusPending
	})
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for path, want := range map[string]string{
		"/healthz": `"ok"`,
		"/readyz":  `"ready"`,
		"/metrics": `flashgate_worker_decided_total{reason="",status="pending"} 1`,
	} {
		res, err := client.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d %s %v", path, res.StatusCode, body, err)
		}
	}

	// Its address is taken: one clear line, and no second worker.
	env2 := map[string]string{"WORKER_ADDR": strings.TrimPrefix(url, "http://")}
	code, _, stderr := call(t.Context(), env2, "", false, "run", "--data", dir)
	if code != command.ExitFailed || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "WORKER_ADDR") || !strings.Contains(stderr, "in use") {
		t.Errorf("a taken address: exit %d, %q", code, stderr)
	}

	cancel()
	if got := <-exit; got != command.ExitDone {
		t.Errorf("exit %d after a stop:\n%s", got, log.String())
	}
	if _, err := net.Dial("tcp", strings.TrimPrefix(url, "http://")); err == nil {
		t.Error("it still listens")
	}
}

// child is an orderworker of its own, in another process.
type child struct {
	t   *testing.T
	cmd *exec.Cmd
	log *buffer
}

func startChild(t *testing.T, dir string) *child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, cmd: exec.Command(exe, "run", "--data", dir), log: &buffer{}}
	c.cmd.Env = []string{childVariable + "=1", "WORKER_ADDR=127.0.0.1:0", "PATH=" + os.Getenv("PATH")}
	c.cmd.Stderr = c.log
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.cmd.Process.Kill() }) // harmless when it has gone
	return c
}

// end signals it and waits; it returns the exit code, −1 after SIGKILL.
func (c *child) end(sig syscall.Signal) int {
	c.t.Helper()
	if err := c.cmd.Process.Signal(sig); err != nil {
		c.t.Errorf("%v\n%s", err, c.log.String())
	}
	_ = c.cmd.Wait() // an exit by signal is an error too; the state says which
	return c.cmd.ProcessState.ExitCode()
}

// Killed again and again while buyers reserve: every accepted id has exactly one
// row in the end, and no unit is lost.
func TestKilledWorkers(t *testing.T) {
	t.Parallel()
	const kills, buyers, units = 8, 60, 400 // more buyers than units
	dir := t.TempDir()
	s := openStore(t, dir)
	createSale(t, s, "1", units, -patience, 10*patience)
	ctx := t.Context()

	var accepted []flashgate.Reservation
	undecided := func() int64 {
		v, err := s.View(ctx, "1")
		if err != nil {
			t.Fatal(err)
		}
		return v.Held
	}
	inTheMiddle := 0
	for round := range kills {
		before, err := s.Sale(ctx, "1")
		if err != nil {
			t.Fatal(err)
		}
		c := startChild(t, dir)
		var wg sync.WaitGroup
		if round%2 == 0 {
			// It decides one by one, as they come; in the other rounds it finds a
			// crowd and dies between their decision and the ack.
			eventually(t, "the child works", func() bool { return addressForm.MatchString(c.log.String()) })
		}
		wg.Go(func() { accepted = append(accepted, reserveAll(t, s, round, buyers)...) })
		eventually(t, "the child decides", func() bool {
			now, err := s.Sale(ctx, "1")
			return err == nil && now.Seq > before.Seq || before.StockLeft == 0
		})
		// However fast it is, it dies with this one before it: the others may all be decided.
		last := reserveAll(t, s, kills+1+round, 1)
		if c.end(syscall.SIGKILL); c.cmd.ProcessState.Success() {
			t.Errorf("the child was gone before it was killed:\n%s", c.log.String())
		}
		wg.Wait()
		accepted = append(accepted, last...)
		if undecided() > 0 {
			inTheMiddle++
		}
	}
	t.Logf("%d of %d kills left something undecided", inTheMiddle, kills)
	if inTheMiddle == 0 {
		t.Error("no kill left anything undecided: this has tested nothing")
	}

	// The operator works on the same file while another process is the worker.
	c := startChild(t, dir)
	eventually(t, "nothing is held", func() bool { return undecided() == 0 })
	env := map[string]string{"FLASHGATE_DATA": dir}
	if exit, _, stderr := call(ctx, env, "", false, "sale", "restock", "1", "5"); exit != 0 {
		t.Errorf("restock: exit %d, %s", exit, stderr)
	}
	accepted = append(accepted, reserveAll(t, s, kills, buyers)...)
	eventually(t, "nothing is held", func() bool { return undecided() == 0 })
	exit, stdout, stderr := call(ctx, env, "", false, "sale", "list", "--json")
	var sales []struct {
		Seeded    int64 `json:"seeded"`
		StockLeft int64 `json:"stock_left"`
		Undecided int64 `json:"undecided"`
	}
	if err := json.Unmarshal([]byte(stdout), &sales); err != nil || exit != 0 {
		t.Fatalf("exit %d, %v, %s%s", exit, err, stdout, stderr)
	}
	if code := c.end(syscall.SIGTERM); code != command.ExitDone {
		t.Errorf("a stopped worker: exit %d\n%s", code, c.log.String())
	}

	if len(accepted) != units+5 {
		t.Errorf("%d reservations were accepted, want %d", len(accepted), units+5)
	}
	for _, r := range accepted {
		orders, err := s.OrdersOf(ctx, r.User, 10)
		if err != nil || len(orders) != 1 || orders[0].ID != r.Order || orders[0].Status != flashgate.StatusPending {
			t.Errorf("rows of %s: %+v, %v", r.User, orders, err)
		}
	}
	if got := sales[0]; got.Seeded != units+5 || got.StockLeft != units+5-int64(len(accepted)) || got.Undecided != 0 {
		t.Errorf("%d accepted, and the sale is %+v", len(accepted), got)
	}
	if v, err := s.View(ctx, "1"); err != nil || v.Free != 0 {
		t.Errorf("the gate is %+v, %v", v, err)
	}
	if ds, err := s.DeadLetters(ctx, 1); err != nil || len(ds) != 0 {
		t.Errorf("dead letters: %+v, %v", ds, err)
	}
}

// reserveAll reserves for a round's buyers and returns what was accepted.
func reserveAll(t *testing.T, s *sqlite.Store, round, buyers int) (accepted []flashgate.Reservation) {
	for i := range buyers {
		r := reservation("1", fmt.Sprintf("u%d-%d", round, i))
		out, err := s.Reserve(t.Context(), "1", []flashgate.Reservation{r})
		switch {
		case err != nil:
			t.Error(err)
		case out[0].Outcome == flashgate.OutcomeAccepted:
			accepted = append(accepted, r)
		case out[0].Outcome != flashgate.OutcomeSoldOut:
			t.Errorf("outcome %d", out[0].Outcome)
		}
	}
	return accepted
}
