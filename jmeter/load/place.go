package main

import (
	"context"
	"os/exec"
	"regexp"
	"runtime"
	"strings"

	"flashgate/internal/machine"
)

// place is where a run was; load, site and servers share it when the site is a demo.
type place struct {
	Cores  int    `json:"cores"`
	CPU    string `json:"cpu"`
	Memory int64  `json:"memory_mib"`
	OS     string `json:"os"`
	Go     string `json:"go"`
	JMeter string `json:"jmeter"`
	Java   string `json:"java"`
}

func (r *runner) place(ctx context.Context) (place, error) {
	m := place{Cores: runtime.NumCPU(), CPU: machine.CPU(), Memory: machine.MemoryMiB(), OS: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(), JMeter: r.client.version}
	m.Java = versionIn(output(ctx, "java", "-version"))
	if m.JMeter == "" {
		m.JMeter = versionIn(output(ctx, r.client.command[0], "--version"))
	}
	return m, ctx.Err()
}

// output is all that a program says; a program that fails has no version.
func output(ctx context.Context, program string, args ...string) string {
	b, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err != nil {
		return ""
	}
	return string(b)
}

var version = regexp.MustCompile(`\d+(\.\d+)+[\w.+-]*`)

func versionIn(text string) string { return version.FindString(text) }

// commit is the project's, empty outside of a checkout. A + says that files were changed
// since.
func commit(ctx context.Context, root string) string {
	id := strings.TrimSpace(output(ctx, "git", "-C", root, "rev-parse", "--short", "HEAD"))
	if id != "" && strings.TrimSpace(output(ctx, "git", "-C", root, "status", "--porcelain", "--untracked-files=no")) != "" {
		id += "+"
	}
	return id
}
