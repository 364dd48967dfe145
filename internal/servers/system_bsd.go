//go:build unix && !linux

package servers

import (
	"bytes"
	"fmt"
	"os/exec"
	"strconv"
	"syscall"
)

// attributes puts a child into a group of its own. These systems have no signal at
// the parent's death: a killed parent leaves its servers behind.
func attributes(detach bool) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: detach, Setpgid: !detach}
}

func startTime(pid int) (string, error) {
	out, err := exec.Command("ps", "-o", "stat=,lstart=", "-p", strconv.Itoa(pid)).Output()
	state, start, found := bytes.Cut(bytes.TrimSpace(out), []byte(" "))
	if err != nil || !found || bytes.HasPrefix(state, []byte("Z")) {
		return "", errNoProcess
	}
	return string(bytes.TrimSpace(start)), nil
}

// stopped is nil when the process stands still.
func stopped(pid int) error {
	out, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	state := bytes.TrimSpace(out)
	switch {
	case err != nil:
		return errNoProcess
	case !bytes.HasPrefix(state, []byte("T")):
		return fmt.Errorf("it is in state %s", state)
	}
	return nil
}
