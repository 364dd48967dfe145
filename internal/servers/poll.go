package servers

import (
	"context"
	"fmt"
	"time"
)

// poll asks until check is content or ctx ends; the error then tells what the last
// check said.
func poll(ctx context.Context, what string, check func(context.Context) error) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("servers: %s: %w (%w)", what, err, ctx.Err())
		}
	}
}
