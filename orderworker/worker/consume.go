package worker

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"flashgate"
	"flashgate/internal/failpoint"
)

// longestReturn bounds the wait after deliveries went back.
const longestReturn = 500 * time.Millisecond

// batchesDecided is how many batches that are decided may wait for their acks. While the
// gate is slow they are what is received beyond the batch in hand.
const batchesDecided = 2

// consume works until the worker stops. Its stages work side by side, on batches that
// they hand on in the order in which the deliveries came:
//
//	receive  takes what is there from the queue
//	gather   decodes it and puts batches together
//	decide   has a batch decided, sale by sale, and records its fences
//	finish   tells the gate, then acks or returns
//
// Only what may be in any order runs beside something else. The first two change
// nothing. One batch is decided at a time, all of it before the next one is begun: so a
// sale's orders are decided in the order in which they came, and a fence is recorded only
// when all that came before it is decided or known to be not. What is finished beside the
// next batch is committed: the log tells the gate its order, whoever applies it, and an
// ack that comes late or never makes a duplicate of its orders, as after a crash.
func (r *run) consume() {
	received := make(chan []flashgate.Delivery)
	gathered := make(chan *batch)
	decided := make(chan *batch, batchesDecided)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(received)
		r.receive(received)
	})
	wg.Go(func() {
		defer close(gathered)
		r.gather(received, gathered)
	})
	wg.Go(func() {
		defer close(decided)
		r.decideBatches(gathered, decided)
	})
	for b := range decided {
		r.finishBatch(b)
	}
	wg.Wait()
}

// receive takes deliveries until the worker stops.
func (r *run) receive(out chan<- []flashgate.Delivery) {
	var failed backoff
	for r.stop.Err() == nil {
		ds, err := r.cfg.Consumer.Receive(r.stop, r.cfg.MaxBatch)
		if err != nil {
			if r.stop.Err() != nil {
				return
			}
			r.health.report(backendQueue, err)
			r.metrics.retries.WithLabelValues("receive").Inc()
			r.log.Warn("cannot receive, trying again", zap.Error(err))
			failed.wait(r.stop)
			continue
		}
		r.health.report(backendQueue, nil)
		failed.failures = 0
		if len(ds) > 0 {
			out <- ds
		}
	}
}

// decideBatches decides one batch after the other. After a stop it decides no more: what
// is not decided then goes back.
func (r *run) decideBatches(in <-chan *batch, out chan<- *batch) {
	var returned backoff
	for {
		b, ok := r.nextBatch(in)
		if !ok {
			return
		}
		r.decideBatch(b)
		_, back := b.outcome()
		out <- b
		if len(back) == 0 {
			returned.failures = 0
			continue
		}
		// What was returned comes at once; without a wait a poisoned message would keep
		// the worker spinning. A long one would punish its neighbours.
		<-b.finished
		sleep(r.stop, min(returned.next(), longestReturn))
	}
}

// rushFrom is the smallest batch that is not one of everyday business.
const rushFrom = 64

// nextBatch waits for a batch. It is a rush while large ones are there before they are
// asked for.
func (r *run) nextBatch(in <-chan *batch) (b *batch, ok bool) {
	select {
	case b, ok = <-in:
		r.rush.Store(ok && b.parts >= rushFrom)
	default:
		r.rush.Store(false)
		b, ok = <-in
	}
	return b, ok
}

// decideBatch decides what is in a batch, and then records its fences.
func (r *run) decideBatch(b *batch) {
	failpoint.Hit(failpoint.Received)
	for _, d := range b.dead {
		if r.stop.Err() != nil {
			break
		}
		if r.keepDead(d.letter) {
			b.settled(d.delivery)
		}
	}
	forEach(b.sales, salesDecided, func(s *saleBatch) {
		for _, c := range s.chunks() {
			if r.stop.Err() != nil {
				break
			}
			r.decide(b, s, c)
		}
	})
	if r.gate != nil {
		r.recordFences(b)
		r.returned.note(b)
	}
}

// finishBatch tells a gate apart from the database what was decided, then acks or
// returns each delivery.
func (r *run) finishBatch(b *batch) {
	defer close(b.finished)
	decided := b.decided()
	if r.gate != nil {
		r.gate.apply(r.calls, decided)
	}
	ack, back := b.outcome()
	r.finish("ack", ack, r.cfg.Consumer.Ack)
	if failpoint.Enabled && r.gate != nil && r.gate.owesAny(decided) {
		failpoint.Hit(failpoint.DuplicateAcked)
	}
	r.finish("return", back, r.cfg.Consumer.Return)
}

// finish acks or returns, also after a stop, as long as there is patience. When it
// fails for good the deliveries come again once this consumer is gone, and what was
// decided is found to be a duplicate then.
func (r *run) finish(op string, ds []flashgate.Delivery, call func(context.Context, []flashgate.Delivery) error) {
	if len(ds) == 0 {
		return
	}
	err := r.patiently(r.calls, op, backendQueue, func(ctx context.Context) error { return call(ctx, ds) })
	if err != nil {
		r.log.Error("deliveries stay with the queue and come again", zap.String("op", op), zap.Int("deliveries", len(ds)), zap.Error(err))
	}
}
