package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

// A machine is calm when, while nothing is measured, its processors are busy for less
// than this part of the time. Idle servers take some of it.
const (
	calmShare = 0.25
	calmLook  = 200 * time.Millisecond
)

// calm waits before a sample until nobody else is at work, as long as the curve has
// patience. A sample that is taken all the same is counted.
func (c *curveResult) calm(ctx context.Context) error {
	for {
		begin := time.Now()
		share, err := busyShare(ctx)
		if err != nil || share < calmShare {
			return err
		}
		if c.patience <= 0 {
			c.Disturbed++
			return nil
		}
		waited := time.Since(begin)
		c.patience -= waited
		c.Waited += waited.Seconds()
	}
}

// busyShare is which part of all processors' time was used during calmLook.
func busyShare(ctx context.Context) (float64, error) {
	before, idleBefore, err := processorTime()
	if err != nil {
		return 0, err
	}
	timer := time.NewTimer(calmLook)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-timer.C:
	}
	after, idleAfter, err := processorTime()
	if err != nil || after == before {
		return 0, err
	}
	return 1 - float64(idleAfter-idleBefore)/float64(after-before), nil
}

// processorTime reads the first line of /proc/stat (proc_stat(5)): the ticks that all
// processors have spent, and those of them that were idle or waited for a disk.
func processorTime() (all, idle int64, err error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	var user, nice, system, waiting, irq, softirq, steal int64
	if _, err := fmt.Sscanf(line, "cpu %d %d %d %d %d %d %d %d", &user, &nice, &system, &idle, &waiting, &irq, &softirq, &steal); err != nil {
		return 0, 0, fmt.Errorf("/proc/stat begins with %q: %w", line, err)
	}
	idle += waiting
	return user + nice + system + idle + irq + softirq + steal, idle, nil
}
