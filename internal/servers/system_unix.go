//go:build unix

package servers

import (
	"context"
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

// pause returns when the whole process stands still. The signal meets one of its threads, and
// until that one has run, the others go on.
func pause(pid int) error {
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	return poll(ctx, "pause", func(context.Context) error { return stopped(pid) })
}

func resume(pid int) error { return syscall.Kill(pid, syscall.SIGCONT) }
