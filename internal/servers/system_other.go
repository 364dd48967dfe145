//go:build !unix

package servers

import (
	"errors"
	"os"
	"syscall"
)

// errNotUnix: these servers need signals and process groups.
var errNotUnix = errors.New("servers: only on Unix")

func attributes(bool) *syscall.SysProcAttr { return nil }

func startTime(int) (string, error) { return "", errNotUnix }

func killGroup(pid int) error {
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return p.Kill()
}

func interrupt(pid int) error { return killGroup(pid) }
func pause(int) error         { return errNotUnix }
func resume(int) error        { return errNotUnix }
