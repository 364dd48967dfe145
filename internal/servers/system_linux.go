package servers

import (
	"bytes"
	"fmt"
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
	fields := statFields(b)
	if len(fields) < 20 || string(fields[0]) == "Z" || string(fields[0]) == "X" {
		return "", errNoProcess
	}
	return string(fields[19]), nil
}

// statFields are those of a stat file from field 3 on. The name, field 2, is in brackets
// and may hold anything.
func statFields(b []byte) [][]byte {
	return bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
}

// stopped is nil when every thread of the process stands still.
func stopped(pid int) error {
	folder := "/proc/" + strconv.Itoa(pid) + "/task"
	threads, err := os.ReadDir(folder)
	if err != nil {
		return errNoProcess
	}
	for _, thread := range threads {
		b, err := os.ReadFile(folder + "/" + thread.Name() + "/stat")
		if err != nil {
			continue // it has ended
		}
		if fields := statFields(b); len(fields) > 0 && !bytes.ContainsAny(fields[0], "TtXZ") {
			return fmt.Errorf("thread %s is in state %s", thread.Name(), fields[0])
		}
	}
	return nil
}
