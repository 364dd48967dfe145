package flashgate

import (
	"context"
	"time"
)

// PublishWindow is the D of the protocol: a gateway hands a reservation to the
// queue within this time after it was reserved, or leaves it to the relay. A relay
// publishes within it after its lease, or not at all. So whoever waits longer than
// this after a gate has closed knows that nothing more is on its way to the queue.
const PublishWindow = 2 * time.Second

// DefaultBound is how many units of a sale may be held undecided at once unless the
// operator says otherwise. Past it the gate answers OutcomeBusy: a worker that
// stands still must not let the queue grow for ever.
const DefaultBound = 100_000

// Opener is implemented by a Stock that lives on a server which may lose its state.
// A sale is open there only while the server's incarnation is the one that the
// sale was opened in; in another one, or without a head, Reserve answers
// OutcomeClosed, View says Open false or CodeNotFound, and every write of the other
// ports is CodeSaleClosed, until Open.
type Opener interface {
	// Incarnation names the life of the server that holds the sale: it changes with
	// every restart and every fail-over, back and forth included.
	Incarnation(ctx context.Context, sale SaleID) (string, error)
	// Open opens the gate from a snapshot, its last step one atomic one. It is
	// refused with CodeWrongState, and changes nothing, when the gate is open, its
	// epoch is not below the snapshot's, or the server is not in the incarnation given. Held
	// reservations that survived and are in s.Orders leave held; the others stay, and
	// go to the outbox unless they are in s.Dead. Then free = StockLeft − held,
	// applied = Seq, buyers = live orders + held. After a time-out it is open or not:
	// View tells.
	Open(ctx context.Context, incarnation string, s Snapshot) (Opened, error)
	// Waiting lists what has been held for longer than age and is not in the outbox,
	// at most max, in no order. CodeSaleClosed when the sale is not open.
	Waiting(ctx context.Context, sale SaleID, age time.Duration, max int) ([]Reservation, error)
	// Requeue puts ids back into the outbox that are held and not in it, as if they
	// had entered it at once; others are ignored. Idempotent.
	Requeue(ctx context.Context, sale SaleID, ids []OrderID) error
}

// Opened is what Open found.
type Opened struct {
	Free     int64
	Held     int64 // units that survived undecided
	Requeued int   // reservations that went to the outbox
}

// Snapshot is what the database knows of a sale at one moment.
type Snapshot struct {
	Sale   Sale // Epoch is the one that the reconciliation raised it to
	Bound  int64
	Orders []SnapshotOrder // every row of the sale, oldest first
	Dead   []OrderID       // its dead letters
}

// SnapshotOrder is one row in a snapshot.
type SnapshotOrder struct {
	Order OrderID
	User  UserID
	Units int
	Live  bool // pending or paid
}

// Reconciliation is the database's side of Opener.
type Reconciliation interface {
	// RaiseEpoch moves the sale's epoch from the one given to the next, if it still
	// is the one given: of any number of callers one gets true. Epoch 1 means that
	// no gate was ever opened for the sale. CodeNotFound for an unknown sale. After a
	// time-out it is raised or not: start anew.
	RaiseEpoch(ctx context.Context, sale SaleID, from uint64) (raised bool, err error)
	// Snapshot reads the sale, its orders and its dead letters as they are at one
	// moment. Bound is left zero.
	Snapshot(ctx context.Context, sale SaleID) (Snapshot, error)
	// Audit writes one row about what was done to a sale. Nil means durable.
	Audit(ctx context.Context, a Audit) error
	// Audits reads the newest rows first, at most max; of one sale, or of all when
	// the id is empty.
	Audits(ctx context.Context, sale SaleID, max int) ([]Audit, error)
}

// Audit is one row of the record of reconciliations and operators' actions.
type Audit struct {
	At     time.Time // the database's clock; ignored when writing
	Sale   SaleID
	Epoch  uint64
	Action string // a word or two with underscores, such as reconcile_opened
	Detail string // figures and reasons, for people
}

// Event is something that other systems want to know of a sale or an order. It is
// written in the transaction that made it true.
type Event struct {
	ID    uint64 // names the event for ever: a receiver drops what it has seen
	Kind  EventKind
	Sale  SaleID
	Order OrderID // empty for events of a sale
	User  UserID  // empty for events of a sale
	Units int64
	Seq   uint64 // of the sale, when it happened
	At    time.Time
}

// EventKind is also the routing key of the event.
type EventKind string

// The kinds.
const (
	EventPlaced    EventKind = "order.placed"
	EventPaid      EventKind = "order.paid"
	EventCancelled EventKind = "order.cancelled"
	EventRejected  EventKind = "order.rejected"
	EventSoldOut   EventKind = "sale.sold_out" // stock_left has come to zero
	EventRestocked EventKind = "sale.restocked"
)

// EventStore is the database's outbox of events.
type EventStore interface {
	// Deliver hands the oldest events, at most max, to send, and forgets them if send
	// returns nil. Several callers share the work: none is given an event that
	// another is sending. An event is sent at least once. It returns how many were
	// delivered; zero when there are none.
	Deliver(ctx context.Context, max int, send func(context.Context, []Event) error) (n int, err error)
}

// EventPublisher takes events to other systems.
type EventPublisher interface {
	// PublishEvents sends them in order. Nil means durable at the broker, whether or
	// not anybody listens; an error means that any of them may have been sent.
	PublishEvents(ctx context.Context, es []Event) error
}
