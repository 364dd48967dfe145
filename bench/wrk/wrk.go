// Package wrk runs the load generator wrk with a script of its caller, and reads what it
// did.
package wrk

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"time"
)

//go:embed report.lua
var report string

// Script is what Run needs in a file: Lua with what wrk is to send, and behind it the
// report.
func Script(lua string) []byte { return []byte(lua + report) }

// Load is what one run of wrk has done.
type Load struct {
	Requests     int64 `json:"requests"`
	Microseconds int64 `json:"microseconds"`
	Refused      int64 `json:"refused"` // answers of 400 and above
	Failed       int64 `json:"failed"`  // requests without an answer
	Bytes        int64 `json:"bytes"`   // of all answers
	P50          int64 `json:"p50"`     // microseconds
	P99          int64 `json:"p99"`

	CPU time.Duration `json:"-"` // of wrk itself
}

// PerSecond is how many requests were answered in a second.
func (l Load) PerSecond() float64 { return float64(l.Requests) / float64(l.Microseconds) * 1e6 }

// Answered is an error unless there were requests and each was answered.
func (l Load) Answered() error {
	switch {
	case l.Requests == 0 || l.Microseconds == 0:
		return errors.New("nothing was answered")
	case l.Failed > 0:
		return fmt.Errorf("%d requests had no answer", l.Failed)
	}
	return nil
}

// Run runs the program once, with the file of a Script. wrk takes whole seconds only, so a
// fraction is rounded up.
func Run(ctx context.Context, program, script, url string, threads, connections int, d time.Duration) (Load, error) {
	seconds := max(1, int64((d+time.Second-1)/time.Second))
	cmd := exec.CommandContext(ctx, program, "-t", strconv.Itoa(threads), "-c", strconv.Itoa(connections),
		"-d", strconv.FormatInt(seconds, 10)+"s", "--timeout", "10s", "-s", script, url)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return Load{}, fmt.Errorf("wrk: %w:\n%s", err, out)
	}
	l, err := Parse(out)
	l.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return l, err
}

// Parse finds the report in what wrk has printed.
func Parse(out []byte) (l Load, err error) {
	for line := range bytes.Lines(out) {
		if text, ok := bytes.CutPrefix(line, []byte("RESULT ")); ok {
			return l, json.Unmarshal(text, &l)
		}
	}
	return l, fmt.Errorf("wrk has not said what it did:\n%s", out)
}
