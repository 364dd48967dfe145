package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"time"
)

// process is one program that the bench has started.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when it has ended
}

// run starts the process. The kernel ends it with the thread that started it, so a
// goroutine keeps that thread.
func (p *process) run() error {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.SysProcAttr = log, log, attributes()
	started := make(chan error)
	p.done = make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.done)
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // how a server ends after its last request is no figure
		}
	}()
	return <-started
}

// close ends the process, in good order so that a profile is complete.
func (p *process) close() error {
	if p == nil || p.cmd == nil || p.cmd.Process == nil {
		return nil
	}
	interrupt(p.cmd.Process.Pid)
	late := time.NewTimer(10 * time.Second)
	defer late.Stop()
	select {
	case <-p.done:
		return nil
	case <-late.C:
		killGroup(p.cmd.Process.Pid)
		<-p.done
		return fmt.Errorf("%s had to be killed:\n%s", p.name, p.tail())
	}
}

// cpu is what it has used so far.
func (p *process) cpu() (time.Duration, error) {
	if p == nil {
		return 0, nil
	}
	return cpuTime(p.cmd.Process.Pid)
}

// forget empties the log, of which a server that logs each refusal writes gigabytes.
func (p *process) forget() error { return os.Truncate(p.log, 0) }

// tail is the end of the log.
func (p *process) tail() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-2000):])
}
