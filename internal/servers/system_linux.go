package servers

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
)

// attributes puts a child into a group of its own. It dies with the thread that
// started it, or, detached, is in a session of its own and outlives its parent.
func attributes(detach bool) *syscall.SysProcAttr {
	if detach {
		return &syscall.SysProcAttr{Setsid: true}
	}
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// startTime is field 22 of /proc/pid/stat (proc_pid_stat(5)): clock ticks after boot.
func startTime(pid int) (string, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", errNoProcess
	}
	// The name, field 2, is in brackets and may hold anything.
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 20 || string(fields[0]) == "Z" || string(fields[0]) == "X" {
		return "", errNoProcess
	}
	return string(fields[19]), nil
}
