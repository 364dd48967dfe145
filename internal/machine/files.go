package machine

import (
	"fmt"
	"syscall"
)

// RaiseFileLimit lets the programs that this process starts, a load generator with
// thousands of connections above all, open as many files as the machine allows. Go raises
// its own limit by itself, and gives its children the old one unless it was set by a call.
func RaiseFileLimit() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("the limit of open files cannot be read: %w", err)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("the limit of open files cannot be raised: %w", err)
	}
	return nil
}
