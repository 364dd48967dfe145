package flashgate

import (
	"context"
)

// Publisher hands messages to the order queue.
type Publisher interface {
	// Publish sends one message. Nil means routed and durable. Every error, a
	// time-out, a returned message and a closed channel included, means unknown:
	// the message may arrive. Publishing the same reservations twice is harmless.
	Publish(ctx context.Context, m Message) error
}

// Fencer is implemented by a Publisher whose queue is asynchronous to the gate.
type Fencer interface {
	// SendFence puts a marker behind everything that was published for the sale. It
	// travels as the epoch of a message; FenceStore.DrawFence gives the number. The
	// worker records it only when every earlier delivery has been committed. Nil means
	// that it is in the queue; after an error it may be.
	SendFence(ctx context.Context, sale SaleID, fence uint64) error
}

// FenceStore is the database's side of Fencer.
type FenceStore interface {
	// DrawFence gives a number that is above all that were drawn for the sale before, by
	// whomever: so whoever sees it recorded, or a higher one, knows that a fence has come
	// through which was sent after the number was drawn. CodeNotFound for an unknown sale.
	// After an error a number may be used up.
	DrawFence(ctx context.Context, sale SaleID) (fence uint64, err error)
	// RecordFence notes that everything published before this fence is decided. A
	// fence below the recorded one is ignored. Idempotent. CodeInvalid for a number that
	// nobody has drawn, CodeNotFound for an unknown sale.
	RecordFence(ctx context.Context, sale SaleID, fence uint64) error
	// Fenced returns the highest fence recorded; zero when there was none.
	Fenced(ctx context.Context, sale SaleID) (fence uint64, err error)
}

// Delivery is one message as it came from the queue: not yet decoded, because one
// that does not decode must be kept as well.
type Delivery struct {
	Tag      uint64 // names the delivery to its Consumer
	Body     []byte
	Attempts int // earlier attempts known to the queue
}

// Consumer takes messages from the order queue, at least once.
type Consumer interface {
	// Receive waits until a message is there and returns at most max of them,
	// oldest first within a sale. A delivery is not given to anybody else until it
	// is acked, returned, or its consumer is gone.
	Receive(ctx context.Context, max int) ([]Delivery, error)
	// Ack removes deliveries. Idempotent. After an error they may come again.
	Ack(ctx context.Context, ds []Delivery) error
	// Return gives deliveries back for another attempt.
	Return(ctx context.Context, ds []Delivery) error
}
