package flashgate

import "context"

// Position orders what a gate says of a sale: by epoch, and within one by the seq that
// is applied. Between two positions units may come free; within one they may not, but
// for those that Settle frees.
type Position struct {
	Epoch   uint64
	Applied uint64
}

// Before reports whether p is older than q.
func (p Position) Before(q Position) bool {
	return p.Epoch < q.Epoch || p.Epoch == q.Epoch && p.Applied < q.Applied
}

// Freed is what is known of a sale's units coming free at the gate, and of its window.
type Freed struct {
	// Term numbers the stretch of time in which nothing was missed. It is zero while
	// something may be missed now, and another one after something may have been.
	Term uint64
	// Since is where units came free or the window moved last in this term, as far as
	// known: a refusal from before it counts no more. Zero when nothing of the kind is
	// known.
	Since Position
}

// FreedWatcher is implemented by a Stock that hears of whatever may make "sold out",
// "ended" or "not started" wrong: units that come free by a restock, a cancel, an expiry, a
// rejection or a settling, another window, a sale that closes to be reconciled or is opened
// again.
//
// With it, a refusal may be given without asking the stock again. The answer to a Reserve
// that was sent in a term holds as long as Freed gives the same term and a Since that is
// not after the answer's position, however late it arrives, and
//
//	OutcomeSoldOut     for as many units or more, until EndsIn is over
//	OutcomeEnded       for whatever is asked for
//	OutcomeNotStarted  for whatever is asked for, until OpensIn is over
//
// where the time counts from when the Reserve was sent.
type FreedWatcher interface {
	// Freed answers without a round trip to a server, and begins to watch when it is
	// first called. When units come free it knows of it on the embedded backend at once
	// if this process has written it and within 10 ms if another one has, and on a server
	// within the time that one message takes.
	Freed(ctx context.Context, sale SaleID) Freed
}
