package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"go.uber.org/zap"

	"flashgate/internal/failpoint"
)

// window is how many messages of a lane may be unconfirmed. Quorum queues gain
// nothing from more.
const window = 256

// renewAfter is how long after its deadline a message is still waited for.
const renewAfter = 10 * time.Second

// lane is one AMQP channel with confirms, owned by the goroutine in run. Everything
// for one queue goes through one lane, so it keeps its order, and a queue that
// answers no more holds up its own sales only.
//
// How returns and confirms come together. The broker sends basic.return before the
// basic.ack of the same message. The library's one reader goroutine hands on frames
// in that order: it first sends the return into our channel, and only then resolves
// the confirmation. So whoever has seen the confirmation finds the return in the
// channel, if it never has to wait there: the library throws a notification away
// after 5 s. Its buffer has room for the whole window, and a message leaves the
// window only after the buffer was emptied behind its confirmation, so what is in
// the buffer always belongs to messages of the window and it is never full. And
// should the process stand still just there for 5 s, the confirmation comes later
// than the message's deadline, which is at most 2 s, and does not count.
//
// Confirmations are taken one by one from the library's DeferredConfirmation and not
// from NotifyPublish: that puts them in order first, and then reports as acked what
// was nacked out of order before a multiple ack.
type lane struct {
	conn    *connection
	channel *amqp.Channel
	returns chan amqp.Return
	closed  chan *amqp.Error
	jobs    chan *job // not buffered: whoever has put one in knows that it is being sent

	closing sync.WaitGroup // of channels that were given up

	// stuck is set while the oldest message waits for its confirm beyond its deadline,
	// although the broker lives: the queue has lost its majority or its leader. What
	// would wait behind it is refused at once; its confirm, if it comes, opens the lane.
	stuck atomic.Bool

	unsettled []*job            // written and not confirmed, in the order of writing
	returned  map[string]string // ids of messages in unsettled that came back, and why
}

// job is one message on its way.
type job struct {
	ctx       context.Context
	op        string
	exchange  string
	key       string
	mandatory bool
	message   amqp.Publishing
	deadline  time.Time  // afterwards nothing of it is written and no confirm counts
	answer    chan error // room for one

	written time.Time
	confirm *amqp.DeferredConfirmation
}

func openLane(conn *connection) (*lane, error) {
	l := &lane{conn: conn, jobs: make(chan *job)}
	return l, l.open()
}

// open begins on a new AMQP channel.
func (l *lane) open() error {
	ch, err := l.conn.amqp.Channel()
	if err != nil {
		return fmt.Errorf("opening a channel: %w", err)
	}
	if err := ch.Confirm(false); err != nil {
		return fmt.Errorf("asking for confirms: %w", err)
	}
	l.channel, l.unsettled, l.returned = ch, nil, map[string]string{}
	l.returns = ch.NotifyReturn(make(chan amqp.Return, window))
	l.closed = ch.NotifyClose(make(chan *amqp.Error, 1))
	l.stuck.Store(false)
	return nil
}

// renew gives a channel up whose oldest message was not confirmed for long: perhaps it
// never will be. All that is left there has had its deadline.
func (l *lane) renew() {
	old, left := l.channel, l.unsettled
	l.closing.Go(func() { _ = old.Close() }) // may wait as long as the connection lives
	if err := l.open(); err != nil {
		l.conn.fail(err)
		return // run ends, and answers
	}
	for _, j := range left {
		j.answer <- unknown(j.op, errStuck)
	}
}

// hand gives a job to the lane. After an error nothing was written, else the answer
// will come.
func (l *lane) hand(ctx context.Context, j *job) error {
	if err := l.refusal(); err != nil {
		return unavailable(j.op, err)
	}
	select {
	case l.jobs <- j:
		return nil
	case <-l.conn.ended:
		return unavailable(j.op, l.conn.err())
	case <-ctx.Done():
		return unavailable(j.op, errors.Join(errLate, context.Cause(ctx)))
	}
}

// refusal is why nothing can be published at present.
func (l *lane) refusal() error {
	if err := l.conn.err(); err != nil {
		return err
	}
	if l.stuck.Load() {
		return errStuck
	}
	return nil
}

// wait returns the job's answer, or that nothing is known when the context ends.
func (j *job) wait(ctx context.Context) error {
	select {
	case err := <-j.answer:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-j.answer:
		return err
	default:
		return unknown(j.op, fmt.Errorf("not confirmed in time: %w", context.Cause(ctx)))
	}
}

// run sends jobs and settles them until the connection ends.
func (l *lane) run() {
	defer l.end()
	patience := time.NewTimer(0)
	defer patience.Stop()
	for {
		jobs := l.jobs
		if len(l.unsettled) >= window {
			jobs = nil
		}
		var confirmed <-chan struct{}
		var impatient <-chan time.Time
		if len(l.unsettled) > 0 {
			confirmed, impatient = l.unsettled[0].confirm.Done(), patience.C
		}
		select {
		case j := <-jobs:
			l.write(j)
			if len(l.unsettled) == 1 {
				patience.Reset(l.conn.Timeout / 2)
			}
		case <-confirmed:
			l.settle()
			patience.Reset(l.conn.Timeout / 2)
		case <-impatient:
			patience.Reset(l.suspect())
		case err := <-l.closed:
			l.conn.fail(fmt.Errorf("a publishing channel was closed: %w", orClosed(err)))
			return
		case <-l.conn.ended:
			return
		}
	}
}

func orClosed(err *amqp.Error) error {
	if err == nil {
		return errClosed
	}
	return err
}

// write sends one job. A write that blocks at the deadline breaks the connection, so
// that nothing of the message goes out later.
func (l *lane) write(j *job) {
	if err := l.refusal(); err != nil {
		j.answer <- unavailable(j.op, err)
		return
	}
	if err := j.ctx.Err(); err != nil || !time.Now().Before(j.deadline) {
		j.answer <- unavailable(j.op, errors.Join(errLate, err))
		return
	}
	if l.channel.IsClosed() {
		j.answer <- unavailable(j.op, amqp.ErrClosed)
		return
	}
	j.written = time.Now()
	guard := time.AfterFunc(time.Until(j.deadline), func() {
		l.conn.fail(errors.New("a write was blocked until the message's deadline"))
	})
	confirm, err := l.channel.PublishWithDeferredConfirm(j.exchange, j.key, j.mandatory, false, j.message)
	guard.Stop()
	if err != nil {
		err = fmt.Errorf("writing a message: %w", err)
		l.conn.fail(err)
		j.answer <- unknown(j.op, err)
		return
	}
	failpoint.Hit(failpoint.Written)
	j.confirm = confirm
	l.unsettled = append(l.unsettled, j)
}

// settle answers the oldest jobs as far as they are confirmed.
func (l *lane) settle() {
	for len(l.unsettled) > 0 {
		j := l.unsettled[0]
		select {
		case <-j.confirm.Done():
		default:
			return
		}
		l.unsettled[0] = nil
		l.unsettled = l.unsettled[1:]
		l.takeReturns()
		l.stuck.Store(len(l.unsettled) > 0 && !time.Now().Before(l.unsettled[0].deadline))
		j.answer <- l.verdict(j)
	}
}

// takeReturns empties the buffer. It is called behind a confirmation.
func (l *lane) takeReturns() {
	for {
		select {
		case r, open := <-l.returns:
			if !open {
				l.returns = nil
				return
			}
			l.returned[r.MessageId] = fmt.Sprintf("%d %s", r.ReplyCode, r.ReplyText)
		default:
			return
		}
	}
}

// verdict is what a resolved confirmation means. The library resolves all as false
// when the channel or the connection ends.
func (l *lane) verdict(j *job) error {
	why, returned := l.returned[j.message.MessageId]
	delete(l.returned, j.message.MessageId)
	switch {
	case returned:
		err := fmt.Errorf("the broker returned a message for %s: %s", j.key, why)
		l.conn.Logger.Error("a message was not routed, declaring the queues again", zap.String("key", j.key), zap.String("reason", why))
		// A queue or a binding is gone; the next connection makes it.
		l.conn.fail(err)
		return unknown(j.op, err)
	case !j.confirm.Acked():
		if l.channel.IsClosed() {
			return unknown(j.op, errors.New("not confirmed before the channel was closed"))
		}
		l.conn.Logger.Warn("the broker refused a message", zap.String("key", j.key))
		return unknown(j.op, errors.New("the broker refused the message"))
	case !time.Now().Before(j.deadline):
		return unknown(j.op, errors.New("confirmed too late"))
	default:
		return nil
	}
}

// suspect looks at the oldest unconfirmed message, and returns when to look again. If
// the broker was silent ever since it was written, the broker is asked for a sign of
// life; if it is still silent at the deadline, the connection ends: what lies unsent
// in the kernel must not go out later, and the next publish should fail at once.
func (l *lane) suspect() time.Duration {
	j := l.unsettled[0]
	left := time.Until(j.deadline)
	silent := l.conn.transport.silentSince(j.written)
	switch {
	case left > 0 && silent:
		l.conn.provoke()
		return left
	case left > 0:
		return left
	case silent:
		l.conn.fail(fmt.Errorf("%w: a message waits for its confirm", errNoReply))
	case left < -renewAfter && l.conn.err() == nil: // not while the broker blocks
		l.renew()
	case !l.stuck.Swap(true):
		l.conn.Logger.Warn("a queue confirms nothing, publishing to it is refused for now", zap.String("key", j.key))
	}
	return l.conn.Timeout
}

// end answers what is left. What was confirmed before the end counts.
func (l *lane) end() {
	l.settle()
	for _, j := range l.unsettled {
		j.answer <- unknown(j.op, fmt.Errorf("not confirmed before the connection ended: %w", l.conn.err()))
	}
	l.unsettled = nil
	l.closing.Wait()
}
