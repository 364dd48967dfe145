package main_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"flashgate"
)

// What a line of the journal is about.
const (
	doBuy     = "buy"
	doPay     = "pay"
	doCancel  = "cancel"
	doSee     = "see"     // a look at the order
	doRestock = "restock" // of one unit, by the administrator
)

// line is a request, written before it is sent, or its answer. Status 0 of an answer
// means that none came.
type line struct {
	Asks   bool              `json:"asks,omitempty"`
	Do     string            `json:"do"`
	Sale   flashgate.SaleID  `json:"sale"`
	Order  flashgate.OrderID `json:"order,omitempty"`
	User   flashgate.UserID  `json:"user,omitempty"`
	At     time.Time         `json:"at"`
	Status int               `json:"status,omitempty"`
	Code   flashgate.Code    `json:"code,omitempty"`
	State  flashgate.Status  `json:"state,omitempty"` // that a look has shown
}

// unclear reports whether the answer leaves open what has happened.
func (l line) unclear() bool { return !l.Asks && (l.Status == 0 || l.Status >= 500) }

// journalVariable makes the test binary keep a journal: a process of its own, which no
// fault touches.
const journalVariable = "FLASHGATE_TEST_JOURNAL"

// The journal's process must not do what TestMain does for tests.
func init() {
	path := os.Getenv(journalVariable)
	if path == "" {
		return
	}
	if err := keepJournal(path); err != nil {
		fmt.Fprintln(os.Stderr, "journal:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// keepJournal appends what it is told to a file, and syncs it after each gulp.
func keepJournal(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	buf := make([]byte, 1<<20)
	for {
		n, err := os.Stdin.Read(buf)
		if n > 0 {
			if _, err := f.Write(buf[:n]); err != nil {
				return err
			}
			if err := f.Sync(); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return f.Close()
		}
		if err != nil {
			return err
		}
	}
}

// journal is the writing end.
type journal struct {
	path string
	cmd  *exec.Cmd

	mu       sync.Mutex
	in       io.WriteCloser
	err      error
	accepted []flashgate.OrderID // since the last call of fresh
}

func newJournal(t *testing.T) *journal {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	j := &journal{path: filepath.Join(t.TempDir(), "journal")}
	j.cmd = exec.Command(self)
	j.cmd.Env = append(os.Environ(), journalVariable+"="+j.path)
	j.cmd.Stderr = os.Stderr
	j.in, err = j.cmd.StdinPipe()
	must(t, err)
	must(t, j.cmd.Start())
	t.Cleanup(func() { // where the campaign broke off; the journal ends with its input
		if j.in.Close() == nil {
			_ = j.cmd.Wait()
		}
	})
	return j
}

func (j *journal) write(l line) {
	b, err := json.Marshal(l)
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, err := j.in.Write(append(b, '\n')); err != nil && j.err == nil {
		j.err = err
	}
	if l.Do == doBuy && l.Status == 202 {
		j.accepted = append(j.accepted, l.Order)
	}
}

// fresh are the orders that were answered 202 since the last call.
func (j *journal) fresh() []flashgate.OrderID {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := j.accepted
	j.accepted = nil
	return out
}

// close ends the journal and reads it.
func (j *journal) close(t *testing.T) (lines []line) {
	t.Helper()
	must(t, j.in.Close())
	must(t, j.cmd.Wait())
	must(t, j.err)
	f, err := os.Open(j.path)
	must(t, err)
	defer f.Close()
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		var l line
		must(t, json.Unmarshal(sc.Bytes(), &l))
		lines = append(lines, l)
	}
	must(t, sc.Err())
	return lines
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
