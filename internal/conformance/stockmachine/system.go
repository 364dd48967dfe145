package stockmachine

import (
	"context"

	"flashgate"
)

// System is what the machine drives: a gate with a queue and a database behind it.
type System struct {
	Stock    flashgate.Stock
	Database Database
	Queue    Queue
	// Apart is nil where gate and database share their transactions.
	Apart *Apart
	// Bound is how many units of a sale may be held undecided at once, where nobody can
	// choose it. With Apart the machine chooses.
	Bound int64

	// Reopen ends every process that holds a part of the system, as a crash would, and
	// opens the same data again. The System that it was called on is of no use then.
	Reopen func() (System, error)
	// Close ends it for good.
	Close func() error
}

// Database is the database's side of the order.
type Database interface {
	flashgate.Ledger
	flashgate.OrderStore
	flashgate.SaleStore
	flashgate.DeadLetterStore
}

// Queue is the order queue. Only messages of the machine's sale are in it. A delivery
// that was neither acked nor returned comes again after Reopen, and only then.
type Queue interface {
	flashgate.Publisher
	flashgate.Consumer
}

// Apart is what a gate has that lives apart from its database, and what the database
// has for it.
type Apart struct {
	flashgate.Outbox
	flashgate.Applier
	flashgate.Opener
	flashgate.ChangeLog
	flashgate.Reconciliation
	Faults
}

// Faults are what may become of the gate's server. Each returns when it has happened.
type Faults interface {
	// Renew brings the server into another incarnation, with its data.
	Renew(ctx context.Context) error
	// Flush takes all of its data and leaves the incarnation.
	Flush(ctx context.Context) error
	// Backup keeps a copy of the sale's data, and Rewind puts it in place of what is
	// there; after it the machine calls Renew.
	Backup(ctx context.Context, sale flashgate.SaleID) error
	Rewind(ctx context.Context, sale flashgate.SaleID) error
}
