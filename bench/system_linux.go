package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

// tick is what /proc counts in: USER_HZ, 100 on every port that Go has (proc_pid_stat(5)).
const tick = time.Second / 100

// attributes puts a server into a process group of its own, which ends with this process.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

// interrupt asks a process to end; one that is gone has.
func interrupt(pid int) { _ = syscall.Kill(pid, syscall.SIGTERM) }

func killGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }

// cpuTime is the user and system time that a process and its children have used, in
// steps of 10 ms: fields 14 and 15 of /proc/<pid>/stat.
func cpuTime(pid int) (time.Duration, error) {
	path := "/proc/" + strconv.Itoa(pid)
	b, err := os.ReadFile(path + "/stat")
	if err != nil {
		return 0, err
	}
	// The name, field 2, is in brackets and may hold anything.
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("%s/stat cannot be read: %q", path, b)
	}
	var sum time.Duration
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(n) * tick
	}
	children, err := os.ReadFile(path + "/task/" + strconv.Itoa(pid) + "/children")
	if err != nil {
		return 0, err
	}
	for child := range bytes.FieldsSeq(children) { // nginx' workers
		pid, err := strconv.Atoi(string(child))
		if err != nil {
			return 0, err
		}
		used, err := cpuTime(pid)
		if err != nil {
			return 0, err
		}
		sum += used
	}
	return sum, nil
}
