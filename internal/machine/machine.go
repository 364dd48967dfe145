// Package machine says what a measurement ran on.
package machine

import (
	"os"
	"strconv"
	"strings"
)

// CPU is the processor's name as Linux has it; elsewhere empty.
func CPU() string { return proc("/proc/cpuinfo", "model name") }

// MemoryMiB is the machine's memory as Linux has it; elsewhere 0.
func MemoryMiB() int64 {
	kib, err := strconv.ParseInt(strings.TrimSuffix(proc("/proc/meminfo", "MemTotal"), " kB"), 10, 64)
	if err != nil {
		return 0
	}
	return kib / 1024
}

// proc is the first value of a name in a file of /proc; empty where there is none.
func proc(file, name string) string {
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
