//go:build !linux

package main

import (
	"errors"
	"syscall"
	"time"
)

func attributes() *syscall.SysProcAttr { return nil }

func interrupt(int) {}

func killGroup(int) {}

func cpuTime(int) (time.Duration, error) {
	return 0, errors.New("the bench reads CPU times from /proc and runs on Linux only")
}
