// Package failpoint names the places in the programs where dying does the most harm,
// so that a test can make a process die, or stand still, exactly there.
//
// A program that is built without the build tag failpoint contains nothing of this:
// Hit is empty and is compiled away. With the tag, a process looks at each place into
// the folder that FLASHGATE_FAILPOINTS names, one folder a process. A file there with
// the place's name arms it, once; what is in the file says what happens:
//
//	kill   the process ends as by kill -9
//	stop   the process stands still as by SIGSTOP, until somebody sends SIGCONT
//
// The first to come takes the file away by renaming it to name.hit, which tells the
// test that the fault has hit.
package failpoint

// Name of a place. It is a file's name.
type Name string

// The places, in the order of an order's life.
const (
	// Reserved: units are held and nothing is published.
	Reserved Name = "reserved"
	// Written: a message has been written to the broker and is not confirmed. In
	// gateways and in the relay.
	Written Name = "written"
	// Confirmed: the broker has the message; no buyer has an answer, and the outbox
	// still has the order.
	Confirmed Name = "confirmed"
	// Received: the worker has messages and has decided nothing.
	Received Name = "received"
	// Committed: the database has the rows; the gate has not heard of them, and the
	// messages are not acked.
	Committed Name = "committed"
	// DuplicateAcked: the message of an order that had been decided before is acked,
	// and the gate, which was away, has not been told to release it.
	DuplicateAcked Name = "duplicate-acked"
	// Leased: the relay has leased entries of the outbox and has published nothing.
	Leased Name = "leased"
	// Relayed: the relay has published them, and the outbox still has them.
	Relayed Name = "relayed"
	// Fenced: a reconciliation has seen its fence and has not read the database.
	Fenced Name = "fenced"
	// Snapshot: a reconciliation has read the database and has not opened the gate.
	Snapshot Name = "snapshot"
)

// Names are all places.
func Names() []Name {
	return []Name{Reserved, Written, Confirmed, Received, Committed, DuplicateAcked, Leased, Relayed, Fenced, Snapshot}
}

// Variable is the environment variable that names a process' folder.
const Variable = "FLASHGATE_FAILPOINTS"
