//go:build unix

package servers

import (
	"errors"
	"syscall"
)

func killGroup(pid int) error { return syscall.Kill(-pid, syscall.SIGKILL) }

// interrupt asks for an orderly end. A paused process would never see that.
func interrupt(pid int) error {
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGCONT); !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil // it has ended already
}

func pause(pid int) error  { return syscall.Kill(pid, syscall.SIGSTOP) }
func resume(pid int) error { return syscall.Kill(pid, syscall.SIGCONT) }
