package redis

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Between two tries to subscribe.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = time.Second
)

// watch is a goroutine that listens to a channel. It begins with the first use, so a
// Store that needs none has none.
type watch struct {
	mu     sync.Mutex
	ended  bool
	cancel context.CancelFunc
	done   chan struct{}
	begun  bool
}

func (w *watch) begin(run func(context.Context)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.begun || w.ended {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.begun, w.cancel, w.done = true, cancel, make(chan struct{})
	go func() {
		defer close(w.done)
		run(ctx)
	}()
}

func (w *watch) end() {
	w.mu.Lock()
	w.ended = true
	begun := w.begun
	w.mu.Unlock()
	if begun {
		w.cancel()
		<-w.done
	}
}

// again subscribes by one and by one more when it has ended, as with its connection,
// until ctx ends. The pauses between them grow, and are short again after one that
// lasted.
func again(ctx context.Context, lasting time.Duration, one func()) {
	for pause := firstPause; ctx.Err() == nil; {
		begun := time.Now()
		one()
		if time.Since(begun) > lasting {
			pause = firstPause
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
		pause = min(2*pause, lastPause)
	}
}

var errResubscribed = errors.New("the connection was another one in between")
