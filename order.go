package flashgate

import (
	"context"
	"encoding/json"
	"time"
)

// Status is the state of an order.
//
//	undecided → pending → paid | cancelled
//	undecided → rejected | dead_lettered
//	dead_lettered → pending | rejected
type Status string

// The states.
const (
	StatusUndecided    Status = "undecided" // reserved, no row yet
	StatusPending      Status = "pending"   // placed, waiting for payment
	StatusPaid         Status = "paid"
	StatusCancelled    Status = "cancelled"
	StatusRejected     Status = "rejected"
	StatusDeadLettered Status = "dead_lettered" // waits for an operator
)

// Final reports whether no further change is to be waited for.
func (s Status) Final() bool {
	switch s {
	case StatusPaid, StatusCancelled, StatusRejected, StatusDeadLettered:
		return true
	default:
		return false
	}
}

// Live reports whether an order in this state occupies stock in the database.
func (s Status) Live() bool { return s == StatusPending || s == StatusPaid }

// Reasons of the states cancelled, rejected and dead_lettered.
const (
	ReasonUser          = "cancelled_by_user"
	ReasonExpired       = "expired" // not paid in time
	ReasonSoldOut       = "sold_out"
	ReasonAlreadyBought = "already_bought"
	ReasonDropped       = "dropped" // an operator dropped the dead letter

	ReasonUnreadable = "unreadable"    // the message does not decode
	ReasonMismatch   = "mismatch"      // the id exists with another payload
	ReasonNoSale     = "unknown_sale"  // the sale is not in the database
	ReasonInvalid    = "invalid_order" // the reservation itself is not valid
	ReasonFailed     = "failed"        // the database failed on it again and again
)

// Order is one row: what became of a reservation.
type Order struct {
	ID      OrderID
	Sale    SaleID
	User    UserID
	Units   int
	Price   int64 // flash price of one unit when it was placed, minor units
	Status  Status
	Reason  string // one of the Reason constants; empty for pending and paid
	Seq     uint64 // number of the batch that decided it
	Created time.Time
	Expires time.Time // when an unpaid order is cancelled
	Updated time.Time
}

// OrderStore is what a shop does with orders. All times are the database's.
//
// Errors are *Error: CodeNotFound for an id without a row and without a dead
// letter, CodeUnavailable when the database is away or the context ended first.
type OrderStore interface {
	// Order reads one order, whoever owns it: the caller compares User. An id that
	// is dead-lettered is an Order of StatusDeadLettered.
	Order(ctx context.Context, id OrderID) (Order, error)
	// Orders reads those of ids that exist, in no order; at most 500 ids.
	Orders(ctx context.Context, ids []OrderID) ([]Order, error)
	// OrdersOf reads a user's orders, newest first, at most max.
	OrdersOf(ctx context.Context, user UserID, max int) ([]Order, error)
	// Pay moves the user's own order from pending and unexpired to paid. Paying a
	// paid order again changes nothing and is no error. Any other state is
	// CodeWrongState; another user's order is CodeNotFound. Nil means durable.
	Pay(ctx context.Context, id OrderID, user UserID) (Order, error)
	// Cancel moves the user's own order from pending to cancelled and gives the
	// units and the user's share back, in one transaction. Cancelling a cancelled
	// order again changes nothing and is no error. A paid order is CodeWrongState.
	// Nil means durable.
	Cancel(ctx context.Context, id OrderID, user UserID) (Order, error)
}

// Decision is what the ledger made of one reservation.
type Decision struct {
	Order        OrderID
	Status       Status // pending, rejected or dead_lettered; of a duplicate, the state it has
	Reason       string
	Duplicate    bool   // the id had been decided before with the same payload
	DeadLettered bool   // it is in the dead letters now
	Seq          uint64 // the batch that decided it first; zero for a dead letter
}

// Ledger is the worker's side of the database.
type Ledger interface {
	// Decide decides each reservation of one sale by itself, in one transaction,
	// in the order given:
	//
	//	row exists, same payload      → that row, Duplicate
	//	row exists, other payload     → dead letter (mismatch)
	//	id is dead-lettered already   → that dead letter, Duplicate
	//	not valid, unknown sale       → dead letter
	//	over the user's limit         → row rejected(already_bought)
	//	no stock left                 → row rejected(sold_out)
	//	else                          → row pending, stock − units, buyer + units
	//
	// An order expires ttl after the decision by the database's clock. One batch
	// raises the sale's Seq by one if any row was written. Idempotent by order id:
	// after an error, repeat the same call. Nil means durable. The result has the
	// length and the order of rs.
	Decide(ctx context.Context, sale SaleID, rs []Reservation, ttl time.Duration) ([]Decision, error)
	// DeadLetter keeps a message that cannot be decided. Idempotent by d.Order.
	DeadLetter(ctx context.Context, d DeadLetter) error
	// Expire cancels at most max unpaid orders whose time is over and returns how
	// many, and when the next one is due (zero time: none is waiting).
	Expire(ctx context.Context, max int) (n int, next time.Time, err error)
}

// Placer is implemented by a Ledger at which a shop may place an order in the buyer's own
// request, without gate and queue. It has no batches: each call waits for the sale's row.
type Placer interface {
	// Place is Decide of one reservation in a transaction of its own, but that an order
	// which would be rejected leaves no row: the decision only says why. Where gate and
	// database share transactions, what the gate holds is not placed for somebody else.
	// Where they do not, nothing knows it in time: beside a gate that sells, one that was
	// accepted there may be rejected.
	//
	// Errors: CodeInvalid for a reservation that is not valid, of another sale, or whose id
	// another one has; CodeNotFound without the sale. After any other error it is not known
	// whether the order was placed: repeat the same call.
	Place(ctx context.Context, sale SaleID, r Reservation, ttl time.Duration) (Decision, error)
}

// DeadLetter is a reservation, or a whole message, that could not be decided.
type DeadLetter struct {
	Order   OrderID // the order id; for an unreadable message "unreadable." and a hash of the body
	Sale    SaleID  // empty when not known
	Record  []byte  // the reservation as canonical JSON, or the raw message body
	Reason  string
	Detail  string // for the operator: what was wrong, and what to do
	Created time.Time
}

// Reservation is the record, when it is one valid reservation that is filed under its
// own order id; then it can be decided again.
func (d DeadLetter) Reservation() (Reservation, bool) {
	var r Reservation
	if json.Unmarshal(d.Record, &r) != nil || r.Order != d.Order || r.Validate() != nil {
		return Reservation{}, false
	}
	return r, true
}

// DeadLetterStore is the operator's side of the dead letters.
type DeadLetterStore interface {
	// DeadLetters lists the oldest first, at most max.
	DeadLetters(ctx context.Context, max int) ([]DeadLetter, error)
	// Replay decides the reservation again, as Decide would, and removes the dead
	// letter if that led to a row. CodeNotFound without such a dead letter;
	// CodeWrongState when it cannot be decided (it stays).
	Replay(ctx context.Context, id OrderID, ttl time.Duration) (Decision, error)
	// Drop ends it: a readable one becomes a row rejected(dropped) and what it held
	// goes back to the gate; an unreadable one is only removed. CodeNotFound
	// without such a dead letter.
	Drop(ctx context.Context, id OrderID) error
}
