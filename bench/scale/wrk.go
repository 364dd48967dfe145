package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"flashgate"
	"flashgate/bench/wrk"
)

//go:embed load.lua
var loadScript string

// runWrk buys in a sale for some time, by threads and connections.
func runWrk(ctx context.Context, dir, url string, sale flashgate.SaleID, threads, connections int, d time.Duration) (wrk.Load, error) {
	script, err := os.CreateTemp(dir, "load-*.lua") // several may run at the same time
	if err != nil {
		return wrk.Load{}, err
	}
	defer os.Remove(script.Name())
	head := fmt.Sprintf("local sale, users, first, THREADS = '%s', %d, %s, %d\n", sale, buyersOfSale, userOf(0), threads)
	_, err = script.Write(wrk.Script(head + loadScript))
	if err := errors.Join(err, script.Close()); err != nil {
		return wrk.Load{}, err
	}
	return wrk.Run(ctx, "wrk", script.Name(), url, threads, connections, d)
}

// check says whether every request was refused, with an answer of the size given: another
// refusal, as of a gateway that cannot reach its servers, has another size.
func check(l wrk.Load, size int) error {
	if err := l.Answered(); err != nil {
		return err
	}
	if l.Refused != l.Requests {
		return fmt.Errorf("%d of %d requests were not refused", l.Requests-l.Refused, l.Requests)
	}
	if mean := float64(l.Bytes) / float64(l.Requests); math.Abs(mean-float64(size)) > 2 {
		return fmt.Errorf("%d answers have %.1f bytes each, and the one that was looked at has %d", l.Requests, mean, size)
	}
	return nil
}
