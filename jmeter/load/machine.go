package main

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
)

// machine is where a run was; load, site and servers share it when the site is a demo.
type machine struct {
	Cores  int    `json:"cores"`
	CPU    string `json:"cpu"`
	Memory int64  `json:"memory_mib"`
	OS     string `json:"os"`
	Go     string `json:"go"`
	JMeter string `json:"jmeter"`
	Java   string `json:"java"`
}

func (r *runner) machine(ctx context.Context) (machine, error) {
	m := machine{Cores: runtime.NumCPU(), CPU: procLine("/proc/cpuinfo", "model name"), OS: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(), JMeter: r.client.version}
	if kib, err := strconv.ParseInt(strings.TrimSuffix(procLine("/proc/meminfo", "MemTotal"), " kB"), 10, 64); err == nil {
		m.Memory = kib / 1024
	}
	m.Java = versionIn(output(ctx, "java", "-version"))
	if m.JMeter == "" {
		m.JMeter = versionIn(output(ctx, r.client.command[0], "--version"))
	}
	return m, ctx.Err()
}

// procLine is the first value of a name in a file of /proc; empty where there is none.
func procLine(file, name string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
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
