package main

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// patience is how long a process may take to end when it is asked to.
const patience = 20 * time.Second

// wait runs a command to its end. When ctx ends first, its whole group is asked to end,
// as an installed jmeter is a script that starts Java, and is killed when it does not.
func wait(ctx context.Context, cmd *exec.Cmd) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// A group of its own, so that a Ctrl-C at the terminal reaches only this process,
	// which ends the others in order; and it dies with its starter.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		// The death signal comes when the thread that started the child ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	group := -cmd.Process.Pid
	_ = syscall.Kill(group, syscall.SIGTERM)
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-ended:
	case <-t.C:
		_ = syscall.Kill(group, syscall.SIGKILL)
		<-ended
	}
	return ctx.Err()
}

// exitOf runs a command and gives its exit status; an error when it has none.
func exitOf(ctx context.Context, cmd *exec.Cmd, stdout, stderr io.Writer) (int, error) {
	cmd.Stdout, cmd.Stderr = stdout, stderr
	err := wait(ctx, cmd)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() {
		return exit.ExitCode(), nil
	}
	return 0, err
}
