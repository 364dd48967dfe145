package worker

import (
	"github.com/prometheus/client_golang/prometheus"
)

// gateMetrics are the figures of a gate apart from the database.
type gateMetrics struct {
	relayed   prometheus.Counter
	requeued  prometheus.Counter
	settled   prometheus.Counter
	applied   prometheus.Counter
	lag       prometheus.Gauge
	closed    prometheus.Gauge
	checks    prometheus.Counter
	drift     prometheus.Gauge
	drifts    prometheus.Counter
	ahead     prometheus.Gauge
	epochs    *prometheus.CounterVec
	fences    *prometheus.CounterVec
	outcomes  *prometheus.CounterVec
	delivered prometheus.Counter
	failures  *prometheus.CounterVec
}

func newGateMetrics() *gateMetrics {
	return &gateMetrics{
		relayed:  newCounter("relayed_total", "Reservations published again because their gateway did not get them through in time."),
		requeued: newCounter("requeued_total", "Held reservations put back into the outbox because the queue had lost them."),
		settled:  newCounter("settled_total", "Order ids settled at the gate because they were decided before."),
		applied:  newCounter("applied_entries_total", "Entries of the database's log applied to the gate by this worker."),
		lag:      newGauge("apply_lag_entries", "Entries of the log that the gates of open sales do not have yet."+overMax),
		closed:   newGauge("closed_sales", "Sales whose gate is closed and waits to be reconciled."+overMax),
		checks:   newCounter("gate_checks_total", "Checks that compared the sums of an open sale at the gate with the database's."),
		drift:    newGauge("gate_drift_units", "Units by which free + held differ from stock_left in open sales. Anything but zero is a bug."+overMax),
		drifts:   newCounter("gate_drifts_total", "Checks that found a gate whose sums differ from the database's."),
		ahead:    newGauge("gates_ahead", "Open sales whose gate knows changes that the database does not, because it was set back."+overMax),
		epochs: newCounters("epochs_raised_total", "Epochs raised by this worker to open a sale's gate, for the first time or again.", "opening",
			openingFirst, openingAgain),
		fences:    newCounters("fences_total", "Fences that came from the queue, by result.", "result", "recorded", "skipped"),
		outcomes:  newCounters("reconciles_total", "Reconciliations by outcome.", "outcome", "opened", "lost", "failed"),
		delivered: newCounter("events_delivered_total", "Order events handed to the broker."),
		failures: newCounters("gate_failures_total", "Calls of the gate's loops that failed and are made again.", "op",
			"view", "apply", "sales", "relay", "rescue", "fence", "events", "figures"),
	}
}

func (m *gateMetrics) register(reg prometheus.Registerer) error {
	return registerAll(reg, m.relayed, m.requeued, m.settled, m.applied, m.lag, m.closed, m.checks, m.drift, m.drifts, m.ahead,
		m.epochs, m.fences, m.outcomes, m.delivered, m.failures)
}

// Whether an epoch was raised for the first opening of a gate, or because the gate had
// been lost.
const (
	openingFirst = "first"
	openingAgain = "again"
)

// raised counts an epoch. Epoch 1 is the one that was never opened.
func (m *gateMetrics) raised(from uint64) {
	opening := openingAgain
	if from == 1 {
		opening = openingFirst
	}
	m.epochs.WithLabelValues(opening).Inc()
}
