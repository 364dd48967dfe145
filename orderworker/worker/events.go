package worker

import (
	"context"
	"time"

	"go.uber.org/zap"
)

const (
	// eventsAtOnce is how many events one transaction takes to the broker.
	eventsAtOnce = 500
	// eventsBeside is the wait after each while the worker has all hands full with orders:
	// a buyer waits for an order, and events can be delivered after the rush.
	eventsBeside = 100 * time.Millisecond
	// eventsEvery is the wait when there were none.
	eventsEvery = 50 * time.Millisecond
	// eventsLimit bounds one delivery: the database keeps its rows locked meanwhile.
	eventsLimit = 10 * time.Second
)

// events takes the events from the database's outbox to the broker.
func (r *run) events() {
	k := r.gate
	var b backoff
	for r.stop.Err() == nil {
		n := 0
		err := limited(r.stop, eventsLimit, func(ctx context.Context) (err error) {
			n, err = k.Events.Deliver(ctx, eventsAtOnce, k.EventPublisher.PublishEvents)
			return err
		})
		k.metrics.delivered.Add(float64(n))
		switch {
		case err != nil && r.stop.Err() == nil:
			k.metrics.failures.WithLabelValues("events").Inc()
			k.log.Warn("events could not be delivered, trying again", zap.Error(err))
			b.wait(r.stop)
		case err != nil:
		case n == eventsAtOnce && r.rush.Load():
			b.failures = 0
			sleep(r.stop, eventsBeside)
		case n < eventsAtOnce:
			b.failures = 0
			sleep(r.stop, eventsEvery)
		}
	}
}
