package worker

import (
	"github.com/prometheus/client_golang/prometheus"

	"flashgate"
)

// docs/metrics.md says of every figure what it means and what to do about it. Labels
// are constants of the program, never ids; their series are there from the start, as a
// series that begins with one is no increase to Prometheus.

// metrics are the worker's own figures.
type metrics struct {
	decided       *prometheus.CounterVec
	placed        prometheus.Counter // of decided, as nearly all of them are
	duplicates    prometheus.Counter
	deadLetters   *prometheus.CounterVec
	expired       prometheus.Counter
	retries       *prometheus.CounterVec
	batch         prometheus.Histogram
	decideSeconds prometheus.Histogram
}

func workerOpts(name, help string) prometheus.Opts {
	return prometheus.Opts{Namespace: "flashgate", Subsystem: "worker", Name: name, Help: help}
}

func newCounter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts(workerOpts(name, help)))
}

// newCounters makes a counter with one label, and its series.
func newCounters(name, help, label string, values ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts(workerOpts(name, help)), []string{label})
	for _, v := range values {
		c.WithLabelValues(v)
	}
	return c
}

// Over several workers, gauges that all of them read from the same servers are not to
// be added up.
const (
	overMax = " Over several workers: max."
	overSum = " Over several workers: sum."
)

func newGauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts(workerOpts(name, help)))
}

func newGauges(name, help, label string, values ...string) *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts(workerOpts(name, help)), []string{label})
	for _, v := range values {
		g.WithLabelValues(v)
	}
	return g
}

func newHistogram(name, help string, buckets []float64) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "flashgate", Subsystem: "worker", Name: name, Help: help, Buckets: buckets})
}

func registerAll(reg prometheus.Registerer, cs ...prometheus.Collector) error {
	for _, c := range cs {
		if err := reg.Register(c); err != nil {
			return err
		}
	}
	return nil
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		decided: prometheus.NewCounterVec(prometheus.CounterOpts(workerOpts("decided_total",
			"Orders decided for the first time. A rejected one had been accepted by the gate.")), []string{"status", "reason"}),
		duplicates: newCounter("duplicates_total", "Reservations that came again after they had been decided."),
		deadLetters: newCounters("dead_letters_total", "Reservations and messages that could not be decided and wait for an operator.", "reason",
			flashgate.ReasonUnreadable, flashgate.ReasonMismatch, flashgate.ReasonNoSale, flashgate.ReasonInvalid, flashgate.ReasonFailed),
		expired: newCounter("expired_total", "Unpaid orders cancelled because their time was over."),
		retries: newCounters("retries_total", "Calls repeated because a backend was away.", "op",
			"receive", "decide", "dead_letter", "fence", "expire", "ack", "return"),
		batch:         newHistogram("batch_reservations", "Reservations decided in one transaction.", prometheus.ExponentialBuckets(1, 2, 11)),
		decideSeconds: newHistogram("decide_duration_seconds", "Time to decide one batch, retries included.", prometheus.ExponentialBuckets(0.0005, 2, 15)),
	}
	m.placed = m.decided.WithLabelValues(string(flashgate.StatusPending), "")
	m.decided.WithLabelValues(string(flashgate.StatusRejected), flashgate.ReasonSoldOut)
	m.decided.WithLabelValues(string(flashgate.StatusRejected), flashgate.ReasonAlreadyBought)
	return m, registerAll(reg, m.decided, m.duplicates, m.deadLetters, m.expired, m.retries, m.batch, m.decideSeconds)
}

func (m *metrics) decision(s flashgate.Status, reason string) {
	if s == flashgate.StatusPending && reason == "" {
		m.placed.Inc()
		return
	}
	m.decided.WithLabelValues(string(s), reasonLabel(reason)).Inc()
}

func (m *metrics) dead(reason string) { m.deadLetters.WithLabelValues(reasonLabel(reason)).Inc() }

// reasonLabel bounds the label to the reasons that the domain knows.
func reasonLabel(reason string) string {
	switch reason {
	case "", flashgate.ReasonSoldOut, flashgate.ReasonAlreadyBought, flashgate.ReasonUnreadable, flashgate.ReasonMismatch,
		flashgate.ReasonNoSale, flashgate.ReasonInvalid, flashgate.ReasonFailed:
		return reason
	default:
		return "other"
	}
}
