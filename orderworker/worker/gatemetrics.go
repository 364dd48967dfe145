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
	drift     prometheus.Gauge
	drifts    prometheus.Counter
	fences    *prometheus.CounterVec
	outcomes  *prometheus.CounterVec
	delivered prometheus.Counter
	failures  *prometheus.CounterVec
}

func newGateMetrics() *gateMetrics {
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "flashgate", Subsystem: "worker", Name: name, Help: help}
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts(opts(name, help)))
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts(opts(name, help)))
	}
	vec := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts(opts(name, help)), []string{label})
	}
	return &gateMetrics{
		relayed:   counter("relayed_total", "Reservations published again because their gateway did not get them through in time."),
		requeued:  counter("requeued_total", "Held reservations put back into the outbox because the queue had lost them."),
		settled:   counter("settled_total", "Order ids settled at the gate because they were decided before."),
		applied:   counter("applied_entries_total", "Entries of the database's log applied to the gate by this worker."),
		lag:       gauge("apply_lag_entries", "Entries of the log that the gates of open sales do not have yet."),
		closed:    gauge("closed_sales", "Sales whose gate is closed and waits to be reconciled."),
		drift:     gauge("gate_drift_units", "Units by which free + held differ from stock_left in open sales. Anything but zero is a bug."),
		drifts:    counter("gate_drifts_total", "Checks that found a gate whose sums differ from the database's."),
		fences:    vec("fences_total", "Fences that came from the queue, by result: recorded, skipped.", "result"),
		outcomes:  vec("reconciles_total", "Reconciliations by outcome: opened, lost, failed.", "outcome"),
		delivered: counter("events_delivered_total", "Order events handed to the broker."),
		failures:  vec("gate_failures_total", "Calls of the gate's loops that failed and are made again.", "op"),
	}
}

func (m *gateMetrics) register(reg prometheus.Registerer) error {
	for _, c := range []prometheus.Collector{m.relayed, m.requeued, m.settled, m.applied, m.lag, m.closed, m.drift, m.drifts,
		m.fences, m.outcomes, m.delivered, m.failures} {
		if err := reg.Register(c); err != nil {
			return err
		}
	}
	return nil
}
