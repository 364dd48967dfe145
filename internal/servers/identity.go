package servers

import (
	"errors"
	"fmt"
	"time"
)

// Process names one process for good: a pid is used again by the kernel, a pid
// together with its start time is not.
type Process struct {
	Name  string `json:"name"` // for people: redis, rabbitmq, epmd, mariadb
	PID   int    `json:"pid"`
	Start string `json:"start"` // as the system tells it; compared, never parsed
}

// identify reads the start time of a process that runs now.
func identify(name string, pid int) (Process, error) {
	start, err := startTime(pid)
	if err != nil {
		return Process{}, err
	}
	return Process{Name: name, PID: pid, Start: start}, nil
}

// Alive reports whether this very process still runs. A zombie does not.
func (p Process) Alive() bool {
	if p.PID <= 1 || p.Start == "" {
		return false
	}
	start, err := startTime(p.PID)
	return err == nil && start == p.Start
}

// Terminate asks the process to end, waits up to timeout, and kills it if it is
// still there. It does nothing when the process is gone, even if another one has its
// pid now.
func (p Process) Terminate(timeout time.Duration) error {
	if !p.Alive() {
		return nil
	}
	if err := interrupt(p.PID); err != nil && p.Alive() {
		return err
	}
	if p.waitGone(timeout) {
		return nil
	}
	if err := killGroup(p.PID); err != nil && p.Alive() {
		return err
	}
	if p.waitGone(endTimeout) {
		return nil
	}
	return fmt.Errorf("servers: %s (pid %d) does not end", p.Name, p.PID)
}

func (p Process) waitGone(timeout time.Duration) bool {
	for end := time.Now().Add(timeout); p.Alive(); time.Sleep(pollInterval) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// errNoProcess: there is no such process, or only what is left of it.
var errNoProcess = errors.New("servers: no such process")
