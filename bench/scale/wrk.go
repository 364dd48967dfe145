package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strconv"
	"time"

	"flashgate"
)

//go:embed load.lua
var loadScript string

// load is what one run of wrk has done.
type load struct {
	Requests     int64 `json:"requests"`
	Microseconds int64 `json:"microseconds"`
	Refused      int64 `json:"refused"` // answers of 400 and above
	Failed       int64 `json:"failed"`  // requests without an answer
	Bytes        int64 `json:"bytes"`   // of all answers
	P50          int64 `json:"p50"`     // microseconds
	P99          int64 `json:"p99"`
}

func (l load) perSecond() float64 { return float64(l.Requests) / float64(l.Microseconds) * 1e6 }

// runWrk buys in a sale for some time, by threads and connections.
func runWrk(ctx context.Context, dir, url string, sale flashgate.SaleID, threads, connections int, d time.Duration) (load, error) {
	script, err := os.CreateTemp(dir, "load-*.lua")
	if err != nil {
		return load{}, err
	}
	defer os.Remove(script.Name())
	_, err = fmt.Fprintf(script, "local sale, users, first, THREADS = '%s', %d, %s, %d\n%s", sale, buyersOfSale, userOf(0), threads, loadScript)
	if err != nil {
		return load{}, err
	}
	if err := script.Close(); err != nil {
		return load{}, err
	}
	seconds := max(1, int(math.Ceil(d.Seconds()))) // it takes whole ones
	cmd := exec.CommandContext(ctx, "wrk", "-t", strconv.Itoa(threads), "-c", strconv.Itoa(connections),
		"-d", strconv.Itoa(seconds)+"s", "--timeout", "10s", "-s", script.Name(), url)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return load{}, fmt.Errorf("wrk (Debian's package wrk): %w:\n%s", err, out)
	}
	for line := range bytes.Lines(out) {
		if text, ok := bytes.CutPrefix(line, []byte("RESULT ")); ok {
			var l load
			return l, json.Unmarshal(text, &l)
		}
	}
	return load{}, fmt.Errorf("wrk has not said what it did:\n%s", out)
}

// check says whether every request was refused, with an answer of the size given: another
// refusal, as of a gateway that cannot reach its servers, has another size.
func (l load) check(size int) error {
	switch {
	case l.Requests == 0 || l.Microseconds == 0:
		return fmt.Errorf("nothing was answered")
	case l.Failed > 0:
		return fmt.Errorf("%d requests had no answer", l.Failed)
	case l.Refused != l.Requests:
		return fmt.Errorf("%d of %d requests were not refused", l.Requests-l.Refused, l.Requests)
	}
	if mean := float64(l.Bytes) / float64(l.Requests); math.Abs(mean-float64(size)) > 2 {
		return fmt.Errorf("%d answers have %.1f bytes each, and the one that was looked at has %d", l.Requests, mean, size)
	}
	return nil
}
