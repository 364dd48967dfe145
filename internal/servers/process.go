package servers

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"time"
)

// endTimeout is how long a server may take to end after a signal.
const endTimeout = 60 * time.Second

// command is what to run.
type command struct {
	path   string
	args   []string
	env    []string // nil: the environment of this process
	dir    string   // working directory
	log    string   // standard output and error are appended here
	detach bool     // outlives this process
}

// process is one running child in a process group of its own.
type process struct {
	id   Process
	done chan struct{} // closed when it has ended
}

// startProcess runs the command. The kernel's signal at the parent's death is bound
// to the thread that started the child, not to the process: a goroutine keeps that
// thread until the child has ended.
func startProcess(name string, c command) (*process, error) {
	log, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(c.path, c.args...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = c.env, c.dir, log, log
	cmd.SysProcAttr = attributes(c.detach)

	p := &process{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			p.id, err = identify(name, cmd.Process.Pid)
			if err != nil { // it has ended already; the log says why
				p.id, err = Process{Name: name, PID: cmd.Process.Pid}, nil
			}
		}
		started <- err
		if err == nil {
			_ = cmd.Wait() // the exit status of a killed server says nothing
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("servers: start %s: %w", name, err)
	}
	return p, nil
}

func (p *process) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// kill ends the whole process group and waits.
func (p *process) kill() error {
	if !p.alive() {
		return nil
	}
	if err := killGroup(p.id.PID); err != nil && p.alive() {
		return err
	}
	return p.wait()
}

// terminate asks the process to end and waits. One that does not is killed, and
// that is an error.
func (p *process) terminate() error {
	if !p.alive() {
		return nil
	}
	if err := interrupt(p.id.PID); err != nil && p.alive() {
		return err
	}
	if err := p.wait(); err != nil {
		return errors.Join(err, p.kill())
	}
	return nil
}

func (p *process) wait() error {
	late := time.NewTimer(endTimeout)
	defer late.Stop()
	select {
	case <-p.done:
		return nil
	case <-late.C:
		return fmt.Errorf("servers: %s (pid %d) has not ended within %v", p.id.Name, p.id.PID, endTimeout)
	}
}
