package worker

import (
	"context"
	"time"

	"go.uber.org/zap"

	"flashgate"
	"flashgate/internal/failpoint"
)

// longestReturn bounds the wait after deliveries went back.
const longestReturn = 500 * time.Millisecond

// consume takes batches until the worker stops.
func (r *run) consume() {
	var receiving, returned backoff
	for r.stop.Err() == nil {
		ds, err := r.cfg.Consumer.Receive(r.stop, r.cfg.MaxBatch)
		if err != nil {
			if r.stop.Err() != nil {
				return
			}
			r.health.report(backendQueue, err)
			r.metrics.retries.WithLabelValues("receive").Inc()
			r.log.Warn("cannot receive, trying again", zap.Error(err))
			receiving.wait(r.stop)
			continue
		}
		r.health.report(backendQueue, nil)
		receiving.failures = 0
		if len(ds) == 0 {
			continue
		}
		if r.handle(ds) {
			returned.failures = 0
		} else {
			// What was returned comes at once; without a wait a poisoned message
			// would keep the worker spinning. A long one would punish its neighbours.
			sleep(r.stop, min(returned.next(), longestReturn))
		}
	}
}

// handle decides what is in the deliveries, tells a gate apart from the database,
// then acks or returns each. It reports whether all of them could be acked.
func (r *run) handle(ds []flashgate.Delivery) bool {
	failpoint.Hit(failpoint.Received)
	b := newBatch(ds, r.gate != nil, r.cfg.Keys)
	for _, d := range b.dead {
		if r.stop.Err() != nil {
			break
		}
		if r.keepDead(d.letter) {
			b.settled(d.delivery)
		}
	}
	for _, s := range b.sales {
		for _, c := range s.chunks() {
			if r.stop.Err() != nil {
				break
			}
			r.decide(b, s.sale, c)
		}
	}
	if r.gate != nil {
		r.recordFences(b)
		r.returned.note(b)
		r.gate.apply(r.calls, b.decided)
	}
	ack, back := b.outcome()
	r.finish("ack", ack, r.cfg.Consumer.Ack)
	if failpoint.Enabled && r.gate != nil && r.gate.owesAny(b.decided) {
		failpoint.Hit(failpoint.DuplicateAcked)
	}
	r.finish("return", back, r.cfg.Consumer.Return)
	return len(back) == 0
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
