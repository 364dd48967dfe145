package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"
)

//go:embed load.lua
var loadScript string

// maxHeader is more than any header of an answer has, and less than a page.
const maxHeader = 2000

// load is what one run of wrk has done.
type load struct {
	Requests     int64 `json:"requests"`
	Microseconds int64 `json:"microseconds"`
	Refused      int64 `json:"refused"` // answers of 400 and above
	Failed       int64 `json:"failed"`  // requests without an answer
	Bytes        int64 `json:"bytes"`   // of all answers
	P50          int64 `json:"p50"`     // microseconds
	P99          int64 `json:"p99"`

	cpu time.Duration // of wrk itself
}

// writeScript writes wrk's script for a kind of traffic; orders is the file of the orders,
// pause the time that a connection rests between two requests.
func (s settings) writeScript(path string, t traffic, orders string, pause time.Duration) error {
	keys, tag := 0, ""
	if t.keys {
		keys = s.Keys
	}
	if t.tag {
		tag = pageTag
	}
	head := fmt.Sprintf("local keys, tag, orders, pause, THREADS = %d, '%s', '%s', %d, %d\n", keys, tag, orders, pause.Milliseconds(), s.Threads)
	return os.WriteFile(path, []byte(head+loadScript), 0o600)
}

// runLoad runs wrk once. wrk takes whole seconds only, so a fraction is rounded up.
func (b *bench) runLoad(ctx context.Context, url, script string, connections int, d time.Duration) (load, error) {
	seconds := max(1, int64((d+time.Second-1)/time.Second))
	cmd := exec.CommandContext(ctx, b.wrk, "-t", strconv.Itoa(b.settings.Threads), "-c", strconv.Itoa(connections),
		"-d", strconv.FormatInt(seconds, 10)+"s", "--timeout", "10s", "-s", script, url+"/")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return load{}, fmt.Errorf("wrk: %w:\n%s", err, out)
	}
	l, err := parseLoad(out)
	l.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return l, err
}

// parseLoad finds the line of load.lua in wrk's output.
func parseLoad(out []byte) (l load, err error) {
	for line := range bytes.Lines(out) {
		if text, ok := bytes.CutPrefix(line, []byte("RESULT ")); ok {
			return l, json.Unmarshal(text, &l)
		}
	}
	return l, fmt.Errorf("wrk has not said what it did:\n%s", out)
}

// check says whether all answers were what the row stands for; size is the least that a
// body has.
func (l load) check(refused bool, leaks int64, size int) error {
	switch {
	case l.Requests == 0 || l.Microseconds == 0:
		return fmt.Errorf("nothing was answered")
	case l.Failed > 0:
		return fmt.Errorf("%d requests had no answer", l.Failed)
	case refused && l.Requests-l.Refused > leaks:
		return fmt.Errorf("%d of %d requests were not refused", l.Requests-l.Refused, l.Requests)
	case !refused && l.Refused > 0:
		return fmt.Errorf("%d of %d requests were refused", l.Refused, l.Requests)
	case !refused && (l.Bytes < l.Requests*int64(size) || l.Bytes > l.Requests*int64(size+maxHeader)):
		return fmt.Errorf("%d answers have %d bytes, which cannot be: each has %d and a header", l.Requests, l.Bytes, size)
	}
	return nil
}
