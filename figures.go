package flashgate

import (
	"context"
	"time"
)

// The figures that an operator wants to see and that only a backend knows. Backends
// that can tell implement these ports beside the one that they fill; a worker asks
// every other second, so one call must cost little, and may be wrong by what happens
// meanwhile.

// BacklogReader is implemented by a Stock that can tell how long things wait in it.
type BacklogReader interface {
	// Backlog looks at a sale's outbox, and at a part of what it holds: from cursor on,
	// which is empty for the begin and else the Next of the call before. Held
	// reservations that are listed in except are passed over. CodeSaleClosed when the
	// sale is not open.
	Backlog(ctx context.Context, sale SaleID, cursor string, except []OrderID) (Backlog, error)
}

// Backlog is what waits at a gate. All times are the gate's own.
type Backlog struct {
	Now    time.Time
	Outbox int // reservations that are not known to be in the queue
	// OldestOutbox is when the oldest of them entered the outbox last, OldestHeld when
	// the oldest held one that was looked at did; zero when there is none.
	OldestOutbox time.Time
	OldestHeld   time.Time
	Next         string // where the next call goes on; empty when all held ones were looked at
}

// Tallier is implemented by a Ledger that can count what needs an operator.
type Tallier interface {
	Tally(ctx context.Context) (Tally, error)
}

// Bounds of a Tally.
const (
	TallyDead         = 1000           // ids of dead letters
	TallyOverAccepted = 10_000         // orders of OverAccepted and AfterLoss together
	TallySince        = 24 * time.Hour // how far back those two look
)

// Tally is what needs an operator, or did lately.
type Tally struct {
	DeadLetters int       // that wait
	Dead        []OrderID // the oldest of them, at most TallyDead

	// Orders that were rejected as sold out or over the user's limit within TallySince,
	// although the gate had accepted them. AfterLoss are those that were decided after
	// the sale's gate had been opened a second time, so that a loss of the gate's state
	// may be the reason; for the others there is none.
	OverAccepted, AfterLoss int

	EventAge time.Duration // of the oldest event that was not delivered; zero when there is none
}

// QueueMeter is implemented by a Consumer that can tell how deep its queues are.
type QueueMeter interface {
	// Depths names each queue. An error leaves out those that could not be asked.
	Depths(ctx context.Context) ([]QueueDepth, error)
}

// QueueDepth is how deep one queue is.
type QueueDepth struct {
	Queue   string // without what all names of the site's queues begin with
	Ready   int    // messages that no consumer has been given
	Unacked int    // messages that this consumer was given and has not acked
}
