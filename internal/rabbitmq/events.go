package rabbitmq

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"flashgate"

	amqp "github.com/rabbitmq/amqp091-go"
)

// event is the body of an event message. Its names are a contract with other systems:
// members may be added, none is renamed or removed, and receivers ignore what they do
// not know.
type event struct {
	ID    uint64              `json:"id"`              // also the message id; drop what you have seen
	Kind  flashgate.EventKind `json:"kind"`            // also the routing key and the type
	Sale  flashgate.SaleID    `json:"sale"`            //
	Order flashgate.OrderID   `json:"order,omitempty"` // absent from events of a sale
	User  flashgate.UserID    `json:"user,omitempty"`  // absent from events of a sale
	Units int64               `json:"units"`           //
	Seq   uint64              `json:"seq"`             // of the sale, when it happened
	At    time.Time           `json:"at"`              // RFC 3339, UTC
}

// PublishEvents sends events to the topic exchange <prefix>.events, persistent and
// confirmed, in order on one channel. Each has Config.Timeout; the context bounds all
// of them. Events that nobody has bound a queue for are lost, and that is no error.
//
// A body is such as
//
//	{"id":7,"kind":"order.placed","sale":"1","order":"…","user":"u1","units":1,"seq":12,"at":"2026-01-02T03:04:05.678Z"}
func (p *Publisher) PublishEvents(ctx context.Context, es []flashgate.Event) error {
	const op = "rabbitmq.PublishEvents"
	if len(es) == 0 {
		return nil
	}
	o, err := p.session(ctx, op)
	if err != nil {
		return err
	}
	jobs := make([]*job, len(es))
	for i, e := range es {
		body, err := json.Marshal(event{e.ID, e.Kind, e.Sale, e.Order, e.User, e.Units, e.Seq, e.At.UTC()})
		if err != nil {
			return &flashgate.Error{Code: flashgate.CodeInvalid, Op: op, Field: "events", Message: "cannot be written as JSON", Err: err}
		}
		jobs[i] = &job{
			ctx: ctx, op: op, answer: make(chan error, 1), exchange: p.settings.eventsExchange(), key: string(e.Kind),
			message: amqp.Publishing{
				ContentType: "application/json", DeliveryMode: amqp.Persistent, Type: string(e.Kind),
				MessageId: strconv.FormatUint(e.ID, 10), Timestamp: e.At, AppId: "flashgate", Body: body,
			},
		}
	}
	for i, j := range jobs {
		j.deadline = time.Now().Add(p.settings.Timeout)
		err := within(ctx, j.deadline, func(ctx context.Context) error { return o.events.hand(ctx, j) })
		switch {
		case err != nil && i == 0:
			return err
		case err != nil:
			// Some have been sent, so it is unknown whatever became of this one.
			return &flashgate.Error{Code: flashgate.CodeUnknownOutcome, Op: op, RetryAfter: flashgate.PublishWindow,
				Err: fmt.Errorf("%d of %d were sent: %w", i, len(jobs), err)}
		}
	}
	for _, j := range jobs {
		if err := within(ctx, j.deadline, j.wait); err != nil {
			return err
		}
	}
	return nil
}

func within(ctx context.Context, deadline time.Time, f func(context.Context) error) error {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	return f(ctx)
}
