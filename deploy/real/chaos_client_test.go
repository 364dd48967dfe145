package main_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"flashgate"
)

// line is one request and its answer in the journal; Status 0 is no answer.
type line struct {
	Do     string            `json:"do"` // buy, pay or cancel
	Sale   flashgate.SaleID  `json:"sale"`
	Order  flashgate.OrderID `json:"order"`
	User   flashgate.UserID  `json:"user"`
	Status int               `json:"status"`
	Code   flashgate.Code    `json:"code,omitempty"`
}

// journalVariable makes the test binary keep a journal: a process of its own, which no
// fault touches.
const journalVariable = "FLASHGATE_TEST_JOURNAL"

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

type journal struct {
	path string
	cmd  *exec.Cmd
	mu   sync.Mutex
	in   io.WriteCloser
	err  error
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
	for sc := bufio.NewScanner(f); sc.Scan(); {
		var l line
		must(t, json.Unmarshal(sc.Bytes(), &l))
		lines = append(lines, l)
	}
	return lines
}

// customer buys again and again and keeps a journal.
type customer struct {
	*buyer
	journal *journal
	try     int
}

// live goes on until selling ends; what was begun is brought to a clear answer while
// patience lasts.
func (c *customer) live(selling, patience context.Context) {
	for selling.Err() == nil {
		pause(selling, time.Duration(rand.IntN(1500))*time.Millisecond)
		c.mint()
		if !c.buy(patience) {
			continue
		}
		word, err := c.decided(patience, c.try)
		if err != nil || word != "pending" {
			continue
		}
		switch rand.IntN(4) {
		case 0:
			c.settle(patience, "pay")
			return // has what they came for
		case 1, 2:
			c.settle(patience, "cancel")
		default: // let it expire, and try to pay too late
			pause(patience, 11*time.Second)
			c.settle(patience, "pay")
		}
	}
}

// buy repeats the same path until the answer is clear. It reports whether it was 202.
func (c *customer) buy(ctx context.Context) bool {
	for ; ctx.Err() == nil; c.try++ {
		l := line{Do: "buy", Sale: c.sale, Order: c.minted.Order, User: c.member.User}
		a, err := c.clients[c.try%2].Buy(ctx, c.sale, c.minted.Path)
		if err == nil {
			l.Status, l.Code = a.Status, a.Code
		}
		c.journal.write(l)
		switch {
		case err == nil && a.Status == http.StatusAccepted:
			return true
		case err == nil && (a.Code == flashgate.CodeUnauthenticated || a.Code == flashgate.CodePathInvalid):
			// Session or path are over. What became of this id is known by asking.
			if a.Code == flashgate.CodeUnauthenticated && c.login(ctx) != nil {
				break
			}
			word, err := c.decided(ctx, c.try)
			return err == nil && word == "pending"
		case err == nil && a.Status < 500:
			return false
		}
		pause(ctx, time.Duration(50+rand.IntN(200))*time.Millisecond)
	}
	return false
}

// settle pays or cancels, and repeats that until the answer is clear.
func (c *customer) settle(ctx context.Context, what string) {
	for ; ctx.Err() == nil; c.try++ {
		l := line{Do: what, Sale: c.sale, Order: c.minted.Order, User: c.member.User}
		a, err := c.clients[c.try%2].Do(ctx, "POST", "/api/orders/"+string(c.minted.Order)+"/"+what, nil)
		if err == nil {
			l.Status, l.Code = a.Status, a.Code
		}
		c.journal.write(l)
		switch {
		case err == nil && a.Code == flashgate.CodeUnauthenticated:
			_ = c.login(ctx) // tried again while the server is away
		case err == nil && a.Status < 500:
			return
		}
		pause(ctx, time.Duration(50+rand.IntN(200))*time.Millisecond)
	}
}
