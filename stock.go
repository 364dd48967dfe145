package flashgate

import (
	"context"
	"time"
)

// Reservation asks for units of a sale under an order id. The sale is the one in
// the id.
type Reservation struct {
	Order OrderID `json:"order"`
	User  UserID  `json:"user"`
	Units int     `json:"units"`
	At    int64   `json:"at"` // when it was asked for, gateway's clock, Unix ms; informative only
}

// Validate checks everything that does not need a key.
func (r Reservation) Validate() error {
	if _, err := ParseOrderID(string(r.Order)); err != nil {
		return Invalid("flashgate.Reservation", "order", "is not an order id")
	}
	if _, err := ParseUserID(string(r.User)); err != nil {
		return err
	}
	if r.Units < 1 || r.Units > MaxUnits {
		return Invalid("flashgate.Reservation", "units", "must be between 1 and %d", MaxUnits)
	}
	if r.At < 0 {
		return Invalid("flashgate.Reservation", "at", "must not be negative")
	}
	return nil
}

// Same reports whether two reservations have the same payload. At is not part of
// it: a repeat carries another time.
func (r Reservation) Same(o Reservation) bool {
	return r.Order == o.Order && r.User == o.User && r.Units == o.Units
}

// Outcome is the gate's answer to one reservation.
type Outcome uint8

// The outcomes. OutcomeUnset is no answer: whoever meets it must treat the
// reservation as unknown.
const (
	OutcomeUnset         Outcome = iota
	OutcomeAccepted              // held or decided, and durable downstream: answer 202
	OutcomePublish               // held and in the outbox: publish, and answer 202 on its confirm
	OutcomeSoldOut               // not enough free units
	OutcomeAlreadyBought         // over the user's limit; Prior is an earlier order
	OutcomeNotStarted            // before the window; OpensIn says how long
	OutcomeEnded                 // after the window
	OutcomeClosed                // no such head, or the gate is reconciling: never "zero units"
	OutcomeBusy                  // the bound on outstanding reservations is reached
	OutcomeConflict              // the id is known with another payload
)

// Reserved is the answer to one reservation. Epoch and Applied say from which state of
// the gate it is, as in StockView; both are zero with OutcomeClosed.
type Reserved struct {
	Outcome Outcome
	Prior   OrderID       // with OutcomeAlreadyBought
	OpensIn time.Duration // with OutcomeNotStarted
	EndsIn  time.Duration // with OutcomeSoldOut: until the window is over; above zero
	Epoch   uint64        // also for the message, with OutcomePublish
	Applied uint64
}

// Position is the state of the gate that the answer is from.
func (r Reserved) Position() Position { return Position{r.Epoch, r.Applied} }

// StockView is the gate's state of a sale at one moment.
type StockView struct {
	Epoch   uint64
	Applied uint64 // seq of the last change that the gate knows
	Free    int64  // units that may be reserved
	Held    int64  // units reserved and not decided
	Starts  time.Time
	Ends    time.Time
	PerUser int
	Open    bool      // false while the sale is reconciling
	Now     time.Time // the gate's own clock
}

// Stock is the gate in front of the database: it reserves, and it is read. It is
// fast and may lose its state; the database judges every order again.
//
// Errors are *Error. CodeNotFound: the gate has never heard of the sale.
// CodeUnavailable: the gate is away.
type Stock interface {
	// Reserve decides a batch of one sale, in the order given and as one step, and
	// returns an answer for each, in the same order. The checks, first match wins:
	//
	//	no head, or reconciling        → OutcomeClosed
	//	id known, same payload         → OutcomeAccepted, or OutcomePublish while it
	//	                                 is still in the outbox
	//	id known, other payload        → OutcomeConflict
	//	before or after the window     → OutcomeNotStarted, OutcomeEnded
	//	too many outstanding           → OutcomeBusy
	//	over the user's limit          → OutcomeAlreadyBought
	//	not enough free                → OutcomeSoldOut
	//	else                           → held; OutcomeAccepted or OutcomePublish
	//
	// Idempotent by order id, also after the order was decided or cancelled: a
	// repeat never takes a second unit. An error, a time-out included, means that
	// nothing is known about any of them: repeat the same ids, never release.
	// A nil error with OutcomeAccepted means durable. All reservations must be of
	// the sale given; one that is not, or is not valid, fails the whole call with
	// CodeInvalid before anything is reserved.
	Reserve(ctx context.Context, sale SaleID, rs []Reservation) ([]Reserved, error)
	// View reads the state of a sale.
	View(ctx context.Context, sale SaleID) (StockView, error)
	// Held returns the reservation that is held under an id, if there is one. A
	// reader that wants to know whether an order is undecided reads Held before it
	// reads the row.
	Held(ctx context.Context, id OrderID) (Reservation, bool, error)
}

// Outbox is implemented by a Stock whose Reserve answers OutcomePublish: it keeps
// what is held and not known to be published, so that a crash between the two
// loses nothing.
type Outbox interface {
	// Published takes ids out of the outbox after their confirm. Idempotent;
	// unknown ids are ignored. An error changes nothing for the buyer: the relay
	// publishes once more, and the ledger finds a duplicate.
	Published(ctx context.Context, sale SaleID, ids []OrderID) error
	// Lease returns at most max reservations that have been in the outbox for
	// longer than age and are not leased, oldest first, and leases them for the
	// duration lease. After a time-out they are leased or not: wait for the lease
	// to end. A leased reservation is published again within the lease or not at
	// all.
	Lease(ctx context.Context, sale SaleID, age, lease time.Duration, max int) ([]Reservation, error)
}

// OutboxReserver is an Outbox that clears itself on the way: under load, what was
// confirmed needs no round trip of its own.
type OutboxReserver interface {
	Outbox
	// ReserveAfter is Published of the ids, which may be none, and then Reserve of the
	// batch, in one step. After an error the ids may be in the outbox still.
	ReserveAfter(ctx context.Context, sale SaleID, published []OrderID, rs []Reservation) ([]Reserved, error)
}

// Change is one reservation's part in a numbered entry of the log.
type Change struct {
	Kind  ChangeKind
	Order OrderID // empty for ChangeRestock and ChangeWindow
	User  UserID
	Units int64
}

// ChangeKind says what happened in the database.
type ChangeKind string

// The kinds and what they do at the gate. A dead letter changes nothing there: it
// stays held until it is replayed or dropped.
const (
	ChangePlaced    ChangeKind = "placed"    // leaves held and outbox; was it not held: free − n, buyers + n
	ChangeRejected  ChangeKind = "rejected"  // if held: leaves held and outbox, free + n, buyers − n
	ChangeCancelled ChangeKind = "cancelled" // free + n, buyers − n
	ChangeRestock   ChangeKind = "restock"   // free + n
	ChangeWindow    ChangeKind = "window"    // Starts and Ends of the entry are the new window
)

// LogEntry is one numbered row of a sale's log, written in the transaction that
// made the changes.
type LogEntry struct {
	Sale      SaleID
	Epoch     uint64
	Seq       uint64 // 1, 2, 3, … without gaps
	LeftAfter int64  // stock_left after this entry
	Changes   []Change
	Starts    time.Time // with ChangeWindow
	Ends      time.Time // with ChangeWindow
}

// Applier is implemented by a Stock that does not share a transaction with the
// database: it follows the database's log.
type Applier interface {
	// Apply applies entries strictly by seq and returns the seq that is applied
	// now. Entries at or below it are skipped, so a repeat is harmless; at a gap it
	// stops, without an error: the caller reads on from what is returned. A time-out
	// means applied or not: call again.
	Apply(ctx context.Context, sale SaleID, entries []LogEntry) (applied uint64, err error)
	// Settle releases ids that are still held although the entry of seq, which
	// decided them, is applied: they were reserved again after their decision. It
	// does nothing when seq is above what is applied. Idempotent.
	Settle(ctx context.Context, sale SaleID, seq uint64, ids []OrderID) error
}

// ChangeLog is the database's side of Applier.
type ChangeLog interface {
	// Entries reads the entries with a seq above after, by seq, at most max.
	Entries(ctx context.Context, sale SaleID, after uint64, max int) ([]LogEntry, error)
}
