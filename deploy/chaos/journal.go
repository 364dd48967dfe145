package chaos

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

// What a line may be about.
const (
	Buy     = "buy"
	Pay     = "pay"
	Cancel  = "cancel"
	See     = "see"     // a look at the order
	Restock = "restock" // of one unit, by the administrator
)

// Line is a request, written before it is sent, or its answer. Status 0 of an answer
// means that none came.
type Line struct {
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

// Unclear reports whether the answer leaves open what has happened.
func (l Line) Unclear() bool { return !l.Asks && (l.Status == 0 || l.Status >= 500) }

// variable makes a test binary the process that keeps a journal.
const variable = "FLASHGATE_TEST_JOURNAL"

// KeepIfAsked is the first thing of a TestMain. In the process that Start has begun it
// keeps the journal and never returns; in any other it does nothing.
func KeepIfAsked() {
	path := os.Getenv(variable)
	if path == "" {
		return
	}
	if err := keep(path, os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "journal:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// keep appends what it reads to a file, and syncs it after each gulp.
func keep(path string, in io.Reader) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	buf := make([]byte, 1<<20)
	for {
		n, err := in.Read(buf)
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

// Journal is the writing end. It is safe for concurrent use.
type Journal struct {
	path string
	cmd  *exec.Cmd

	mu       sync.Mutex
	in       io.WriteCloser
	err      error
	accepted []flashgate.OrderID // since the last call of Accepted
}

// Start begins a journal, whose process ends with the test. The test binary must call
// KeepIfAsked.
func Start(t testing.TB) *Journal {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	j := &Journal{path: filepath.Join(t.TempDir(), "journal"), cmd: exec.Command(self)}
	j.cmd.Env = append(os.Environ(), variable+"="+j.path)
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

// Write adds a line. Close returns what went wrong.
func (j *Journal) Write(l Line) {
	b, err := json.Marshal(l)
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, err := j.in.Write(append(b, '\n')); err != nil && j.err == nil {
		j.err = err
	}
	if l.Do == Buy && l.Status == 202 {
		j.accepted = append(j.accepted, l.Order)
	}
}

// Accepted are the orders that were answered 202 since the last call.
func (j *Journal) Accepted() []flashgate.OrderID {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := j.accepted
	j.accepted = nil
	return out
}

// Close ends the journal and reads it.
func (j *Journal) Close(t testing.TB) (lines []Line) {
	t.Helper()
	must(t, j.in.Close())
	must(t, j.cmd.Wait())
	must(t, j.err)
	f, err := os.Open(j.path)
	must(t, err)
	defer f.Close()
	in := bufio.NewScanner(f)
	for in.Scan() {
		var l Line
		must(t, json.Unmarshal(in.Bytes(), &l))
		lines = append(lines, l)
	}
	must(t, in.Err())
	return lines
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
