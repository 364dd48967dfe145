package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Process is one program of the fleet. Start, Stop and Kill may follow each other any
// number of times.
type Process struct {
	Name    string   // for people: gateway 1
	Program string   // path of the executable
	Args    []string // without the program's name
	Env     []string // all of it: nothing is inherited
	Dir     string   // working directory
	Ready   string   // URL that answers 200 once it serves
	Metrics string   // URL of its figures, for Prometheus; empty: it has none
	Output  io.Writer

	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{} // closed when the process has gone
	tail   *tail
}

// tailSize is how much of the output is kept for an error.
const tailSize = 8 << 10

// Start starts the program and waits until it is ready, at most a minute and not
// beyond ctx.
func (p *Process) Start(ctx context.Context) error {
	if err := p.Launch(); err != nil {
		return err
	}
	return p.WaitReady(ctx)
}

// Launch starts the program and does not wait.
func (p *Process) Launch() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running() {
		return fmt.Errorf("%s runs already", p.Name)
	}
	p.tail = &tail{}
	cmd := exec.Command(p.Program, p.Args...)
	cmd.Env, cmd.Dir = p.Env, p.Dir
	out := io.Writer(p.tail)
	if p.Output != nil {
		out = io.MultiWriter(p.tail, p.Output)
	}
	cmd.Stdout, cmd.Stderr = out, out
	// A group of its own, so that a Ctrl-C at the terminal reaches only the one who
	// stops the fleet in order; and it dies with its starter.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	exited, started := make(chan struct{}), make(chan error, 1)
	go func() {
		// The death signal comes when the thread that started the child ends: this
		// goroutine keeps the thread until the child has gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
		close(exited)
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("%s: %w", p.Name, err)
	}
	p.cmd, p.exited = cmd, exited
	return nil
}

// running is called with mu held.
func (p *Process) running() bool {
	if p.exited == nil {
		return false
	}
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// WaitReady polls Ready until it answers 200.
func (p *Process) WaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	exited := p.Exited()
	for {
		if ready(ctx, p.Ready) {
			return nil
		}
		select {
		case <-exited:
			return fmt.Errorf("%s ended before it was ready:\n%s", p.Name, p.Tail())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w\n%s", p.Name, ctx.Err(), p.Tail())
		case <-tick.C:
		}
	}
}

var client = &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func ready(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	res, err := client.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode == http.StatusOK
}

// Exited is closed when the process that runs now has gone.
func (p *Process) Exited() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.exited == nil {
		gone := make(chan struct{})
		close(gone)
		return gone
	}
	return p.exited
}

// Tail is the end of what it printed.
func (p *Process) Tail() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tail == nil {
		return ""
	}
	return p.tail.String()
}

// Signal sends a signal. One that does not run is no error.
func (p *Process) Signal(s os.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running() {
		return nil
	}
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("%s: %w", p.Name, err)
	}
	return nil
}

// Stop asks it to end, waits for at most patience, and kills it then: that is an
// error.
func (p *Process) Stop(patience time.Duration) error {
	exited := p.Exited()
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-exited:
		return nil
	case <-t.C:
		return errors.Join(fmt.Errorf("%s did not stop within %v and was killed", p.Name, patience), p.Kill())
	}
}

// Kill is kill -9; it returns when the process has gone.
func (p *Process) Kill() error {
	exited := p.Exited()
	if err := p.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-exited
	return nil
}

// tail keeps the last tailSize bytes.
type tail struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b.Write(p)
	if n := t.b.Len(); n > 2*tailSize {
		t.b.Next(n - tailSize)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}
