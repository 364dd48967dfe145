package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"time"

	"flashgate/bench/wrk"
)

//go:embed load.lua
var loadScript string

// maxHeader is more than any header of an answer has, and less than a page.
const maxHeader = 2000

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
	return os.WriteFile(path, wrk.Script(head+loadScript), 0o600)
}

// runLoad runs wrk once.
func (b *bench) runLoad(ctx context.Context, url, script string, connections int, d time.Duration) (wrk.Load, error) {
	return wrk.Run(ctx, b.wrk, script, url+"/", b.settings.Threads, connections, d)
}

// check says whether all answers were what the row stands for; size is the least that a
// body has.
func check(l wrk.Load, refused bool, leaks int64, size int) error {
	if err := l.Answered(); err != nil {
		return err
	}
	switch {
	case refused && l.Requests-l.Refused > leaks:
		return fmt.Errorf("%d of %d requests were not refused", l.Requests-l.Refused, l.Requests)
	case !refused && l.Refused > 0:
		return fmt.Errorf("%d of %d requests were refused", l.Refused, l.Requests)
	case !refused && (l.Bytes < l.Requests*int64(size) || l.Bytes > l.Requests*int64(size+maxHeader)):
		return fmt.Errorf("%d answers have %d bytes, which cannot be: each has %d and a header", l.Requests, l.Bytes, size)
	}
	return nil
}
